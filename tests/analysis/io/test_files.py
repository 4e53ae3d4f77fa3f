"""Files are whole or absent, and the same for the same contents."""

import time
from datetime import datetime

import numpy as np
import pytest
import uproot

from punzinet.analysis.io.files import InputError, atomic_path, checksum, read_json, write_json
from punzinet.analysis.io.reproducible_root import create_root_file


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "result.json"
    write_json(target, {"value": 1})

    def half_a_write():
        with atomic_path(target) as partial:
            partial.write_text("half of it")
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        half_a_write()
    with pytest.raises(RuntimeError), create_root_file(tmp_path / "a.root", "x"):
        raise RuntimeError
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, {"value": float("nan")})
    assert read_json(target, "nothing") == {"value": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_what_cannot_be_written_or_is_not_there(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="choose another"):
        write_json(tmp_path / "file" / "result.json", {})
    with pytest.raises(InputError, match="Cannot write"):
        write_root(tmp_path / "file" / "a.root", "x", 0)
    with pytest.raises(InputError, match="Cannot write"), atomic_path(tmp_path / "a" / "b"):
        (tmp_path / "a").rmdir()  # by somebody else
    with pytest.raises(InputError, match="run `punzinet features` first"):
        read_json(tmp_path / "windows.json", "punzinet features")


@pytest.mark.parametrize(
    "content",
    ['{"a": [', "[" * 100_000, "1" * 5000, "[1e999]", "[-Infinity]", '{"a": NaN}', "1" + 309 * "0"],
    ids=["half", "deep", "long", "too large", "infinite", "nan", "too large a whole number"],
)
def test_json_that_python_gives_up_on(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=r"x\.json cannot be read as JSON .* delete it and run `p"):
        read_json(tmp_path / "x.json", "punzinet features")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wikipedia", "adler32:11e60398"),  # Wikipedia's example
        ("a", "adler32:00620062"),
        ("abc", "md5:900150983cd24fb0d6963f7d28e17f72"),  # RFC 1321
        ("abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),  # FIPS
    ],
)
def test_checksums_are_those_that_are_published(tmp_path, text, expected):
    (tmp_path / "x").write_text(text)
    assert checksum(tmp_path / "x", expected.partition(":")[0]) == expected


CLOCK = datetime(2010, 1, 1)


def write_root(path, identity, seed):
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
    """And all that was written can be read."""
    first = [write_root(tmp_path / "a.root", "x", seed) for seed in range(8)]
    with uproot.open(tmp_path / "a.root") as file:
        kinds = file.classnames()
        assert sum(file[name].values().sum() for name, kind in kinds.items() if kind == "TH1D") > 5
        x = file["t"]["x"].array(library="np")
        assert (np.diff(x)[x[1:] > 0] == 1).all()
        folders = [file[name] for name, kind in kinds.items() if kind == "TDirectory"]
        assert {folder.modified_on for folder in [file, *folders]} == {CLOCK}
        assert {file.key(name).created_on for name in kinds} == {CLOCK}
    time.sleep(1.1)  # ROOT counts seconds
    assert [write_root(tmp_path / "other" / "b.root", "x", seed) for seed in range(8)] == first
    assert write_root(tmp_path / "c.root", "y", 0) != first[0]
    assert len(set(first)) == 8
