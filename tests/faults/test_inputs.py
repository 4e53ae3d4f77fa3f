"""Input files that are damaged, or other than they were."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uproot
import yaml

from punzinet.analysis.manifest.manifest import Manifest

pytestmark = pytest.mark.faults
Count = Callable[[str, object], None]
Run = Callable[..., subprocess.CompletedProcess[str]]
BACKGROUNDS = 4


@pytest.fixture
def folder(
    tmp_path: Path, make_manifest: Callable[..., Manifest], ntuples: dict[str, Path],
    make_events: Callable[..., Any], write_ntuple: Callable[..., Path],
) -> Path:  # fmt: skip
    """A folder with a manifest of some files of background, and one of signal."""
    shutil.copy(ntuples["signal"], tmp_path)
    for number in range(BACKGROUNDS):
        write_ntuple(tmp_path / f"tautau{number}.root", make_events(10 + number, 3000))
    manifest = make_manifest(
        {"signal": "signal.root", "tautau": {"files": ["tautau*.root"], "entries": 12_000}},
        features={"chunk_size": 1000},
    )
    content = manifest.model_dump(mode="json", exclude_unset=True)
    for dataset in content["datasets"].values():
        dataset.pop("name")
    (tmp_path / "data_manifest.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


@pytest.fixture
def features(folder: Path) -> Run:
    """Function (*options) that runs the features stage."""

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "punzinet", "-v", "features", "--executor"]
        return subprocess.run(
            [*command, "iterative", *options], cwd=folder, capture_output=True, text=True,
            check=False, timeout=280,
        )  # fmt: skip

    return run


def tensors(folder: Path) -> dict[str, bytes]:
    """All results of the stage by name."""
    output = folder / "output"
    files = [*output.glob("tensors/*/*"), output / "windows.json", *output.glob("features/*")]
    return {str(path.relative_to(output)): path.read_bytes() for path in files}


def counted(folder: Path) -> dict[str, int]:
    """Entries that were read, and those that are missing or double."""
    datasets = json.loads((folder / "output" / "features" / "completeness.json").read_text())
    every = datasets["datasets"].values()
    wrong = sum(abs(one["read"] - one["present"]) + one["duplicates"]["events"] for one in every)
    return {"events": sum(one["read"] for one in every), "wrong": wrong}


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_a_truncated_file_among_good_ones(
    *, folder: Path, features: Run, sentence_of: Any, share: float, record_property: Count
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
    assert counted(folder) == {"events": 12_000 + 9000, "wrong": 0}
    path.write_bytes(whole)
    assert features().returncode == 0
    result = {"faults": 1, **counted(folder)}
    for name, value in result.items():
        record_property(name, value)
    assert result == {"faults": 1, "events": 24_000, "wrong": 0}


def test_status_shows_what_failed_and_why(
    *, folder: Path, features: Run, sentence_of: Any, record_property: Count,
    damage: Callable[[Path], None],
) -> None:  # fmt: skip
    """A file that can be opened, and whose middle cannot be read."""
    path = folder / "tautau2.root"
    damage(path)
    assert "tautau2.root" in sentence_of(features())
    done = subprocess.run(
        [sys.executable, "-m", "punzinet", "status"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    said = " ".join(done.stdout.split())
    assert re.search(r"features +│ failed", said)
    found = re.search(r"features features tautau (\d+)/(\d+) [\d,]+ 12,000 (\d+)", said)
    assert found
    completed, chunks, failed = map(int, found.groups())
    assert failed == 1  # of the files, not of their chunks
    assert 0 < completed < chunks
    assert re.search(r"features: .*tautau2\.root: branch \S+ cannot be read", said)
    record_property("faults", 1)


@pytest.mark.parametrize("kind", ["uuid", "size", "time"])
def test_a_file_that_changed_between_two_runs(
    *, folder: Path, features: Run, kind: str, make_events: Callable[..., Any],
    write_ntuple: Callable[..., Path], record_property: Count,
) -> None:  # fmt: skip
    """By any of the three it is known to be another; only its own chunks are done again."""
    assert features().returncode == 0
    before, path = tensors(folder), folder / "tautau1.root"
    status = path.stat()
    if kind == "time":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    else:
        events = make_events(77 if kind == "uuid" else 11, 3000)
        write_ntuple(path, events)
        if kind == "uuid":
            # Compression makes another size of other numbers: fill up what is not read.
            size = path.stat().st_size
            with path.open("ab") as file:
                file.write(bytes(max(status.st_size - size, 0)))
        else:
            with path.open("ab") as file:
                file.write(bytes(100))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        if kind == "uuid":  # only then does nothing but the UUID tell them apart
            assert path.stat().st_size == status.st_size
    done = features()
    assert done.returncode == 0, done.stderr
    assert "input file" in done.stderr
    assert "tautau1.root has changed" in " ".join(done.stderr.split())
    again = tensors(folder)
    changed = {name for name in before if again.get(name) != before[name]}
    tensors_changed = {name for name in changed if name.startswith("tensors")}
    assert all("tautau1-" in name for name in tensors_changed)
    assert bool(tensors_changed) == (kind == "uuid")
    total = counted(folder)
    for name, value in {"faults": 1, **total}.items():
        record_property(name, value)
    assert total == {"events": 24_000, "wrong": 0}


def test_events_that_are_there_twice_are_reported(
    folder: Path, features: Run, record_property: Count
) -> None:
    """A merged file that was left beside its parts has another UUID and the same events."""
    with uproot.open(folder / "tautau0.root") as file:
        columns = file["variables"].arrays(library="np")
    with uproot.recreate(folder / "tautau9.root") as file:
        tree = file.mktree("variables", {name: array.dtype for name, array in columns.items()})
        tree.extend(columns)
    manifest = folder / "data_manifest.yaml"
    manifest.write_text(manifest.read_text().replace("entries: 12000", "entries: 15000"))
    assert features().returncode == 0
    assert counted(folder) == {"events": 27_000, "wrong": 3000}
    done = subprocess.run(
        [sys.executable, "-m", "punzinet", "status"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "repeats 3000 events" in " ".join(done.stdout.split())
    record_property("faults", 1)
