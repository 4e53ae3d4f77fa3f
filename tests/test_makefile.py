"""What make types for the user: the same switches for every stage that has them; benchmarks."""

import os
import re
import shutil
from importlib import import_module

import pytest
from commands import run
from pages import ROOT

BENCHMARKS = sorted((ROOT / "tests" / "bench").glob("bench_*.py"))


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_the_executor_is_chosen_for_all_stages_that_have_one():
    variables = ("EXECUTOR=dask", "WORKERS=3", "SCHEDULER=tcp://there:8786", "OUTPUT=elsewhere")
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    make = ("make", "--dry-run", "select", *variables)
    printed = run(*make, folder=ROOT, env=environment).stdout
    commands = re.findall(r"bin/punzinet (\w+) (.*)", printed)
    assert [stage for stage, _ in commands] == ["simulate", "features", "train", "select"]
    for stage, options in commands:
        spread = '--executor dask --workers 3 --scheduler "tcp://there:8786"'
        assert (spread in options) == (stage != "train")
        assert '--output "elsewhere"' in options


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_benchmark_finds_what_it_measures(path):
    assert callable(import_module(path.stem).run)
