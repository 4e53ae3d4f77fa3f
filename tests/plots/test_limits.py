import numpy as np

from punzinet.analysis.limits.result import Limits, SelectionLimits
from punzinet.analysis.search import RECOIL
from punzinet.plots.limits import coupling_figure, cross_section_figure

MASS = np.array([1.0, 2.0, 3.0, 4.0])


def limits() -> Limits:
    """Limits of which one is missing, and a coupling that is known for three masses."""
    bands = np.outer([2.0, 0.5, 0.6, 3.0], [0.5, 0.7, 1.0, 1.4, 2.0])
    bands[3] = np.inf
    one = SelectionLimits("punzi-00", MASS, MASS, MASS, bands, 1.1 * bands)
    return Limits(
        mass=MASS,
        training=np.array([True, False, True, False]),
        luminosity=50.0,
        confidence_level=0.9,
        sigma_over_g2=np.array([4.0e4, 1.0e4, np.nan, 100.0]),
        selections={"single": one, "best": one},
    )


def test_all_that_is_drawn_is_inside_and_the_scale_is_logarithmic() -> None:
    for figure in (cross_section_figure(limits(), RECOIL), coupling_figure(limits(), RECOIL)):
        (axes,) = figure.axes
        assert axes.get_yscale() == "log"
        low, high = axes.get_ylim()
        for line in axes.lines:
            values = np.asarray(line.get_ydata(), dtype=float)
            values = values[np.isfinite(values)]
            assert len(values)
            assert ((low < values) & (values < high)).all()


def test_labels_name_the_level_and_the_selections() -> None:
    (axes,) = cross_section_figure(limits(), RECOIL).axes
    assert "90 % CL" in axes.get_ylabel()
    assert "[fb]" in axes.get_ylabel()
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any("BCE" in text for text in texts)
    assert sum("sigma" in text for text in texts) == 2


def test_unknown_cross_sections_leave_a_gap() -> None:
    (axes,) = coupling_figure(limits(), RECOIL).axes
    drawn = np.asarray(axes.lines[0].get_ydata(), dtype=float)
    assert np.isfinite(drawn).tolist() == [True, True, False, False]
