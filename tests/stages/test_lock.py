"""One run at a time in an output folder, as far as its file system has locks."""

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.stages.run import holder_of, lock


def test_a_second_run_is_told_who_is_at_work(tmp_path: Path) -> None:
    folder = tmp_path / "output"
    assert holder_of(folder) is None
    with lock(folder, "train"):
        holder = holder_of(folder) or {}
        assert (holder["pid"], holder["stage"]) == (os.getpid(), "train")
        with pytest.raises(InputError, match=rf"`punzinet train` \(process {os.getpid()} on "):
            lock(folder, "select").__enter__()
    assert holder_of(folder) is None
    with lock(folder, "select"):
        pass


def test_what_a_killed_run_left_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"anything")
    (tmp_path / ".running.json").write_text('{"pid": 1, "host": "x", "stage": "train"}')
    assert holder_of(tmp_path) is None
    with lock(tmp_path, "select"):
        assert (holder_of(tmp_path) or {})["stage"] == "select"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def no_lock(*_arguments: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with caplog.at_level(logging.WARNING), lock(tmp_path, "train"):
        assert "has no locks: nothing keeps a second run out" in caplog.text
        assert holder_of(tmp_path) is None


def test_of_several_processes_the_first_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lock(tmp_path, "train"):
        monkeypatch.setenv("RANK", "1")
        with lock(tmp_path, "train"):
            pass
        monkeypatch.delenv("RANK")
        assert holder_of(tmp_path) is not None
