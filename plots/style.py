"""One look for all figures: sizes, colours, markers, labels, and how they are saved.

Colours are told apart with the common forms of colour blindness; where two things have to be told
apart in black and white, marker or dash differs.
"""

import gc
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike

from punzinet.analysis.io.files import InputError, write_whole
from punzinet.analysis.io.workers import end_with
from punzinet.analysis.manifest.manifest import OWN_LABEL, Manifest
from punzinet.analysis.manifest.sections import FigureSettings
from punzinet.analysis.types import FloatArray

COLUMN_WIDTH = 8.6 / 2.54  # of a journal, 8.6 cm, in inches
#: Label of figures with data, unless the manifest gives another.
DATA_LABEL = "Data and simulation"
#: Label of the figures that are being drawn, see `labelled`.
SHOWN_LABEL = ContextVar("label", default=OWN_LABEL)
_DEFAULT = FigureSettings()
#: The section `figures` of the manifest whose figures are being drawn.
SETTINGS = ContextVar("settings", default=_DEFAULT)
SIGMA_MIN = r"$\sigma_\mathrm{min}$ [fb]"
FIGURE_OF_MERIT = r"Punzi FOM $1/\sigma_\mathrm{min}$ [fb$^{-1}$]"
EFFICIENCY, BACKGROUND = "signal efficiency", "background events"

#: Made for colour-blind readers and for overlaps (M. A. Petroff, arXiv:2107.02270), but for slate.
SKY, ORANGE, RED = "#5790fc", "#f89c20", "#e42536"
PURPLE, GREY, VIOLET, SLATE = "#964a8b", "#9c9ca1", "#7a21dd", "#5d606b"
BLUE = "#2756c5"  # of lines: so dark that in grey, too, it is not the orange one
#: Colours of the backgrounds of the default data, the same in every figure.
PROCESS_COLOURS = {"tautau": SKY, "eemumu": ORANGE, "mumugamma": SLATE}
#: Colours of further backgrounds, in order of appearance.
OTHER_COLOURS = ("#86c8dd", "#ffa90e", "#b9ac70", "#717581", "#92dadd", "#a96b59")
SHADED: dict[str, Any] = {"color": "#eef1f6", "zorder": -2}
DASHED, DOTTED = (0, (4, 1.5)), (0, (1.2, 1.2))
#: A colour of a line has the same dash everywhere, to be told apart without colour.
DASHES = {ORANGE: DASHED, GREY: DOTTED, PURPLE: (0, (3, 1, 1, 1))}
#: Colour and dash of up to three signals, by growing mass.
SIGNAL_LINES: tuple[dict[str, Any], ...] = (
    {"color": RED, "linestyle": "-"},
    {"color": VIOLET, "linestyle": DASHED},
    {"color": "#111111", "linestyle": DOTTED},
)

#: Where a logarithmic axis has numbers, by the largest factor between its ends.
LOG_STEPS = {5: (1, 1.4, 2, 3, 5, 7), 100: (1, 2, 5), np.inf: (1,)}
RC_PARAMS = mpl.rc_params_from_file(
    Path(__file__).with_name("punzinet.mplstyle"), use_default_template=False
)
#: Digits of coordinates in an SVG beyond a hundredth of a point: a tenth of the file.
_FINER = re.compile(rb"(?<=\.\d\d)(?<!\(0\.\d\d)\d+(?= )")
#: Formats of figures, without the dates and versions that would change their bytes.
FORMATS: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of this analysis inside of the context, or of a function it decorates.

    A style of the manifest goes before.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC_PARAMS)
        if own := SETTINGS.get().style:
            mpl.rcParams.update(mpl.rc_params_from_file(own, use_default_template=False))
        yield


def new_figure(height: float, **subplots: Any) -> tuple[Figure, Any]:
    """Make a figure without pyplot, its height a share of its width, with axes as `subplots`."""
    figure = Figure(figsize=(COLUMN_WIDTH, height * COLUMN_WIDTH))
    return figure, figure.subplots(**subplots)


@contextmanager
def labelled(manifest: Manifest) -> Iterator[None]:
    """Inside of the context, draw with the label and the settings of a manifest."""
    label, settings = SHOWN_LABEL.set(manifest.shown_label), SETTINGS.set(manifest.figures)
    try:
        yield
    finally:
        SHOWN_LABEL.reset(label)
        SETTINGS.reset(settings)


def luminosity_text(luminosity: float, digits: int = 6) -> str:
    """How figures write a luminosity in fb^-1."""
    return SETTINGS.get().luminosity.replace("{L}", f"{luminosity:.{digits}g}")


def add_label(axes: Axes, luminosity: float | None = None, label: str = "") -> None:
    """Say above the uppermost axes what the data is, and the luminosity (fb^-1) it is scaled to."""
    axes.set_title(label or SHOWN_LABEL.get(), loc="left", fontweight="bold")
    if luminosity is not None:
        axes.set_title(luminosity_text(luminosity), loc="right")


def add_legend(axes: Axes, columns: int, handles: Sequence[Any] = (), **look: Any) -> None:
    """Put a legend of axes, or of handles, above all axes, where it covers nothing."""
    figure: Any = axes.figure
    handles = handles or axes.get_legend_handles_labels()[0]
    place: dict[str, Any] = {"handles": handles, "loc": "outside upper center", **look}
    legend = figure.legend(ncols=columns, **place)
    # Long labels need fewer columns, and those that no line holds smaller letters.
    while (share := legend.get_window_extent().width / figure.bbox.width) > 1:
        if columns == 1:
            place["fontsize"] = legend.get_texts()[0].get_fontsize() / (1.01 * share)
        columns = max(columns - 1, 1)
        legend.remove()
        legend = figure.legend(ncols=columns, **place)


