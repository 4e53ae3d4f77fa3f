import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import uproot

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.reproducible_root import create_root_file

CLOCK = datetime(2010, 1, 1)


def write(path: Path, identity: str, value: float = 1.0) -> bytes:
    with create_root_file(path, identity) as file:
        for number in range(30):  # the lists of keys outgrow their places, and leave gaps
            file[f"folder/{number % 3}/h{number}"] = np.histogram([value], bins=4, range=(0, 4))
        tree = file.mktree("t", {"x": np.dtype("f8")})
        tree.extend({"x": np.full(1000, value)})
    return path.read_bytes()


def test_same_contents_same_bytes_whatever_the_name_and_the_time(tmp_path: Path) -> None:
    first = write(tmp_path / "a.root", "x")
    time.sleep(1.1)  # ROOT counts seconds
    assert write(tmp_path / "other" / "b.root", "x") == first
    assert write(tmp_path / "c.root", "y") != first
    assert write(tmp_path / "d.root", "x", 2.0) != first


def test_the_file_is_readable(tmp_path: Path) -> None:
    write(tmp_path / "a.root", "x")
    with uproot.open(tmp_path / "a.root") as file:
        assert file["folder/1/h28"].values().tolist() == [0, 1, 0, 0]
        assert file["t"]["x"].array(library="np").tolist() == [1.0] * 1000
        assert {file.file.root_directory.created_on, file["folder"].modified_on} == {CLOCK}
        assert {file.key(name).created_on for name in file} == {CLOCK}


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), create_root_file(tmp_path / "a.root", "x"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write"):
        write(tmp_path / "file" / "a.root", "x")
