"""Processes that are killed, again and again, and disks that are full or cannot be written to."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess

import numpy as np
import psutil
import pytest
from outputs import contents

from punzinet.stages import CHAIN

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
EVERY_STAGE = pytest.mark.parametrize("stage", [*CHAIN, "report"])
KILLS = 4
PAGE = resource.getpagesize()
SHARES = (0.0, 0.5)  # of what a stage writes there is room for


@EVERY_STAGE
def test_killed_at_random_moments(chain, tmp_path, stage):
    """Workers of a killed run are alive for a while, beside those of the next."""
    rng = np.random.default_rng([20, chain.stages.index(stage)])
    folder = chain.before(stage, tmp_path / "run")
    killed, workers, longest = 0, [], chain.seconds[stage]
    for _ in range(KILLS):
        process = chain.start(folder, stage)
        chain.wait_for_lock(folder, process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, longest))
        with contextlib.suppress(psutil.NoSuchProcess):
            workers += psutil.Process(process.pid).children(recursive=True)
        process.kill()
        if process.wait() != 0:
            killed += 1
        elif killed > 0:
            break
        else:  # a machine that was busier when it took the times
            longest /= 3
            shutil.rmtree(folder)
            chain.before(stage, folder)
    assert killed > 0
    chain.complete(folder, stage)
    assert "up to date" in chain.run(folder, stage).stdout
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    chain.check(folder, stage)


@EVERY_STAGE
def test_killed_at_a_change_of_the_output(chain, tmp_path, stage):
    """Right before a file is opened, renamed or removed: where an order of writing shows."""
    rng = np.random.default_rng([21, chain.stages.index(stage)])
    folder, log = tmp_path / "run", tmp_path / "log"

    def watched(number):
        return chain.watched(folder, stage, log, number).returncode

    def changes():
        output = str(folder / "output")
        return sum(line.split()[1].startswith(output) for line in log.read_text().splitlines())

    chain.before(stage, folder)
    assert watched(-1) == 0
    chain.check(folder, stage)
    count = changes()
    # The last changes are made when the results are in place, but not yet the record that says so.
    # A figure is written like any other, and takes long.
    for last in (8,) if stage == "plot" else (8, None):
        ended = 0
        while ended == 0:
            first = int(rng.integers(max(count - last, 0) if last else 0, count))
            shutil.rmtree(folder)
            chain.before(stage, folder)
            ended = watched(first)
            if ended == 0:  # a training that is faster than the one before has fewer checkpoints
                count = changes()
        assert ended == -signal.SIGKILL
        # What is left to do may be less than that; then the stage completes here.
        watched(int(rng.integers(count)))
        chain.complete(folder, stage)


def test_a_second_run_is_refused_while_the_first_is_at_work(chain, tmp_path):
    folder = chain.before("features", tmp_path)
    first = chain.start(folder, "features", "--executor", "iterative")
    chain.wait_for_lock(folder, first)
    first.send_signal(signal.SIGSTOP)  # so that it does not end before the others have tried
    try:
        for stage in ("simulate", "features"):
            said = chain.refused(folder, stage, "--force")
            assert f"`punzinet features` (process {first.pid} on " in said
            assert "is at work" in said
        assert "running" in chain.run(folder, "status").stdout
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait(280) == 0, (folder / "said").read_text()
    chain.check(folder, "features")


@pytest.fixture
def disk(tmp_path):
    """A disk in memory."""
    if os.getuid() != 0:
        pytest.skip("only the superuser may mount a disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", tmp_path]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the system mounts no disk: {done.stderr}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def remount(disk, option):
    subprocess.run(["mount", "-o", f"remount,{option}", disk], check=True)


@EVERY_STAGE
def test_a_full_disk_ends_in_a_sentence_and_costs_nothing(chain, disk, stage):
    chain.before(stage, disk)
    for share in SHARES:
        pages = shutil.disk_usage(disk).used // PAGE + int(share * (chain.added[stage] // PAGE))
        remount(disk, f"size={pages * PAGE}")
        said = chain.refused(disk, stage)
        assert "No space left on device. Make room there, and run the same command" in said
    remount(disk, "size=256m")
    chain.complete(disk, stage)


@EVERY_STAGE
def test_a_quota_ends_in_a_sentence(chain, tmp_path, stage):
    """Not even a small file can be written; this needs no superuser."""
    folder = chain.before(stage, tmp_path)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))

    said = chain.refused(folder, stage, preexec_fn=limit)
    assert "File too large. Make room there, and run the same command" in said
    assert str(folder / "output") in said or "output/" in said


@EVERY_STAGE
def test_an_output_that_cannot_be_written_to_ends_in_a_sentence(chain, disk, stage):
    chain.before(stage, disk)
    before = contents(disk / "output")
    remount(disk, "ro")
    said = chain.refused(disk, stage)
    assert "Read-only file system. Make the folder writable, or choose another with" in said
    assert contents(disk / "output") == before
    assert chain.run(disk, "status").returncode == 0
