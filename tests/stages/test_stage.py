"""What makes a stage run again, and what is left of one that failed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from punzinet.stages.chain import reasons
from punzinet.stages.options import Context
from punzinet.stages.stage import Stage

Make = Callable[..., Context]


@pytest.mark.parametrize("what", ["uuid", "size", "time", "nothing"])
def test_another_input_file_is_a_reason_to_run_again(
    tmp_path: Path, context: Make, what: str
) -> None:
    path = tmp_path / "x.root"
    path.write_bytes(b"root" + bytes(500))
    status = path.stat()
    stage = Stage(name="x", run=lambda _: (), files=lambda _: [str(path)])
    here = context()
    stage.finish(here, [], stage.begin(here.output))
    if what == "uuid":  # its place in the header of a ROOT file
        path.write_bytes(b"root" + bytes(43) + b"uuid" + bytes(453))
    elif what == "size":
        path.write_bytes(b"root" + bytes(501))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + (what == "time")))
    changed = [f"input file {path} has changed"]
    assert reasons(stage, here) == ([] if what == "nothing" else changed)


def test_a_failure_is_told_until_the_stage_runs_again(context: Make) -> None:
    here = context()
    stage = Stage(name="x", run=lambda _: ())
    stage.begin(here.output)
    stage.fail(here.output, "The file is gone.")
    assert stage.failure(here.output) == ["The file is gone."]
    assert not stage.has_run(here.output)
    stage.finish(here, [], stage.begin(here.output))
    assert stage.failure(here.output) == []
    assert stage.has_run(here.output)
