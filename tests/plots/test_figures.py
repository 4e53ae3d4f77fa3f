"""All figures of a run, and how figures are saved."""

import matplotlib as mpl
import numpy as np
import pictures
import pytest
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from pictures import check_figure, pictured
from small_data import make_manifest

from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.sections import FigureSettings
from punzinet.analysis.search import RECOIL
from punzinet.analysis.windows import HALF_WIDTH
from punzinet.plots import style
from punzinet.plots.sensitivity import sigma_min_figure


def test_what_every_figure_says(figures):
    for name, figure in figures.items():
        said = check_figure(figure)
        luminous = name in {"recoil_mass", "sigma_min", "figure_of_merit"}
        assert not luminous or ("50" in said and "fb" in said), name


@pictured(
    *("sigma_min", "figure_of_merit", "recoil_mass", "output_vs_mass", "training_history"),
    *("signal_peaks", "window_widths", "features", "data_recoil_mass"),
    *("limit_cross_section", "limit_coupling"),
)
def test_a_figure_looks_as_it_did(figures, name):
    return figures[name]


@pytest.mark.parametrize(
    "changed",
    [
        None,
        lambda figure: figure.legends[0].set_loc("upper right"),
        lambda figure: figure.axes[0].lines[0].set_color(style.SKY),
        lambda figure: figure.axes[0].lines[0].set_visible(False),
        lambda figure: figure.axes[0].set_ylim(1, 100),
    ],
    ids=["nothing", "legend", "colour", "curve", "axis"],
)
def test_what_changes_a_picture_so_much_that_its_test_fails(make, tmp_path, changed):
    figure = sigma_min_figure(make.sensitivity(np.random.default_rng(5)), RECOIL.parameter)
    if changed:
        changed(figure)
    with mpl.style.context(pictures.STYLE, after_reset=True):
        figure.savefig(tmp_path / "now.png", dpi=pictures.DPI)
    compared = pictures.REFERENCE / "sigma_min.png", tmp_path / "now.png"
    assert (compare_images(*map(str, compared), pictures.ALLOWED) is None) == (changed is None)


def test_peaks_are_shown_with_their_tails_and_as_many_events_as_their_fits(figures):
    for axes in figures["signal_peaks"].axes[0:2]:
        ((points, _, _),), curve = axes.containers, axes.lines[-1]
        areas = []
        for line in (points, curve):
            x, y = line.get_xydata().T
            areas.append(np.sum(np.gradient(x) * y * (np.abs(x) < HALF_WIDTH)))
            assert x[0] < -2 * HALF_WIDTH
        assert areas == pytest.approx([30 * 0.937] * 2, rel=0.1)


def in_style_of(**settings):
    """Inside of the context, draw as a manifest with these settings says."""
    return style.labelled(make_manifest({"signal": "s.root", "tautau": "t.root"}, **settings))


@pytest.mark.parametrize(("label", "shown"), [(None, "Simulation"), ("Of others", "Of others")])
def test_only_the_default_data_is_called_our_own(label, shown):
    axes = Figure().subplots()
    with style.style(), in_style_of(label=label):
        style.add_label(axes)
    assert axes.get_title("left") == shown


def test_look_luminosity_and_formats_are_those_of_the_manifest_in_any_process(tmp_path):
    (look := tmp_path / "mine.mplstyle").write_text("axes.titlesize: 4.25")
    about = FigureSettings(
        formats=("png",), luminosity=r"$\int L\,dt = {L}$ fb$^{-1}$", style=str(look)
    )
    with in_style_of(figures=about), style.style():
        figures = {name: Figure() for name in ("one", "two", "three")}
        for figure in figures.values():
            style.add_label(axes := figure.subplots(), 62.8)
        assert axes.get_title("right") == r"$\int L\,dt = 62.8$ fb$^{-1}$"
        assert axes.title.get_fontsize() == 4.25
        written = style.save_all(figures.items(), tmp_path / "plots")
    assert [path.name for path in written] == ["one.png", "two.png", "three.png"]
    assert len([*(tmp_path / "plots").iterdir()]) == 3


def test_the_same_figure_gives_the_same_bytes_in_any_process(tmp_path, make):
    names = ("recoil_mass", "sigma_min")
    first, second = (make.figures(masses=9, events=500, epochs=10) for _ in range(2))
    alone = [path for name in names for path in style.save(first[name], tmp_path / "one", name)]
    both = style.save_all(((name, second[name]) for name in names), tmp_path / "two")
    assert [path.name for path in both] == [path.name for path in alone]
    assert [path.suffix for path in both] == [".pdf", ".png", ".svg"] * 2
    for one, two in zip(alone, both, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_labels_of_saved_figures_are_on_the_page_and_not_on_numbers(tmp_path, make):
    """Of all figures, as a small sample gives them."""
    with in_style_of(figures=FigureSettings(formats=("svg",))):
        for name, figure in make.figures(masses=3, events=20, epochs=2).items():
            style.save(figure, tmp_path, name)  # keeps them where they are
            for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
                if not axis.label.get_text():
                    continue
                label = axis.label.get_window_extent()
                numbers = [n.get_window_extent() for n in axis.get_ticklabels() if n.get_text()]
                assert not label.count_overlaps([box for box in numbers if box.width]), name
                assert figure.bbox.fully_containsx(label.x0 + 1), name
                assert figure.bbox.fully_containsy(label.y0 + 1), name


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "plots").write_text("in the way")
    with pytest.raises(InputError, match="Cannot write"):
        style.save_all([(name, Figure()) for name in ("one", "two")], tmp_path / "plots")


@pytest.mark.parametrize("label", [r"$\frac{$", r"$\nonsense$"])
def test_a_label_that_is_no_mathtext_is_one_sentence(label, tmp_path):
    figure = Figure()
    figure.text(0.5, 0.5, label)
    with pytest.raises(InputError, match=r"figure x is no mathtext .* correct it in the manifest"):
        style.save(figure, tmp_path, "x")
