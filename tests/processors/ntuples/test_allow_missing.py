"""Features with something missing: what is left when it cannot be read, and its normalisation."""

import json
import shutil

import polars as pl
import pytest
from small_data import damage, make_manifest
from small_runs import make_features

from punzinet.analysis.io.files import InputError


def completeness(ntuples, folder, background, *, allow_missing=True, **changes):
    """What is said of the small files with another background; nothing may go wrong."""
    manifest = make_manifest({**ntuples, **background}, **changes)
    output = make_features(manifest, folder, allow_missing=allow_missing)
    return json.loads(output.completeness.read_text())


def test_what_is_missing_has_to_be_allowed_and_known(tmp_path, ntuples, broken):
    shutil.copy(ntuples["tautau"], tmp_path)
    damage(tmp_path / "tautau.root")
    files = [str(ntuples["signal"]), str(tmp_path / "gone.root")]
    several = {"process": "signal", "files": files, "entries": 13_000}
    for background, allow_missing, sentence in (
        ({"tautau": broken}, False, r"bad\.root is truncated"),
        ({"tautau": broken}, True, r"bad\.root .*`datasets\.tautau\.entries`"),
        ({"tautau": tmp_path / "tautau.root"}, False, r"tautau\.root: branch \S+ cannot be read"),
        ({"tautau": tmp_path / "tautau.root"}, True, "can be read of 7000 expected"),
        ({"signal": several}, True, "nothing says of which generated mass"),
    ):
        with pytest.raises(InputError, match=sentence):
            completeness(
                ntuples, tmp_path, background, allow_missing=allow_missing,
                features={"chunk_size": 500},
            )  # fmt: skip


def test_luminosity_shrinks_with_what_was_processed(tmp_path, ntuples, broken):
    complete = completeness(ntuples, tmp_path, {"tautau": {**broken, "entries": 10_000}})
    assert complete["provenance"]["settings"]["processed"] == {"tautau": 0.3}
    (missing,) = complete["missing"]
    assert missing["file"] == str(tmp_path / "bad.root")
    table = pl.read_parquet(tmp_path / "tensors/tautau/*.parquet")
    assert table["weight"].to_numpy() == pytest.approx(0.9 * 50 / (100 * 0.3))
    shutil.copy(ntuples["tautau"], tmp_path / "bad.root")
    mended = completeness(ntuples, tmp_path, {"tautau": {**broken, "entries": 10_000}})
    assert mended["provenance"]["settings"]["processed"] == {}
    assert mended["datasets"]["tautau"]["read"] == 10_000


def test_a_file_that_the_pattern_does_not_find_is_missing(tmp_path, ntuples):
    shutil.copy(ntuples["eemumu"], tmp_path / "one.root")
    entries = {"one.root": 3000, "two.root": 7000}
    files = {"process": "tautau", "files": [str(tmp_path / "*.root")], "entries": entries}
    complete = completeness(ntuples, tmp_path, {"tautau": files})
    assert complete["provenance"]["settings"]["processed"] == {"tautau": 0.3}
    assert [one["file"] for one in complete["missing"]] == ["two.root"]
