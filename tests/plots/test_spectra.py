"""Stacks of backgrounds, and data against simulation."""

import numpy as np
import pytest
from hist import Hist
from matplotlib.figure import Figure

from punzinet.analysis.limits.systematics import Parameter
from punzinet.analysis.observables import Quantity
from punzinet.analysis.search import RECOIL
from punzinet.plots import spectra, style

SEEN = spectra.SeenData(4.5, "10 % of the data", {"tautau": r"$\tau^+\tau^-$"})


def compared(data, simulated, quantity=RECOIL.features[0]):
    """One background of ten bins, of weight one half, and data."""
    backgrounds = Hist.new.StrCat(["tautau"], name="process").Reg(10, 0, 10, name="x").Weight()
    backgrounds.view()["value"][0] = simulated
    backgrounds.view()["variance"][0] = 0.5 * np.array(simulated)
    points = Hist.new.Reg(10, 0, 10, name="x").Weight()
    points.view()["value"] = points.view()["variance"] = data
    return spectra.DataSpectrum(quantity, points, backgrounds)


ONE = compared([8, 12, 0, 20, 5, 7, 9, 1, 0, 0], [10, 10, 2, 10, 5, 7, 6, 2, 0, 0])
OTHER = compared([1.0] * 10, [2.0] * 10, Quantity("other", "other", 0, "something else"))
OF_MASS = spectra.data_mass_figure(ONE, ONE, SEEN)
OF_FEATURES = spectra.data_features_figure([ONE, ONE, OTHER], SEEN)


def points(figure: Figure, panel: int) -> tuple[np.ndarray, np.ndarray]:
    """What the points of a panel are at, (10,), and the ends (2, 8) of the bars of those drawn."""
    ((line, _, (bars,)),) = figure.axes[panel].containers
    ends = np.array([segment[:, 1] for segment in bars.get_segments() if len(segment)])
    return np.asarray(line.get_ydata(), dtype=float), ends[:8].T


def test_points_are_the_data_and_the_ratio_to_the_simulation():
    assert len(OF_MASS.axes) == 4
    values, simulated = ONE.data.values()[:8], ONE.backgrounds.values()[0][:8]
    (drawn, (low, high)), (ratio, ratio_ends) = (points(OF_MASS, panel) for panel in (0, 1))
    np.testing.assert_allclose(drawn[:8], values)
    np.testing.assert_allclose(ratio[:8], values / simulated)
    assert ((low <= values) & (values <= high)).all()
    np.testing.assert_allclose(ratio_ends, [low / simulated, high / simulated])
    # Nothing is drawn where nothing may be seen, and everything else is inside.
    assert np.isnan([drawn[8:], ratio[8:]]).all()
    bottom, top = OF_MASS.axes[0].get_ylim()
    assert bottom == 0
    assert top > high.max()


@pytest.mark.parametrize("figure", [OF_MASS, OF_FEATURES])
def test_labels_say_what_is_seen_and_not_whose_it_is(figure):
    titles = " ".join(axes.get_title(loc) for axes in figure.axes for loc in ("left", "right"))
    assert "Data and simulation" in titles
    assert "4.5" in titles
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "Seen: 10 % of the data"
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == [r"$\tau^+\tau^-$", "stat. uncertainty", "data"]


@pytest.mark.parametrize("length", [3, 60, 200])
def test_a_legend_of_long_labels_stays_within_the_figure(length):
    seen = SEEN._replace(processes={"tautau": "x" * length})
    figure = spectra.data_mass_figure(ONE, ONE, seen)
    (legend,) = figure.legends
    with style.style():
        figure.draw_without_rendering()
    low, high = legend.get_window_extent().intervalx
    assert 0 <= low < high <= figure.bbox.width
    assert legend.get_texts()[0].get_text() == "x" * length


def test_each_feature_has_two_panels_and_empty_places_stay_empty():
    shown = [axes for axes in OF_FEATURES.axes if axes.axison]
    assert len(shown) == 6
    assert {axes.get_xlabel() for axes in shown} == {"", RECOIL.features[0].axis_label, "other"}


def test_intervals_are_those_of_a_poisson_distribution():
    # Garwood's central intervals of 68.27 % (for example in the PDG review of statistics).
    errors = spectra.poisson_errors(*[np.array([0.0, 1.0, 5.0])] * 2)
    np.testing.assert_allclose(errors, [[0.0, 0.827, 2.16], [1.841, 2.30, 3.38]], atol=0.005)
    weighted = spectra.poisson_errors(np.array([10.0]), np.array([20.0]))
    np.testing.assert_allclose(weighted, 2 * errors[:, 2:], rtol=1e-6)


def test_systematic_effects_add_up_linearly_in_a_parameter_and_in_quadrature_beyond():
    backgrounds = Hist.new.StrCat(["one", "two"], name="process").Reg(10, 0, 10, name="m").Weight()
    backgrounds.view()["value"][:] = [[10.0], [4.0]]
    axis = backgrounds.axes[1]
    known, none = np.array([2.0, 8.0]), np.zeros(2)
    both, one = (
        Parameter(none, {name: np.array([[1 + up] * 2, [1 - down] * 2]) for name in of}, {}, none)
        for of, up, down in ((("one", "two", "signal"), 0.1, 0.2), (("two",), -0.5, -0.25))
    )
    up, down = spectra.systematic_band(backgrounds, known, {"both": both, "one": one})
    inside = (axis.centers > 2) & (axis.centers < 8)
    # The second parameter lowers one background by a half, and raises it by a quarter.
    assert up[inside] == pytest.approx(np.hypot(0.1 * 14, 0.25 * 4))
    assert down[inside] == pytest.approx(np.hypot(0.2 * 14, 0.5 * 4))
    assert not np.any([up[~inside], down[~inside]])
