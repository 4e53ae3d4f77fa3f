"""What runs before a stage, and one run at a time, as far as the file system has locks."""

import errno
import fcntl
import logging
import os
from dataclasses import replace

import pytest

from punzinet.analysis.io.files import InputError
from punzinet.stages.options import Context
from punzinet.stages.run import holder_of, lock, run_command
from punzinet.stages.stage import Stage


@pytest.mark.parametrize("force", [False, True])
def test_upstream_runs_first_what_is_out_of_date(context, capsys, monkeypatch, force):
    ran = []

    def stage(name, *after):
        note = ran.append
        return Stage(name=name, run=lambda _: note(name) or [], reads=("luminosity",), after=after)

    first = stage("first")
    second = stage("second", first)
    third = stage("third", second)
    here, before = context({"force": force}), context(luminosity=40.0)
    monkeypatch.setattr(
        "punzinet.stages.run.Context", lambda options: Context(options, lambda: here.manifest)
    )
    for one in (first, second, third):
        one.finish(before, [], one.begin(before.output))
    with pytest.raises(InputError, match=r"first` in .* `luminosity` changed from 40\.0 to 50\.0"):
        run_command(third, here.options)
    run_command(third, replace(here.options, upstream=True, dry_run=True))
    assert ran == []
    assert capsys.readouterr().out.count("would run") == 3
    run_command(third, replace(here.options, upstream=True))
    assert ran == ["first", "second", "third"]
    run_command(third, here.options)
    assert ran == ["first", "second", "third"] + ["third"] * force


def test_a_second_run_is_told_who_is_at_work(tmp_path):
    folder = tmp_path / "output"
    assert holder_of(folder) is None
    with lock(folder, "train"):
        holder = holder_of(folder) or {}
        assert (holder["pid"], holder["stage"]) == (os.getpid(), "train")
        with pytest.raises(InputError, match=rf"`punzinet train` \(process {os.getpid()} on "):
            lock(folder, "select").__enter__()
    assert holder_of(folder) is None
    # What a killed run left keeps nobody out.
    (folder / ".lock").write_bytes(b"anything")
    (folder / ".running.json").write_text('{"pid": 1, "host": "x", "stage": "train"}')
    assert holder_of(folder) is None
    with lock(folder, "select"):
        assert (holder_of(folder) or {})["stage"] == "select"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, caplog, number):
    def no_lock(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with caplog.at_level(logging.WARNING), lock(tmp_path, "train"):
        assert "has no locks: nothing keeps a second run out" in caplog.text
        assert holder_of(tmp_path) is None


def test_of_several_processes_the_first_holds_the_lock(tmp_path, monkeypatch):
    with lock(tmp_path, "train"):
        monkeypatch.setenv("RANK", "1")
        with lock(tmp_path, "train"):
            pass
        monkeypatch.delenv("RANK")
        assert holder_of(tmp_path) is not None
