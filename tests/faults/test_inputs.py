"""Input files that are damaged, or other than they were."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from commands import PUNZINET, run, sentence_of
from outputs import contents
from small_data import damage, make_events, make_manifest, write_manifest, write_ntuple

pytestmark = pytest.mark.faults
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path, ntuples: dict[str, Path]) -> Path:
    """A folder with a manifest of four files of background, and one of signal."""
    shutil.copy(ntuples["signal"], tmp_path)
    for number in range(4):
        write_ntuple(tmp_path / f"tautau{number}.root", make_events(10 + number, 3000))
    manifest = make_manifest(
        {"signal": "signal.root", "tautau": {"files": ["tautau*.root"], "entries": 12_000}},
        features={"chunk_size": 1000},
    )
    write_manifest(tmp_path / "data_manifest.yaml", manifest)
    return tmp_path


@pytest.fixture
def features(folder: Path) -> Run:
    """Function (*options) that runs the features stage."""
    return partial(run, *PUNZINET, "-v", "features", "--executor", "iterative", folder=folder)


def status(folder: Path) -> str:
    """What `punzinet status` says, in one line."""
    done = run(*PUNZINET, "status", folder=folder)
    assert done.returncode == 0
    return " ".join(done.stdout.split())


@pytest.fixture
def check_events(folder: Path, record_property) -> Callable[..., None]:
    """Function (expected) that counts entries read, of which none is missing or double."""

    def check(expected: int) -> None:
        content = json.loads((folder / "output" / "features" / "completeness.json").read_text())
        every = content["datasets"].values()
        assert all(one["read"] == one["present"] for one in every)
        assert not any(one["duplicates"]["events"] for one in every)
        assert sum(one["read"] for one in every) == expected
        record_property("faults", 1)
        record_property("events", expected)

    return check


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_a_truncated_file_among_good_ones(
    folder: Path, features: Run, share: float, check_events
) -> None:
    path = folder / "tautau2.root"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    said = sentence_of(features())
    assert "tautau2.root" in said
    assert "is empty" in said or "truncated" in said
    assert not (folder / "output" / "windows.json").exists()
    # All but that file, if the user says so; then the file is repaired.
    assert features("--allow-missing").returncode == 0
    check_events(12_000 + 9000)
    path.write_bytes(whole)
    assert features().returncode == 0
    check_events(24_000)


def test_status_shows_what_failed_and_why(folder: Path, features: Run) -> None:
    """A file that can be opened, and whose middle cannot be read."""
    damage(folder / "tautau2.root")
    assert "tautau2.root" in sentence_of(features())
    said = status(folder)
    assert re.search(r"features +│ failed", said)
    found = re.search(r"features features tautau (\d+)/(\d+) [\d,]+ 12,000 (\d+)", said)
    assert found
    completed, chunks, failed = map(int, found.groups())
    assert failed == 1  # of the files, not of their chunks
    assert 0 < completed < chunks
    assert re.search(r"features: .*tautau2\.root: branch \S+ cannot be read", said)


@pytest.mark.parametrize("kind", ["uuid", "size", "time"])
def test_a_file_that_changed_between_two_runs(
    folder: Path, features: Run, kind: str, check_events
) -> None:
    """By any of the three it is known to be another; only its own chunks are done again."""
    assert features().returncode == 0
    before, path = contents(folder / "output"), folder / "tautau1.root"
    found = path.stat()
    if kind == "time":
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    else:
        write_ntuple(path, make_events(77 if kind == "uuid" else 11, 3000))
        # Compression makes another size of other numbers: fill up what is not read, so that nothing
        # but the UUID tells them apart.
        size = found.st_size if kind == "uuid" else path.stat().st_size + 100
        assert path.stat().st_size <= size
        os.truncate(path, size)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    done = features()
    assert done.returncode == 0, done.stderr
    assert "input file" in done.stderr
    assert "tautau1.root has changed" in " ".join(done.stderr.split())
    again = contents(folder / "output")
    changed = {name for name in before if again.get(name) != before[name]}
    tensors_changed = {name for name in changed if name.startswith("tensors")}
    assert all("tautau1-" in name for name in tensors_changed)
    assert bool(tensors_changed) == (kind == "uuid")
    check_events(24_000)


def test_status_shows_events_that_are_there_twice(folder: Path, features: Run) -> None:
    """A merged file that was left beside its parts has another UUID and the same events."""
    write_ntuple(folder / "tautau9.root", make_events(10, 3000))  # the events of the first
    manifest = folder / "data_manifest.yaml"
    manifest.write_text(manifest.read_text().replace("entries: 12000", "entries: 15000"))
    assert features().returncode == 0
    assert "repeats 3000 events" in status(folder)
