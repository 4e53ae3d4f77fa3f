"""Features with something missing: what is left when it cannot be read, and its normalisation."""

import json
import shutil

import polars as pl
import pytest
from small_data import damage, make_manifest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.processors.executors import Execution
from punzinet.processors.runs.features import run_features


def completeness(ntuples, folder, background, *, allow_missing=True, **changes):
    """What is said of the small files with another background; nothing may go wrong."""
    manifest = make_manifest({**ntuples, **background}, **changes)
    run_features(manifest, OutputFolder(folder), Execution(), allow_missing=allow_missing)
    return json.loads(OutputFolder(folder).completeness.read_text())


@pytest.mark.parametrize(
    ("allow_missing", "sentence"),
    [(False, r"bad\.root is truncated"), (True, r"bad\.root .*`datasets\.tautau\.entries`")],
)
def test_what_is_missing_has_to_be_allowed_and_known(
    allow_missing, sentence, tmp_path, ntuples, broken
):
    with pytest.raises(InputError, match=sentence):
        completeness(ntuples, tmp_path, {"tautau": broken}, allow_missing=allow_missing)


def test_luminosity_shrinks_with_what_was_processed(tmp_path, ntuples, broken):
    complete = completeness(ntuples, tmp_path, {"tautau": {**broken, "entries": 10_000}})
    assert complete["provenance"]["settings"]["processed"] == {"tautau": 0.3}
    (missing,) = complete["missing"]
    assert missing["file"] == str(tmp_path / "bad.root")
    table = pl.read_parquet(OutputFolder(tmp_path).tensors / "tautau" / "*.parquet")
    assert table["weight"].to_numpy() == pytest.approx(0.9 * 50 / (100 * 0.3))


def test_a_file_that_the_pattern_does_not_find_is_missing(tmp_path, ntuples):
    shutil.copy(ntuples["eemumu"], tmp_path / "one.root")
    entries = {"one.root": 3000, "two.root": 7000}
    files = {"process": "tautau", "files": [str(tmp_path / "*.root")], "entries": entries}
    complete = completeness(ntuples, tmp_path, {"tautau": files})
    assert complete["provenance"]["settings"]["processed"] == {"tautau": 0.3}
    assert [one["file"] for one in complete["missing"]] == ["two.root"]


def test_chunks_that_cannot_be_read_are_left_out(tmp_path, ntuples):
    path = shutil.copy(ntuples["tautau"], tmp_path)
    damage(tmp_path / "tautau.root")
    for allow_missing, sentence in (
        (False, r"tautau\.root: branch \S+ cannot be read"),
        (True, "can be read of 7000 expected"),
    ):
        with pytest.raises(InputError, match=sentence):
            completeness(
                ntuples, tmp_path, {"tautau": path}, allow_missing=allow_missing,
                features={"chunk_size": 500},
            )  # fmt: skip


def test_signal_of_several_masses_has_to_be_whole(tmp_path, ntuples):
    files = [str(ntuples["signal"]), str(tmp_path / "gone.root")]
    signal = {"process": "signal", "files": files, "entries": 13_000}
    with pytest.raises(InputError, match="nothing says of which generated mass"):
        completeness(ntuples, tmp_path, {"signal": signal})
