"""Disks that are full or cannot be written to, at every stage."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from punzinet.stages import CHAIN

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
Count = Callable[[str, object], None]
EVERY_STAGE = pytest.mark.parametrize("stage", [*CHAIN, "report"])
PAGE = resource.getpagesize()
SHARES = (0.0, 0.5)
"""How much of what a stage writes there is room for."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[str], None]]:
    """Mount a disk in memory; the function that comes with it mounts it with other options."""
    if os.getuid() != 0:
        pytest.skip("only the superuser may mount a disk")
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", folder],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"the system mounts no disk: {done.stderr}")

    def change(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)

    try:
        yield change
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def pages(folder: Path) -> int:
    """Pages of memory that the content of a disk takes."""
    return shutil.disk_usage(folder).used // PAGE


@EVERY_STAGE
def test_a_full_disk_ends_in_a_sentence_and_costs_nothing(
    *, chain: Any, tmp_path: Path, stage: str, sentence_of: Any, survived: Callable[..., None]
) -> None:
    with small_disk(tmp_path / "disk") as change:
        folder = chain.before(stage, tmp_path / "disk")
        needed = chain.added[stage] // PAGE
        for share in SHARES:
            change(f"size={(pages(folder) + int(share * needed)) * PAGE}")
            said = sentence_of(chain.run(folder, stage))
            assert "No space left on device. Make room there, and run the same command" in said
        change("size=256m")
        chain.complete(folder, stage)
        survived(folder, stage, faults=len(SHARES))


@EVERY_STAGE
def test_a_quota_ends_in_a_sentence(
    chain: Any, tmp_path: Path, stage: str, sentence_of: Any, record_property: Count
) -> None:
    """Not even a small file can be written; this needs no superuser."""
    folder = chain.before(stage, tmp_path)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))

    said = sentence_of(chain.run(folder, stage, preexec_fn=limit))
    assert "File too large. Make room there, and run the same command" in said
    assert str(folder / "output") in said or "output/" in said
    record_property("faults", 1)


@EVERY_STAGE
def test_an_output_that_cannot_be_written_to_ends_in_a_sentence(
    chain: Any, tmp_path: Path, stage: str, sentence_of: Any, record_property: Count
) -> None:
    with small_disk(tmp_path / "disk") as change:
        folder = chain.before(stage, tmp_path / "disk")
        before = chain.results(folder)
        change("ro")
        said = sentence_of(chain.run(folder, stage))
        assert "Read-only file system. Make the folder writable, or choose another with" in said
        assert chain.results(folder) == before
        assert chain.run(folder, "status").returncode == 0
    record_property("faults", 1)
