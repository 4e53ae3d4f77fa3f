"""Files are whole or absent."""

import pytest

from punzinet.analysis.io.files import InputError, atomic_path, checksum, read_json, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "result.json"
    write_json(target, {"value": 1})

    def half_a_write() -> None:
        with atomic_path(target) as partial:
            partial.write_text("half of it")
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        half_a_write()
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, {"value": float("nan")})
    assert read_json(target, "nothing") == {"value": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_what_cannot_be_written_or_is_not_there(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="choose another"):
        write_json(tmp_path / "file" / "result.json", {})
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
