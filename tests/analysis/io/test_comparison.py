from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.io.comparison import Comparison, read_comparison, scaled_to_data
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.spectra import write_spectra
from punzinet.analysis.manifest.blinding import Blinding

MASS = np.array([-1.0, 1.0, 3.0, 5.0, 9.0])
FEATURES = {"pt_mumu": np.array([0.1, 0.5, 1.0, 2.0, 7.0])}


def comparison(blinding: Blinding | None = None) -> Comparison:
    return Comparison("m_recoil", {"pt_mumu": (0.0, 4.0)}, blinding)


def test_every_event_is_in_every_histogram() -> None:
    filled = comparison().fill("before", "tautau", MASS, FEATURES, np.arange(1.0, 6.0))
    assert set(filled) == {"before/m_recoil/tautau", "before/pt_mumu/tautau"}
    for histogram in filled.values():
        assert histogram.values(flow=True).sum() == 15
    # A negative squared mass is an underflow, a feature beyond the trained range an overflow.
    assert filled["before/m_recoil/tautau"].values(flow=True)[0] == 1
    assert filled["before/pt_mumu/tautau"].values(flow=True)[-1] == 5


def test_simulation_is_hidden_where_data_is() -> None:
    blind = comparison(Blinding(signal_region=(2.0, 6.0)))
    filled = blind.fill("after", "tautau", MASS, FEATURES, np.ones(5))
    for histogram in filled.values():
        assert histogram.values(flow=True).sum() == 3
    assert not filled["after/m_recoil/tautau"].values()[10:30].any()


def test_a_share_hides_no_simulation() -> None:
    filled = comparison(Blinding()).fill("after", "tautau", MASS, FEATURES, np.ones(5))
    assert filled["after/m_recoil/tautau"].values(flow=True).sum() == 5
    assert comparison(Blinding()).to_json() == comparison().to_json()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    weight = np.full(5, 0.5)
    spectra = {}
    for process in ("tautau", "data", "eemumu"):
        spectra |= comparison().fill("before", process, MASS, FEATURES, weight)
    path = tmp_path / "comparison.root"
    write_spectra(path, scaled_to_data(spectra, 3.0))
    data, backgrounds = read_comparison(path, "before", "pt_mumu")
    assert data.values(flow=True).sum() == pytest.approx(2.5)
    assert list(backgrounds.axes["process"]) == ["eemumu", "tautau"]
    for process in ("eemumu", "tautau"):
        part = backgrounds[process, :]
        np.testing.assert_allclose(part.values(flow=True), 3 * data.values(flow=True))
        np.testing.assert_allclose(part.variances(flow=True), 9 * data.variances(flow=True))
    assert backgrounds.axes[1].name == data.axes[0].name == "pt_mumu"


def test_a_file_without_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "comparison.root"
    write_spectra(path, comparison().fill("before", "tautau", MASS, FEATURES, np.ones(5)))
    for stage in ("before", "after"):
        with pytest.raises(InputError, match="run `punzinet select` first"):
            read_comparison(path, stage, "m_recoil")
