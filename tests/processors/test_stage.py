"""What makes a stage run again, and what is left of one that failed."""

import os
from pathlib import Path

import pytest

from punzinet.analysis.io.output import OutputFolder
from punzinet.processors.stage import Stage, failure_of, is_finished


@pytest.mark.parametrize("what", ["uuid", "size", "time", "nothing"])
def test_another_input_file_is_a_reason_to_run_again(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.root"
    path.write_bytes(b"root" + bytes(500))
    status = path.stat()
    stage = Stage("x", OutputFolder(tmp_path), {}, files=[str(path)])
    stage.finish([])
    if what == "uuid":  # its place in the header of a ROOT file
        path.write_bytes(b"root" + bytes(43) + b"uuid" + bytes(453))
    elif what == "size":
        path.write_bytes(b"root" + bytes(501))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + (what == "time")))
    changed = [f"input file {path} has changed"]
    assert stage.reasons() == ([] if what == "nothing" else changed)


def test_a_failure_is_told_until_the_stage_runs_again(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    stage = Stage("x", output, {})
    stage.begin()
    stage.fail("The file is gone.")
    assert failure_of(output, "x") == ["The file is gone."]
    assert not is_finished(output, "x")
    stage.begin()
    assert failure_of(output, "x") == []
    stage.finish([])
    stage.fail("Another stage of the same command failed.")
    assert failure_of(output, "x") == []
    assert is_finished(output, "x")
