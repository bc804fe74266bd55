"""Measurements: what a post costs, beside other ways of doing the same. `README.md` says how to run and read them."""
