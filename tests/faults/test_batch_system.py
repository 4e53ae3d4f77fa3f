"""The example of the documentation, as it stands there, with a stand-in for the batch system."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.faults
NOT_ALLOWED = 77
PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"


def test_the_example_on_htcondor_runs_and_loses_a_worker(
    chain: Any, tmp_path: Path, survived: Callable[..., None]
) -> None:
    folder = chain.before("features", tmp_path / "run")
    _, _, block = PAGE.read_text().partition("```python\n")
    example, _, _ = block.partition("```")
    assert "HTCondorCluster(" in example
    (folder / "cluster.py").write_text(example.replace("jobs=100", "jobs=2"))
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(here / "private_network.py"), sys.executable,
         str(here / "run_on_batch_system.py"), str(folder)],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    if done.returncode == NOT_ALLOWED:
        pytest.skip(f"the system allows no private network: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 jobs were submitted, 1 was killed" in done.stdout
    shutil.rmtree(folder / "output" / ".dask", ignore_errors=True)
    survived(folder, "features")
