"""Trial runs and missing files: what is processed, normalised as all of it would be."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outputs import datasets_of, settings_of
from small_data import broken, damage, make_manifest
from small_runs import make_features

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.output import OutputFolder, processed_of
from punzinet.processors.datasets import Chunk
from punzinet.processors.preflight import InputFile
from punzinet.processors.runs.reading import Reading

LIGHT = {"process": "signal", "files": ["1.root"], "mass": 1.0}
ONE_ENTRY = make_manifest(
    {"signal": "s.root", "light": LIGHT, "tautau": "t.root"}, features={"chunk_size": 1}
)


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    files=st.none() | st.integers(1, 6),
    chunks=st.none() | st.integers(1, 12),
)
def test_the_first_files_and_chunks_of_each_dataset_are_taken(sizes, files, chunks):
    every = [
        [Chunk(name, f"/{n}.root", i, i + 1) for n, size in enumerate(sizes) for i in range(size)]
        for name in ONE_ENTRY.datasets
    ]
    inputs = [
        InputFile(own[0].dataset, f"/{n}.root", "t", size, {}, str(n))
        for own in every for n, size in enumerate(sizes)
    ]  # fmt: skip
    trial = {"files": files, "chunks": chunks}
    taken = Reading(ONE_ENTRY, inputs, [], Path(), trial=trial).chunks()
    mixed, *others = every  # signal of several masses
    assert taken == mixed + [one for own in others for one in own[: sum(sizes[:files])][:chunks]]


@pytest.mark.parametrize("trial", ['"x": 1', '"files": 0', '"files": true', '"files": "1"', "["])
def test_a_damaged_result_is_not_taken_for_a_whole_run(trial, tmp_path):
    output = OutputFolder(tmp_path)
    for stage, path in (("features", output.completeness), ("select", output.selection_cutflow)):
        assert processed_of(output, stage) == {}
        path.parent.mkdir()
        path.write_text(f'{{"provenance": {{"settings": {{"trial": {{{trial}}}}}}}}}')
        sentence = rf"{path} .*; delete it and run `punzinet {stage}` again\."
        with pytest.raises(InputError, match=sentence):
            processed_of(output, stage)


def test_background_is_scaled_up_and_mixed_signal_taken_whole(ntuples, tmp_path):
    """Of 12000 entries of signal, 7000 and 3000 of background."""
    manifest = make_manifest(ntuples, features={"chunk_size": 1000})
    trials = enumerate(({}, {"trial": {"files": None, "chunks": 3}}))
    folders = [make_features(manifest, tmp_path / str(i), **trial) for i, trial in trials]
    for name, share in {"signal": 1, "tautau": 3 / 7, "eemumu": 1}.items():
        whole, part = (datasets_of(one.features_cutflow)[name]["cutflow"] for one in folders)
        assert part[0]["entries"] == round(share * whole[0]["entries"])
        assert part[0]["weight"] == pytest.approx(whole[0]["weight"])
        events = [len(pl.read_parquet(one.tensors / name / "*.parquet")) for one in folders]
        assert events[1] == pytest.approx(share * events[0], rel=0.1)
    whole, part = (settings_of(folder.completeness) for folder in folders)
    processed = {"tautau": pytest.approx(3 / 7)}
    assert part == {**whole, "trial": {"files": None, "chunks": 3}, "processed": processed}
    assert processed_of(folders[1])["trial"] == {"files": None, "chunks": 3}
    assert not processed_of(folders[0])
    assert not processed_of(folders[1], "select")


def completeness(ntuples, folder, background, *, allow_missing=True):
    """What is said of the small files with another background; nothing may go wrong."""
    manifest = make_manifest({**ntuples, **background}, features={"chunk_size": 2000})
    output = make_features(manifest, folder, allow_missing=allow_missing)
    return json.loads(output.completeness.read_text())


def test_what_is_missing_has_to_be_allowed_and_known(tmp_path, ntuples):
    shutil.copy(ntuples["tautau"], tmp_path)
    damage(tmp_path / "tautau.root")
    cut_off = broken(ntuples, tmp_path)
    files = [str(ntuples["signal"]), str(tmp_path / "gone.root")]
    several = {"process": "signal", "files": files, "entries": 13_000}
    for background, allow_missing, sentence in (
        ({"tautau": cut_off}, False, r"bad\.root is truncated"),
        ({"tautau": cut_off}, True, r"bad\.root .*`datasets\.tautau\.entries`"),
        ({"tautau": tmp_path / "tautau.root"}, True, r"tautau\.root: branch \S+ cannot be read"),
        ({"signal": several}, True, "nothing says of which generated mass"),
    ):
        with pytest.raises(InputError, match=sentence):
            completeness(ntuples, tmp_path, background, allow_missing=allow_missing)


def test_luminosity_shrinks_with_what_was_processed(tmp_path, ntuples):
    background = {"tautau": {**broken(ntuples, tmp_path), "entries": 10_000}}
    complete = completeness(ntuples, tmp_path, background)
    assert complete["provenance"]["settings"]["processed"] == {"tautau": 0.3}
    (missing,) = complete["missing"]
    assert missing["file"] == str(tmp_path / "bad.root")
    table = pl.read_parquet(tmp_path / "tensors/tautau/*.parquet")
    assert table["weight"].to_numpy() == pytest.approx(0.9 * 50 / (100 * 0.3))
    shutil.copy(ntuples["tautau"], tmp_path / "bad.root")
    mended = completeness(ntuples, tmp_path, background)
    assert mended["provenance"]["settings"]["processed"] == {}
    assert mended["datasets"]["tautau"]["read"] == 10_000


def test_a_file_that_the_pattern_does_not_find_is_missing(tmp_path, ntuples):
    shutil.copy(ntuples["eemumu"], tmp_path / "one.root")
    entries = {"one.root": 3000, "two.root": 7000}
    files = {"process": "tautau", "files": [str(tmp_path / "*.root")], "entries": entries}
    complete = completeness(ntuples, tmp_path, {"tautau": files})
    assert complete["provenance"]["settings"]["processed"] == {"tautau": 0.3}
    assert [one["file"] for one in complete["missing"]] == ["two.root"]
