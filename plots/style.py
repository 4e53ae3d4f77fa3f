"""One look for all figures: sizes, fonts, colours, markers, labels, and how they are saved.

Figures are made for one column of a journal page, to be printed without scaling: text stays
readable, and lines keep their weight. Colours are told apart with the common forms of colour
blindness; where two things have to be told apart in black and white, marker or dash differs.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import atomic_path
from punzinet.analysis.search import RECOIL
from punzinet.analysis.types import FloatArray

#: Width of one column, 8.6 cm, in inches.
COLUMN_WIDTH = 8.6 / 2.54
LABEL = "Punzi-net simulation"
DATA_LABEL = "Data and simulation"
"""Whose data it is only their owner can say: a manifest names files, and no experiment."""

#: Six colours made for colour-blind readers and for overlaps (M. A. Petroff, arXiv:2107.02270).
BLUE, ORANGE, RED, PURPLE, GREY, VIOLET = (
    "#5790fc",
    "#f89c20",
    "#e42536",
    "#964a8b",
    "#9c9ca1",
    "#7a21dd",
)
PROCESS_COLOURS = {"tautau": BLUE, "eemumu": ORANGE, "mumugamma": GREY}
"""Colours of the backgrounds of the default data, the same in every figure."""
OTHER_COLOURS = ("#86c8dd", "#ffa90e", "#b9ac70", "#717581", "#92dadd", "#a96b59")
"""Colours of further backgrounds, in the order in which they come."""
SIGNAL_LINES: tuple[dict[str, Any], ...] = (
    {"color": RED, "linestyle": "-"},
    {"color": VIOLET, "linestyle": (0, (4, 1.5))},
    {"color": "#111111", "linestyle": (0, (1.2, 1.2))},
)
"""Colour and dash of up to three signals, by growing mass."""
TRAINING_MARKER, VALIDATION_MARKER = "o", "^"

RC_PARAMS: dict[str, Any] = {
    "figure.figsize": (COLUMN_WIDTH, 0.8 * COLUMN_WIDTH),
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": 300,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 7.0,
    "axes.labelsize": 7.5,
    "axes.titlesize": 6.5,
    "axes.titlepad": 3.0,
    "axes.labelpad": 2.5,
    "axes.linewidth": 0.6,
    "axes.formatter.use_mathtext": True,
    "xaxis.labellocation": "right",
    "yaxis.labellocation": "top",
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "xtick.major.size": 4.0,
    "ytick.major.size": 4.0,
    "xtick.minor.size": 2.0,
    "ytick.minor.size": 2.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "legend.fontsize": 6.2,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.3,
    "legend.borderaxespad": 0.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 2.8,
    "hatch.linewidth": 0.4,
    # Text stays text in the PDF; in the SVG it is drawn, to look the same without the font.
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "svg.fonttype": "path",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of this analysis inside of the context, whatever was set outside."""
    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in RC_PARAMS.items():
            mpl.rcParams[name] = value  # type: ignore[index]  # a checker wants literal names
        yield


def new_figure(height: float, **subplots: Any) -> tuple[Figure, Any]:
    """Make a figure of one column's width that pyplot does not know of.

    Args:
        height: Its height, as a share of its width.
        subplots: As for `Figure.subplots`.

    Returns:
        The figure, and what `Figure.subplots` returns.
    """
    figure = Figure(figsize=(COLUMN_WIDTH, height * COLUMN_WIDTH))
    return figure, figure.subplots(**subplots)


def add_label(axes: Axes, luminosity: float | None = None, label: str = LABEL) -> None:
    """Say above the axes what the data is.

    Args:
        axes: The uppermost axes of the figure.
        luminosity: Luminosity that the contents are scaled to, fb^-1; None if to nothing.
        label: What it is.
    """
    axes.set_title(label, loc="left", fontweight="bold")
    if luminosity is not None:
        axes.set_title(rf"$L = {luminosity:g}\ \mathrm{{fb}}^{{-1}}$", loc="right")


def mass_axis(axes: Axes, mass: FloatArray, parameter: str = RECOIL.parameter) -> None:
    """Label the generated mass and leave a margin at both ends.

    Args:
        axes: The axes.
        mass: (H,) masses in GeV, sorted.
        parameter: How figures write the mass of a hypothesis.
    """
    margin = 0.03 * max(float(mass[-1] - mass[0]), 1.0)
    axes.set_xlim(mass[0] - margin, mass[-1] + margin)
    axes.set_xlabel(f"{parameter} [GeV]")


def process_colours(names: Sequence[str]) -> dict[str, str]:
    """Colour of each background process.

    Args:
        names: Names of the processes.
    """
    others = iter(np.resize(OTHER_COLOURS, len(names)).tolist())
    return {name: PROCESS_COLOURS.get(name) or next(others) for name in names}


def include(limits: tuple[float, float], *values: FloatArray) -> tuple[float, float]:
    """Widen limits until they hold all finite values.

    Args:
        limits: Lower and upper limit.
        values: Arrays of any shape.
    """
    flat = np.concatenate([np.array(limits), *(v[np.isfinite(v)] for v in values)])
    return float(flat.min()), float(flat.max())


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PDF, PNG and SVG, each whole or not at all.

    The same figure gives the same bytes: there is no date and no name of a program version in
    the files' metadata.

    Args:
        figure: What to write.
        folder: Where to.
        name: File name without suffix.

    Returns:
        The three files.

    Raises:
        InputError: If the folder cannot be written to, or a label is no mathtext.
    """
    # Laid out once, not anew for every file.
    with style():
        try:
            figure.draw_without_rendering()
        except ValueError as error:
            if "Parse" not in str(error):
                raise
            raise InputError(
                f"A label in figure {name} is no mathtext ({str(error).strip().splitlines()[-1]}); "
                "correct it in the manifest."
            ) from error
        figure.set_layout_engine("none")
    # A remark about the dates inside of matplotlib's own fonts, for every font embedded.
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    paths = []
    for suffix, metadata in (
        ("pdf", {"CreationDate": None, "Creator": None, "Producer": None}),
        ("png", {"Software": None}),
        ("svg", {"Date": None, "Creator": None}),
    ):
        path = folder / f"{name}.{suffix}"
        # Through memory: matplotlib loses the error of a full disk behind one of its own.
        content = BytesIO()
        with style(), mpl.rc_context({"svg.hashsalt": name}):
            figure.savefig(content, format=suffix, metadata=metadata)
        with atomic_path(path) as partial:
            partial.write_bytes(content.getvalue())
        paths.append(path)
    return paths
