"""What every figure has to show, and figures that are compared with a picture of them."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, StepPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from punzinet.analysis.manifest.manifest import OWN_LABEL
from punzinet.plots import style

REFERENCE = Path(__file__).parents[1] / "plots" / "reference"
#: Without hinting, which differs most between versions of FreeType.
STYLE = [Path(style.__file__).with_name("punzinet.mplstyle"), {"text.hinting": "none"}]
DPI = 60
#: Root mean square difference of a picture from its reference, of 255.
ALLOWED = 1.5
SMALLEST = 6.0  # text, points
DIFFERENCE = 9.0  # of the lightness of entries that look the same otherwise
EMPTY = 1.5  # decades of an axis, at either end
#: Axes that show a pure number.
NO_UNIT = re.compile(
    r"epoch|learning|ratio|before sigmoid|BCE loss|eff|signal passing|/ bin|scaled|pull|"
    r"data / sim|ours / Pythia|growth|p-value|share / unit|\\cos|^$|\$g'\$"
)


def pictured(*names: str) -> pytest.MarkDecorator:
    """Run a test, which returns the figure of a `name`, with its picture as the reference."""
    how = {"baseline_dir": str(REFERENCE), "tolerance": ALLOWED, "style": STYLE}
    how["savefig_kwargs"] = {"dpi": DPI, "pil_kwargs": {"optimize": True}}
    compared = pytest.mark.mpl_image_compare
    marks = {name: compared(filename=f"{name}.png", **how) for name in names}
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=mark) for name, mark in marks.items()]
    )


def lightness(colour) -> float:
    """How light a colour is in grey, from 0 to 100 (L* of CIE 1976)."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return 116 * float(linear @ (0.2126, 0.7152, 0.0722)) ** (1 / 3) - 16


def look(handle: Artist) -> tuple[str, float]:
    """What tells an entry of a legend from others without its colour, and how light that is."""
    if isinstance(handle, Patch):
        filled = handle.get_facecolor()[3] > 0
        colour = handle.get_facecolor() if filled else handle.get_edgecolor()
        return repr((filled, handle.get_hatch())), lightness(colour)
    if isinstance(handle, Line2D):
        white = to_rgb(handle.get_markerfacecolor()) == (1, 1, 1)
        dash = handle.get_linestyle() != "None" and handle._unscaled_dash_pattern
        return repr((dash, handle.get_marker(), white)), lightness(handle.get_color())
    return repr(handle), 0.0


def drawn(axes: Axes) -> np.ndarray:
    """Corners (n, 2) of lines and histograms, in pixels."""
    steps = [one.get_path().vertices for one in axes.patches if isinstance(one, StepPatch)]
    points = [*(line.get_xydata() for line in axes.lines), *steps, np.empty((0, 2))]
    return axes.transData.transform(np.concatenate(points).astype(float))


def check_figure(figure: Figure) -> str:
    """Axes have units, it is our simulation and nobody else's, nothing is outside; all texts.

    At column width all texts can be read, and no legend or text covers data or axes; in grey, all
    entries of a legend are told apart. No axis has empty decades.
    """
    for axes in figure.axes:
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert "GeV" in label or "fb" in label or NO_UNIT.search(label), label
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    said = " ".join(text.get_text() for text in texts)
    assert OWN_LABEL in said or style.DATA_LABEL in said
    assert not re.search("TeV|Belle", said)
    assert figure.get_figwidth() == style.COLUMN_WIDTH
    assert min(text.get_fontsize() for text in texts) >= SMALLEST
    assert not any(text.get_rasterized() for text in texts)
    with style.style():
        figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    boxes += [legend.get_window_extent() for legend in figure.findobj(Legend)]
    page = figure.bbox.padded(1)
    assert Bbox.union([page, *boxes]).bounds == page.bounds
    for legend in figure.legends:
        flat = [axes.bbox for axes in figure.axes if axes.name != "3d"]
        assert not legend.get_window_extent().count_overlaps(flat)
    for legend in figure.findobj(Legend):
        for one, other in combinations(map(look, legend.legend_handles), 2):
            if one[0] == other[0]:
                assert abs(one[1] - other[1]) > DIFFERENCE
    for axes in (one for one in figure.axes if one.name != "3d"):
        x, y = drawn(axes).T
        covers = [text for text in axes.texts if text.get_text()]
        for cover in [*covers, legend] if (legend := axes.get_legend()) else covers:
            box = cover.get_window_extent()
            assert not ((box.x0 < x) & (x < box.x1) & (box.y0 < y) & (y < box.y1)).any(), cover
        seen = y[(axes.bbox.y0 < y) & (y < axes.bbox.y1)]
        if axes.get_yscale() == "log" and len(seen):
            bottom, low, high, top = axes.transData.inverted().transform(
                [(0, at) for at in (axes.bbox.y0, seen.min(), seen.max(), axes.bbox.y1)]
            )[:, 1]
            assert max(low / bottom, top / high) < 10**EMPTY
    return said
