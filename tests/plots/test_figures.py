"""What every figure must say, and must not."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from punzinet.analysis.io.errors import InputError
from punzinet.plots import style
from punzinet.plots.sensitivity import Curve, networks_by_loss
from punzinet.plots.spectra import draw_stack

NAMES = (
    "recoil_mass",
    "sigma_min",
    "figure_of_merit",
    "training_history",
    "output_vs_mass",
    "features",
    "widths",
    "peaks",
)
#: Axes that show a pure number.
NO_UNIT = re.compile(r"epoch|learning|ratio|output before sigmoid|BCE loss|efficiency|/ bin|^$")


def words(figure: Figure) -> list[str]:
    """Everything that is written in a figure."""
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("name", NAMES)
def test_axes_have_units(figures: dict[str, Figure], name: str) -> None:
    for axes in figures[name].axes:
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert "GeV" in label or "fb" in label or NO_UNIT.search(label), label


@pytest.mark.parametrize("name", NAMES)
def test_it_is_our_simulation_and_nobody_elses(figures: dict[str, Figure], name: str) -> None:
    said = " ".join(words(figures[name]))
    assert style.LABEL in said
    assert "TeV" not in said
    assert "Belle" not in said


@pytest.mark.parametrize("name", ["recoil_mass", "sigma_min", "figure_of_merit"])
def test_what_depends_on_the_luminosity_says_it(figures: dict[str, Figure], name: str) -> None:
    assert any("50" in text and "fb" in text for text in words(figures[name]))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written_outside_of_the_figure(figures: dict[str, Figure], name: str) -> None:
    figure = figures[name]
    with style.style():
        figure.draw_without_rendering()
    page = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box is not None
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1


def test_trained_masses_are_circles_and_others_triangles(figures: dict[str, Figure]) -> None:
    mass = np.linspace(0.1, 8.7, 87)
    lines = figures["sigma_min"].axes[0].get_lines()
    for marker, expected in (("o", mass[::2]), ("^", mass[1::2])):
        drawn = [line.get_xdata() for line in lines if line.get_marker() == marker]
        assert drawn
        for x in drawn:
            assert np.isin(np.round(x, 6), np.round(expected, 6)).all()


def test_an_infinite_sigma_is_not_drawn(make: SimpleNamespace) -> None:
    sensitivity = make.sensitivity(np.linspace(0.1, 8.7, 87), np.random.default_rng(1))
    curve = Curve.of(sensitivity, ["bce"], "optimal")
    assert np.isinf(curve.sigma[-1])
    assert curve.figure_of_merit.sigma[-1] == 0
    assert np.isnan(curve.over(curve).sigma[-1])


def test_several_networks_give_mean_and_standard_error(make: SimpleNamespace) -> None:
    names = ("punzi-00", "punzi-01", "punzi-02", "bce-00")
    sensitivity = make.sensitivity(np.linspace(0.1, 8.7, 87), np.random.default_rng(1), names)
    punzi = networks_by_loss(sensitivity)["punzi"]
    assert punzi == list(names[:3])
    curve = Curve.of(sensitivity, punzi, "single")
    sigma = np.array([sensitivity.networks[name].single.sigma_min for name in punzi])
    np.testing.assert_allclose(curve.sigma, sigma.mean(axis=0))
    np.testing.assert_allclose(curve.error, sigma.std(axis=0, ddof=1) / np.sqrt(3))


def test_the_stack_is_the_sum_of_its_parts(make: SimpleNamespace) -> None:
    windows = make.windows(np.linspace(0.1, 8.7, 87))
    spectrum = make.spectrum(np.random.default_rng(2), windows, 0.1)
    total, variance = draw_stack(Figure().subplots(), spectrum.backgrounds, {})
    parts = [spectrum.backgrounds[name, :].values() for name in ("tautau", "eemumu", "mumugamma")]
    np.testing.assert_allclose(total, np.sum(parts, axis=0))
    np.testing.assert_allclose(variance, 0.9 * total)


def test_all_points_are_inside_the_axes(figures: dict[str, Figure]) -> None:
    for name in ("sigma_min", "widths"):
        axes = figures[name].axes[0]
        low, high = axes.get_ylim()
        for line in axes.get_lines():
            y = np.asarray(line.get_ydata(), dtype=float)
            if line.get_marker() in {"o", "^"} and len(y):
                assert y.min() >= low
                assert y.max() <= high


def test_small_samples_can_be_drawn(make: SimpleNamespace) -> None:
    for figure in make.figures(masses=3, events=20, epochs=2).values():
        with style.style():
            figure.draw_without_rendering()


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path, make: SimpleNamespace) -> None:
    for folder in ("once", "twice"):
        figures = make.figures(masses=9, events=500, epochs=10)
        for name in ("recoil_mass", "sigma_min"):
            style.save(figures[name], tmp_path / folder, name)
    for path in (tmp_path / "once").iterdir():
        assert path.read_bytes() == (tmp_path / "twice" / path.name).read_bytes()
    assert {path.suffix for path in (tmp_path / "once").iterdir()} == {".pdf", ".png", ".svg"}


def test_a_folder_that_cannot_be_written(tmp_path: Path, make: SimpleNamespace) -> None:
    (tmp_path / "plots").write_text("in the way")
    figure = make.figures(masses=3, events=20, epochs=2)["widths"]
    with pytest.raises(InputError, match="Cannot write"):
        style.save(figure, tmp_path / "plots", "widths")


@pytest.mark.parametrize("label", [r"$\frac{$", r"$\nonsense$"])
def test_a_label_that_is_no_mathtext_is_one_sentence(label: str, tmp_path: Path) -> None:
    figure = Figure()
    figure.text(0.5, 0.5, label)
    with pytest.raises(InputError, match=r"figure x is no mathtext .* correct it in the manifest"):
        style.save(figure, tmp_path, "x")
