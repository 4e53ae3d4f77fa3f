"""Running stages: what comes before, locks, and processes of torchrun."""

import errno
import fcntl
import logging
import os
from contextlib import nullcontext

import pytest

from punzinet.analysis.io.files import InputError
from punzinet.stages.run import holder_of, lock, run_command
from punzinet.stages.stage import Stage


@pytest.mark.parametrize("force", [False, True])
def test_upstream_runs_first_what_is_out_of_date(context, force):
    ran = []

    def stage(name, *after):
        note = ran.append
        return Stage(name=name, run=lambda _: note(name) or [], reads=("luminosity",), after=after)

    first = stage("first")
    second = stage("second", first)
    third = stage("third", second)
    here, before = context({"force": force}), context(luminosity=40.0)
    for one in (first, second, third):
        one.finish(before, [], one.begin(before.output))
    with pytest.raises(InputError, match=r"first` in .* `luminosity` changed from 40\.0 to 50\.0"):
        run_command(third, here)
    run_command(third, here.with_options(upstream=True, dry_run=True))
    assert ran == []
    run_command(third, here.with_options(upstream=True))
    assert ran == ["first", "second", "third"]
    run_command(third, here)
    assert ran == ["first", "second", "third"] + ["third"] * force


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, caplog, number):
    def no_lock(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with caplog.at_level(logging.WARNING), lock(tmp_path, "train"):
        assert "has no locks: nothing keeps a second run out" in caplog.text
        assert not holder_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("blocked/output", "Cannot write .*blocked.* Make the folder writable, or .* --output"),
        ("x" * 300, "Cannot write .*too long. Make the folder writable, or .* --output"),
        ("\udcff", r"\\udcff' is not in UTF-8; .* --output"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, name, said):
    (tmp_path / "blocked").touch()
    with pytest.raises(InputError, match=said), lock(tmp_path / name, "train"):
        pass


#: What torchrun tells the second of two processes.
SECOND = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
          "TORCHELASTIC_RUN_ID": "a", "MASTER_ADDR": "h", "MASTER_PORT": "29500"}  # fmt: skip


@pytest.mark.parametrize(
    "told",
    [{}, {"RANK": "abc"}, {"RANK": "2"}, {"LOCAL_WORLD_SIZE": "0"},
     *({name: ""} for name in SECOND)],
)  # fmt: skip
def test_of_processes_of_torchrun_the_first_holds_the_lock(context, monkeypatch, told):
    here, ran = context(), []
    shared, alone = (
        Stage(name="shared", run=lambda _: ran.append(1), together=together)
        for together in (True, False)
    )
    with lock(here.output.root, "train"):
        for name, value in (SECOND | told).items():
            monkeypatch.setenv(name, value)
        for stage in (shared, alone):
            refused = nullcontext() if stage.together and not told else pytest.raises(InputError)
            with refused:
                run_command(stage, here)
        assert holder_of(here.output.root)["stage"] == "train"
    assert ran == [1] * (not told)
