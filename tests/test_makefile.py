"""What make types for the user: the same switches for every stage that has them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_the_executor_is_chosen_for_all_stages_that_have_one() -> None:
    variables = ("EXECUTOR=dask", "WORKERS=3", "SCHEDULER=tcp://there:8786", "OUTPUT=elsewhere")
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    printed = subprocess.run(
        ["make", "--dry-run", "select", *variables],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    commands = {
        line.partition("punzinet ")[2].split()[0]: line
        for line in printed.splitlines()
        if "bin/punzinet " in line
    }
    assert list(commands) == ["simulate", "features", "train", "select"]
    for stage, command in commands.items():
        spread = '--executor dask --workers 3 --scheduler "tcp://there:8786"'
        assert (spread in command) == (stage != "train")
        assert '--output "elsewhere"' in command
