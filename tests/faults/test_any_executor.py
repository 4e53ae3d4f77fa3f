"""The same bytes from every executor, for every stage that has the switch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("stage", "executor"),
    [("simulate", "dask"), ("features", "dask"), ("select", "dask"), ("features", "parsl")],
)
def test_a_stage_gives_the_same_bytes_with(
    chain: Any, tmp_path: Path, stage: str, executor: str, survived: Callable[..., None]
) -> None:
    """Undisturbed, it runs with processes on this machine."""
    folder = chain.before(stage, tmp_path)
    done = chain.run(folder, stage, "--executor", executor)
    assert done.returncode == 0, done.stderr
    survived(folder, stage, faults=0)
