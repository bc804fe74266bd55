"""All tests. A package, so that `tests.analysis` is not taken for `analysis`."""
