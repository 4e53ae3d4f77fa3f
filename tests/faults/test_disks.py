"""Disks that are full or cannot be written to, at every stage."""

import os
import resource
import shutil
import subprocess

import pytest
from outputs import contents

from punzinet.stages import CHAIN

EVERY_STAGE = pytest.mark.parametrize("stage", [*CHAIN, "report"])
pytestmark = [pytest.mark.faults, pytest.mark.timeout(900), EVERY_STAGE]
PAGE = resource.getpagesize()
SHARES = (0.0, 0.5)  # of what a stage writes there is room for


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


def test_a_full_disk_ends_in_a_sentence_and_costs_nothing(chain, disk, stage, survived):
    chain.before(stage, disk)
    for share in SHARES:
        pages = shutil.disk_usage(disk).used // PAGE + int(share * (chain.added[stage] // PAGE))
        remount(disk, f"size={pages * PAGE}")
        said = chain.refused(disk, stage)
        assert "No space left on device. Make room there, and run the same command" in said
    remount(disk, "size=256m")
    chain.complete(disk, stage)
    survived(disk, stage, faults=len(SHARES))


def test_a_quota_ends_in_a_sentence(chain, tmp_path, stage):
    """Not even a small file can be written; this needs no superuser."""
    folder = chain.before(stage, tmp_path)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))

    said = chain.refused(folder, stage, preexec_fn=limit)
    assert "File too large. Make room there, and run the same command" in said
    assert str(folder / "output") in said or "output/" in said


def test_an_output_that_cannot_be_written_to_ends_in_a_sentence(chain, disk, stage):
    chain.before(stage, disk)
    before = contents(disk / "output")
    remount(disk, "ro")
    said = chain.refused(disk, stage)
    assert "Read-only file system. Make the folder writable, or choose another with" in said
    assert contents(disk / "output") == before
    assert chain.run(disk, "status").returncode == 0
