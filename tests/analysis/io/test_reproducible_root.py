import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import uproot

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.reproducible_root import create_root_file

CLOCK = datetime(2010, 1, 1)


def write(path: Path, identity: str, seed: int) -> bytes:
    """Histograms and trees by chance: lists of keys and of gaps grow and shrink on the way."""
    rng = np.random.default_rng(seed)
    with create_root_file(path, identity) as file:
        tree = file.mktree("t", {"x": np.dtype("f8")})
        for number in range(rng.integers(5, 150)):
            folder = "/".join("abc"[kind] * rng.integers(1, 30) for kind in rng.integers(3, size=2))
            file[f"{folder}/h{number}"] = np.histogram([1.0], bins=rng.integers(1, 500))
            if rng.random() < 0.3:
                tree.extend({"x": np.arange(rng.integers(1, 40_000), dtype="f8")})
    return path.read_bytes()


def test_same_contents_same_bytes_whatever_the_name_and_the_time(tmp_path):
    first = [write(tmp_path / "a.root", "x", seed) for seed in range(8)]
    time.sleep(1.1)  # ROOT counts seconds
    assert [write(tmp_path / "other" / "b.root", "x", seed) for seed in range(8)] == first
    assert write(tmp_path / "c.root", "y", 0) != first[0]
    assert len(set(first)) == 8


def test_all_that_was_written_can_be_read(tmp_path):
    write(tmp_path / "a.root", "x", 3)
    with uproot.open(tmp_path / "a.root") as file:
        kinds = file.classnames()
        assert sum(file[name].values().sum() for name, kind in kinds.items() if kind == "TH1D") > 5
        x = file["t"]["x"].array(library="np")
        assert (np.diff(x)[x[1:] > 0] == 1).all()
        folders = [file[name] for name, kind in kinds.items() if kind == "TDirectory"]
        assert {folder.modified_on for folder in [file, *folders]} == {CLOCK}
        assert {file.key(name).created_on for name in kinds} == {CLOCK}


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), create_root_file(tmp_path / "a.root", "x"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write"):
        write(tmp_path / "file" / "a.root", "x", 0)
