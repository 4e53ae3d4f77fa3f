"""Input files that are other than they were."""

import os
import shutil

import pytest
from commands import PUNZINET, run
from outputs import contents, datasets_of
from small_data import make_events, make_manifest, write_manifest, write_ntuple

pytestmark = pytest.mark.faults


@pytest.fixture
def features(tmp_path, ntuples):
    """Function that runs the stage in a folder with a signal and four files of background."""
    shutil.copy(ntuples["signal"], tmp_path)
    for number in range(4):
        write_ntuple(tmp_path / f"tautau{number}.root", make_events(10 + number, 3000))
    files = {"signal": "signal.root", "tautau": {"files": ["tautau*.root"]}}
    manifest = make_manifest(files, features={"chunk_size": 1000})
    write_manifest(tmp_path / "data_manifest.yaml", manifest)

    def features():
        command = (*PUNZINET, "-v", "features", "--executor", "iterative")
        done = run(*command, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return " ".join(done.stderr.split())

    return features


@pytest.mark.parametrize("kind", ["uuid", "size", "time"])
def test_a_file_that_changed_between_two_runs(tmp_path, features, kind, record_property):
    """By any of the three it is known to be another; only its own chunks are done again."""
    features()
    before, path = contents(tmp_path / "output"), tmp_path / "tautau1.root"
    found = path.stat()
    if kind != "time":
        write_ntuple(path, make_events(77 if kind == "uuid" else 11, 3000))
        # Compression makes another size of other numbers: fill up what is not read, so that nothing
        # but the UUID tells them apart.
        size = found.st_size if kind == "uuid" else path.stat().st_size + 100
        assert path.stat().st_size <= size
        os.truncate(path, size)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + (kind == "time")))
    assert "tautau1.root has changed" in features()
    again = contents(tmp_path / "output")
    changed = [n for n in before if n.startswith("tensors") and again.get(n) != before[n]]
    assert all("tautau1-" in name for name in changed)
    assert bool(changed) == (kind == "uuid")
    every = datasets_of(tmp_path / "output" / "features" / "completeness.json").values()
    assert all(one["read"] == one["present"] for one in every)
    assert not any(one["duplicates"]["events"] for one in every)
    assert sum(one["read"] for one in every) == 24_000
    record_property("events", 24_000)
