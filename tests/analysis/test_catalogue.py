"""Every analysis is in the catalogue, and the catalogue needs no Spark."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

from analysis.catalogue import ANALYSES, analysis

OF_MANY = {"word_count_rdd"}  # gives no DataFrame


def test_every_analysis_has_a_name() -> None:
    named = {name.replace("-", "_") for name in ANALYSES}
    there = {
        name
        for module in set(ANALYSES.values())
        for name, function in inspect.getmembers(import_module(module), inspect.isfunction)
        if function.__module__ == module and "posts" in inspect.signature(function).parameters and name[0] != "_"
    }
    assert there - OF_MANY == named
    assert all(inspect.getdoc(analysis(name)) for name in ANALYSES)


def test_names_are_known_without_spark() -> None:
    code = "import sys, cli, analysis.catalogue; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
