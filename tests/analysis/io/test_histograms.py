import numpy as np
import pytest
import uproot

from punzinet.analysis.io import histograms
from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.datasets import Blinding
from punzinet.analysis.search import RECOIL

M2 = RECOIL.variable
SOME_M2 = np.random.default_rng(1).uniform(-6, 115, 5000)


def test_contents_are_sums_of_weights():
    m2 = SOME_M2
    weight = np.random.default_rng(2).exponential(size=len(m2))
    spectra = histograms.fill_spectra("before", "tautau", M2, m2, weight)
    assert set(spectra) == {"before/m_recoil/tautau", "before/m2_recoil/tautau"}
    for variable, values in (("m2_recoil", m2), ("m_recoil", np.sqrt(np.maximum(m2, 0)))):
        inside = m2 >= 0 if variable == "m_recoil" else np.full(len(m2), True)
        edges = histograms.spectrum_axis(histograms.drawn_quantities(M2)[variable]).edges
        histogram = spectra[f"before/{variable}/tautau"]
        for contents, power in ((histogram.values(), 1), (histogram.variances(), 2)):
            expected = np.histogram(values[inside], edges, weights=weight[inside] ** power)[0]
            np.testing.assert_allclose(contents, expected)
        assert histogram.sum(flow=True).value == pytest.approx(weight.sum())
    # A negative squared mass has no mass and is counted below the axis.
    below = spectra["before/m_recoil/tautau"].values(flow=True)[0]
    assert below == pytest.approx(weight[m2 < 0].sum())


def test_file_round_trip(tmp_path):
    path = tmp_path / "histograms.root"
    spectra = {}
    for i, name in enumerate(["tautau", "eemumu", "signal/0.1", "signal/8.7"]):
        for stage in ("before", "after"):
            spectra |= histograms.fill_spectra(stage, name, M2, SOME_M2[i::4], np.full(1250, 0.5))
    histograms.write_spectra(path, spectra)
    with uproot.open(path) as file:
        assert file.classnames()["after/m2_recoil/signal/8.7;1"] == "TH1D"
        assert file["after/m2_recoil/signal/8.7"].title == ""
    for stage in ("before", "after"):
        for variable, quantity in histograms.drawn_quantities(M2).items():
            backgrounds, signals = histograms.read_spectrum(path, stage, quantity)
            assert list(backgrounds.axes["process"]) == ["eemumu", "tautau"]
            assert list(signals) == [0.1, 8.7]
            assert backgrounds.axes[1] == histograms.spectrum_axis(quantity)
            for process in ("eemumu", "tautau"):
                expected = spectra[f"{stage}/{variable}/{process}"]
                assert backgrounds[process, :] == expected
                assert backgrounds[process, :].values(flow=True)[0] == expected.values(flow=True)[0]
            assert signals[8.7] == spectra[f"{stage}/{variable}/signal/8.7"]


@pytest.mark.parametrize("content", [None, b"", b"root of all evil"])
def test_a_file_of_something_else_says_what_to_run(tmp_path, content):
    path = tmp_path / "histograms.root"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="run `punzinet select` first"):
        histograms.read_spectrum(path, "before", M2.mass)


MASS = np.array([-1.0, 1.0, 3.0, 5.0, 9.0])
COLUMNS = {"m_recoil": MASS, "pt_mumu": np.array([0.1, 0.5, 1.0, 2.0, 7.0])}


def comparison(**blinding):
    ranges = {"pt_mumu": (0.0, 4.0)}
    return histograms.Comparison("m_recoil", ranges, Blinding(**blinding))


@pytest.mark.parametrize(
    ("blinding", "events"),
    [({}, 15.0), ({"signal_region": (2.0, 6.0)}, 8.0)],
    ids=["a share hides no simulation", "simulation is hidden as data is"],
)
def test_every_event_that_is_seen_is_in_every_histogram(blinding, events):
    filled = comparison(**blinding).fill("before", "tautau", COLUMNS, np.arange(1.0, 6.0))
    assert set(filled) == {"before/m_recoil/tautau", "before/pt_mumu/tautau"}
    assert [histogram.values(flow=True).sum() for histogram in filled.values()] == [events] * 2
    # A negative squared mass is an underflow, a feature beyond the trained range an overflow.
    assert filled["before/m_recoil/tautau"].values(flow=True)[0] == 1
    assert filled["before/pt_mumu/tautau"].values(flow=True)[-1] == 5
    assert filled["before/m_recoil/tautau"].values()[10:30].any() == (events == 15)


def test_what_is_written_is_read(tmp_path):
    weight = np.full(5, 0.5)
    spectra = {}
    for process in ("tautau", "data", "eemumu"):
        spectra |= comparison().fill("before", process, COLUMNS, weight)
    path = tmp_path / "comparison.root"
    histograms.write_spectra(path, histograms.scaled_to_data(spectra, 3.0))
    data, backgrounds = histograms.read_comparison(path, "before", "pt_mumu")
    assert data.values(flow=True).sum() == pytest.approx(2.5)
    assert list(backgrounds.axes["process"]) == ["eemumu", "tautau"]
    for process in ("eemumu", "tautau"):
        part = backgrounds[process, :]
        np.testing.assert_allclose(part.values(flow=True), 3 * data.values(flow=True))
        np.testing.assert_allclose(part.variances(flow=True), 9 * data.variances(flow=True))
    assert backgrounds.axes[1].name == data.axes[0].name == "pt_mumu"
    del spectra["before/m_recoil/data"]
    histograms.write_spectra(path, spectra)
    for stage in ("before", "after"):  # there is no data, or nothing at all
        with pytest.raises(InputError, match="run `punzinet select` first"):
            histograms.read_comparison(path, stage, "m_recoil")
