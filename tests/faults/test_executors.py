"""The same bytes from every executor, with processes on this machine."""

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("stage", "executor"),
    [("simulate", "dask"), ("features", "dask"), ("select", "dask"), ("features", "parsl")],
)
def test_a_stage_gives_the_same_bytes_with(chain, tmp_path, stage, executor):
    folder = chain.before(stage, tmp_path)
    chain.complete(folder, stage, "--executor", executor)