def log_axis(axes: Axes, low: float, high: float) -> None:
    """Make the y axis logarithmic with a margin around its ends, and plain numbers if it can be."""
    margin = 1.12 * (high / low) ** 0.05
    axes.set(yscale="log", ylim=(low / margin, high * margin))
    # Two numbers at least, and not more than there is room for.
    steps = next(at for factor, at in LOG_STEPS.items() if high <= factor * low)
    axes.yaxis.set_major_locator(LogLocator(subs=steps, numticks=8))
    axes.yaxis.set_minor_locator(LogLocator(subs=range(1, 10), numticks=99))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if low > 1e-4 and high < 1e4:
        axes.yaxis.set_major_formatter("{x:g}")


def mass_axis(axes: Axes, mass: FloatArray, parameter: str) -> None:
    """Label the mass of hypotheses (H,) in GeV as the `parameter`, with a margin at both ends."""
    margin = 0.03 * max(float(mass[-1] - mass[0]), 1.0)
    axes.set_xlim(mass[0] - margin, mass[-1] + margin)
    axes.set_xlabel(f"{parameter} [GeV]")


def draw_points(
    axes: Axes, x: Any, y: Any, error: Any = None, size: float = 2.0, **look: Any
) -> None:
    """Draw points of a size with thin bars of their errors; the look is as for `Axes.errorbar`."""
    axes.errorbar(x, y, error, **{"fmt": "o", "markersize": size, "elinewidth": 0.6, **look})


def process_colours(names: Sequence[str]) -> dict[str, str]:
    """Colour of each background process."""
    others = cycle(OTHER_COLOURS)
    return {name: PROCESS_COLOURS.get(name) or next(others) for name in names}


def signal_looks(masses: Iterable[float], parameter: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Colour, dash and label of up to three signals by their `parameter`, and the mass of each."""
    for line, mass in zip(SIGNAL_LINES, sorted(masses), strict=False):
        yield {**line, "label": f"${parameter.strip('$')} = {mass:g}$ GeV"}, mass


def finite_range(*values: ArrayLike) -> tuple[float, float]:
    """Smallest and largest finite value of all arrays; 0.1 and 1 where there is none."""
    flat = np.concatenate([np.ravel(one) for one in values])
    flat = flat[np.isfinite(flat)]
    return (float(flat.min()), float(flat.max())) if len(flat) else (0.1, 1.0)


def save_all(figures: Iterable[tuple[str, Figure]], folder: Path) -> list[Path]:
    """`save` figures by file name without suffix, as they come, in two more processes."""
    # Forked where that is safe, they have all modules; threads of torch or pyarrow none touches.
    method = "fork" if sys.platform == "linux" else "spawn"
    about = os.getpid(), SETTINGS.get()
    for suffix in SETTINGS.get().formats:  # imports what formats need once for all processes
        Figure().savefig(BytesIO(), format=suffix)
    pool = ProcessPoolExecutor(2, get_context(method), _begin_process, about)
    gc.disable()  # collecting looks at a million objects of figures again and again, in forks too
    try:
        begun = [pool.submit(save, figure, folder, name) for name, figure in figures]
        return [path for one in begun for path in one.result()]
    finally:
        gc.enable()
        pool.shutdown(cancel_futures=True)


def _begin_process(parent: int, settings: FigureSettings) -> None:
    """Make a process end with another, and write figures as that one does."""
    end_with(parent)
    SETTINGS.set(settings)


def _keep_labels(figure: Figure) -> None:
    """Leave labels where they are, lest every format measures all numbers to place them again."""
    for axes in (one for one in figure.axes if one.get_axes_locator() is None):
        title = axes.title  # those beside it stay as well
        axes.set_title(title.get_text(), y=title.get_position()[1], size=title.get_fontsize())
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_tightbbox()  # which places it, beside numbers where the layout put these
            place = axis.label.get_transform().transform(axis.label.get_position())
            axis.set_label_coords(*axes.transAxes.inverted().transform(place))


@style()
def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure in every format, each whole or not at all, with the same bytes each time.

    It is laid out once and not anew for every format. InputError if the folder cannot be written
    to, or a label is no mathtext.
    """
    # A remark about the dates inside of matplotlib's own fonts, for every font embedded.
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    mpl.rcParams.update({"svg.hashsalt": name, "figure.constrained_layout.use": False})
    paths = []
    try:
        figure.align_ylabels()
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
            _keep_labels(figure)
        figure.set_layout_engine(None)  # with one, or "none", each format would draw twice
        for suffix in SETTINGS.get().formats:
            # Through memory: matplotlib loses the error of a full disk behind one of its own.
            content = BytesIO()
            figure.savefig(content, format=suffix, metadata=FORMATS[suffix])
            drawn = content.getvalue()
            drawn = _FINER.sub(b"", drawn) if suffix == "svg" else drawn
            paths.append(write_whole(folder / f"{name}.{suffix}", drawn))
    except ValueError as error:
        if "Parse" not in str(error):
            raise
        raise InputError(
            f"A label in figure {name} is no mathtext ({str(error).strip().splitlines()[-1]}); "
            "correct it in the manifest."
        ) from error
    return paths
