"""Comparisons with published numbers: what is counted, what agrees, what is missing."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_data import make_manifest, windows_of

from punzinet.analysis.io.files import InputError, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.peak_fit import PeakFit
from punzinet.analysis.simulation import published, sampling

MASSES = np.array([0.9, 1.7, 2.5, 3.0])
FIT = PeakFit(0.0, 0.3, 0.6, 0.8, 0.3, 0.01, 500.0, 40.0, 46, None)
#: Published widths, the third interpolated; every second mass trains.
WINDOWS = replace(
    windows_of(MASSES, [0.296, 0.304, 0.4, 0.3], [True, False, True, False]),
    fitted=np.array([True, True, False, True]),
    fits=(FIT, FIT, replace(FIT, sigma_error=np.nan, problem="few events"), FIT),
)


@pytest.fixture
def folder(tmp_path):
    """What the features stage leaves: four background events, one in training windows twice."""
    output = OutputFolder(tmp_path)
    WINDOWS.write(output.windows, {})
    start, stop = np.array([[0, 1, 1, 3], [1, 2, 3, 3]], np.int16)  # windows 0, 1, 1 and 2, none
    table = {"window_start": start, "window_stop": stop, "weight": np.array([0.45, 0.9, 1.8, 3.6])}
    for name in ("tautau", "eemumu"):
        (output.tensors / name).mkdir(parents=True)
        pq.write_table(pa.table(table), output.tensors / name / "part.parquet")
    inside = zip(MASSES.tolist(), (300, 999, 400, 999), strict=True)
    rows = [{"mass": m, "generated": 1000, "in_own_window": n} for m, n in inside]
    write_json(output.features_cutflow, {"datasets": {"signal": {"hypotheses": rows}, "b": {}}})
    total = {"process": "eemumu", "total_cross_section_nb": {"value": 18.0, "error": 0.1}}
    write_json(output.simulation_record, {"datasets": {"b": total, "s": {"process": "signal"}}})
    return output


@pytest.fixture
def manifest():
    return make_manifest({"signal": "s.root", "tautau": "t.root", "eemumu": "e.root"})


def test_training_windows_count_at_50_per_fb_without_corrections(folder, manifest):
    yields = published.background_yields(manifest, folder, WINDOWS)
    # of the trigger's 0.9 nothing is left: 0.5 in window 0 and 2.0 in windows 1 and 2
    assert yields["tautau"] == pytest.approx((2.5, np.hypot(0.5, 2.0)))
    assert "mumugamma" not in yields
    half = manifest.model_copy(update={"luminosity": 25.0})
    assert published.background_yields(half, folder, WINDOWS)["tautau"][0] == pytest.approx(5.0)
    share, error = published.signal_in_window(folder, WINDOWS)
    assert share == pytest.approx(0.35)
    assert error == pytest.approx(np.sqrt(0.3 * 0.7 + 0.4 * 0.6) / np.sqrt(1000) / 2)


def test_widths_are_found_by_mass():
    first, fitted, _, interpolated, *_, last = found = published.widths(WINDOWS)
    assert [row.quantity[15:-5] for row in (first, fitted, last)] == ["0.1", "0.9", "8.1"]
    assert len(found) == 11
    assert (fitted.ours, fitted.error, fitted.note) == (0.296, 0.01, "")
    assert (interpolated.ours, interpolated.error) == (0.4, None)
    assert "interpolated" in interpolated.note
    assert first.ours is last.ours is None


def test_total_cross_sections_are_the_published_ones(folder):
    for name, tolerance in (("mumugamma", 0.01), ("tautau", 0.01), ("eemumu", 0.04)):
        value, error = sampling.total_cross_section(name, 10.58, 1)
        assert value == pytest.approx(published.CROSS_SECTIONS[name][0], rel=tolerance)
        assert 0 < error < 0.01 * value
    mumugamma, *_, eemumu = published.cross_sections(folder)
    assert (eemumu.ours, eemumu.error, mumugamma.ours) == (18.0, 0.1, None)


def test_every_quantity_is_there_once_at_the_size_of_the_paper(folder, manifest):
    found = published.compare_with_published(manifest, folder)
    rows = {row.quantity: row for row in found}
    assert len(rows) == len(found) == 4 + 11 + 1 + 3 + 1 + 2
    # two backgrounds of 2.5 events at 50/fb; 35 % of 20 000 at each of two training masses
    signal, background = 0.35 * 20_000 * 2, 20 * 5.0
    assert rows["paper_sample_events"].ours == pytest.approx(signal + background)
    share = rows["paper_sample_signal_share"]
    assert share.ours == pytest.approx(signal / (signal + background))
    assert rows["trigger_scale"].ratio == rows["weighted_sigma_0.9_GeV2"].ratio == pytest.approx(1)
    assert rows["weighted_sigma_2.5_GeV2"].met is False
    assert rows["background_mumugamma"].ours is None
    assert "no dataset" in rows["background_mumugamma"].note


def test_missing_and_damaged_results_are_one_sentence(folder, manifest):
    tensor = folder.tensors / "tautau" / "part.parquet"
    tensor.write_text("no tensor")
    with pytest.raises(InputError, match="is not a tensor file of this software"):
        published.background_yields(manifest, folder, WINDOWS)
    tensor.unlink()
    with pytest.raises(InputError, match="punzinet features"):
        published.background_yields(manifest, folder, WINDOWS)
    write_json(folder.features_cutflow, {"datasets": {"signal": {"hypotheses": [{}]}}})
    with pytest.raises(InputError, match="not hold the cutflow of this software"):
        published.signal_in_window(folder, WINDOWS)


@pytest.mark.parametrize(
    ("ours", "met"), [(7.9, False), (8.1, True), (11.9, True), (12.1, False), (None, None)]
)
def test_agreement_is_within_the_tolerance_and_a_missing_value_has_none(ours, met):
    row = published.PublishedNumber("q", "t", 10.0, ours, 0.5, "why")
    assert row.met is met
    content = row.to_json()
    assert (content["met"], content["error"], content["note"]) == (met, 0.5, "why")
    assert content["ratio"] == (None if ours is None else pytest.approx(ours / 10))
