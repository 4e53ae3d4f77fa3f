"""A network: its weights (Fig. 1), outputs and cuts (Fig. 5, 6), cut in feature space (Fig. 8)."""

from collections.abc import Mapping
from itertools import pairwise, permutations
from typing import Any, NamedTuple, Self

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from punzinet.analysis.io.tensor_events import TensorEvents
from punzinet.analysis.observables import OBSERVABLES, Quantity
from punzinet.analysis.saved_network import Perceptron
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

NEURON, STRONGEST = 13.0, 2.2  # size of a neuron, and width of the strongest connection, points
#: Feature that is held fixed, at this value and within this distance of it, GeV.
FIXED, VALUE, HALF_WIDTH = "pt_mumu", 2.2, 0.5
GRID = 28  # points along each axis, among which the surface is looked for
EVENTS = 700  # of each mass are drawn at most
#: The six tetrahedra (6, 4, 3) around the diagonal of a unit cube, as corners.
_TETRAHEDRA = np.cumsum(
    [[(0, 0, 0), *np.eye(3, dtype=int)[list(axes)]] for axes in permutations(range(3))], axis=1
)
#: Edges that the surface cuts, as pairs (inside, outside) of a tetrahedron's corners sorted with
#: those inside first, by the number of corners inside; a quadrilateral is two triangles.
_EDGES = (
    (1, ((0, 1), (0, 2), (0, 3))),
    (2, ((0, 2), (0, 3), (1, 3))),
    (2, ((0, 2), (1, 3), (1, 2))),
    (3, ((0, 3), (1, 3), (2, 3))),
)
GREEN = "#3f9b4f"
GRID_STYLE: dict[Any, Any] = {"grid.linewidth": 0.3, "grid.color": "#cccccc"}
GRID_STYLE |= {"xtick.minor.visible": False, "ytick.minor.visible": False}
BINS = (60, 90)  # of output and mass
TOLERANCE = 0.05  # of σ_min, within which one cut is as good as another
SINGLE: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 2)), "label": "single cut"}


@style.style()
def network_figure(network: Perceptron) -> Figure:
    """Draw all neurons and connections; colour is the sign of a weight, width its size."""
    weights = [weight for weight, _ in network.layers]
    widths = [len(network.features), *(len(w) for w in weights)]
    figure, axes = style.new_figure(0.72)
    places = []
    for x, width in enumerate(widths):  # neurons of a layer from above
        step = min(0.3, 1.2 / width)
        y = step * (0.5 * (width - 1) - np.arange(width))
        places.append(np.column_stack([np.full(width, float(x)), y]))
    for (left, right), weight in zip(pairwise(places), weights, strict=True):
        strength = (np.abs(weight) / np.abs(weight).max()).ravel()
        signs = [(style.RED, "-") if w > 0 else (style.BLUE, (0, (4, 1))) for w in weight.ravel()]
        colours, dashes = zip(*signs, strict=True)
        look = {"linewidths": 0.15 + STRONGEST * strength, "colors": colours, "alpha": 0.6}
        look["linestyles"] = dashes
        lines = [np.stack([a, b]) for b in right for a in left]
        axes.add_collection(LineCollection(lines, zorder=1, **look))
    look = {"color": "white", "markeredgecolor": "black", "markeredgewidth": 0.8, "zorder": 2}
    axes.plot(*np.concatenate(places).T, "o", markersize=NEURON, **look)
    beside = {"textcoords": "offset points", "va": "center"}
    for name, place in zip(network.features, places[0], strict=True):
        label = OBSERVABLES[name].quantity.label
        axes.annotate(label, tuple(place), (-10, 0), ha="right", **beside)
    axes.annotate(r"$\hat{y}$", places[-1][0], (10, 0), **beside)
    names = ["inputs", *["tanh"] * (len(widths) - 2), "sigmoid"]
    for x, (name, width) in enumerate(zip(names, widths, strict=True)):
        axes.text(x, 0.66, f"{name}\n{width}", ha="center", va="bottom", fontsize=6.5)
    axes.text(
        0.5 * (len(widths) - 1), -0.67,
        "pretraining: weighted cross-entropy $\\rightarrow$ training: Punzi-loss\n"
        "connections: weight $>0$ red, $<0$ blue and dashed, width by size",
        ha="center", va="top", fontsize=6.2,
    )  # fmt: skip
    axes.set(xlim=(-1.25, len(widths) - 0.6), ylim=(-0.85, 0.85))
    axes.set_axis_off()
    style.add_label(axes)
    return figure


@style.style()
def feature_space_figure(
    network: Perceptron, cut: float, signals: Mapping[float, FloatArray]
) -> Figure:
    """Draw signal events, scaled as the network scales them, with the boundary of its cut.

    One of the four inputs is held fixed. The cut is on the output before the sigmoid; features,
    (n, 4) in GeV, of up to three signals are by mass in GeV.
    """
    names = list(network.features)
    fixed = names.index(FIXED)
    free = [i for i in range(len(names)) if i != fixed]
    low, high = network.low, network.high
    drawn = []
    for mass, features in sorted(signals.items()):
        near = np.abs(features[:, fixed] - VALUE) < HALF_WIDTH
        scaled = ((features[near] - low) / (high - low))[:, free]
        drawn.append((mass, scaled[:: max(len(scaled) // EVENTS, 1)]))
    box = np.array([[0.0] * 3, [1.0] * 3])
    if len(points := np.concatenate([scaled for _, scaled in drawn])):  # nearly all, with a margin
        bottom, top = np.quantile(points, [0.005, 0.995], axis=0)
        margin = 0.05 * np.maximum(top - bottom, 0.05)
        box = np.stack([np.maximum(bottom - margin, 0), np.minimum(top + margin, 1)])
    sides = np.linspace(box[0], box[1], GRID).T
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 3)
    features = np.full((len(grid), len(names)), VALUE)
    features[:, free] = low[free] + grid * (high - low)[free]
    logit = network.logit(features).reshape((GRID,) * 3)
    corners = (box[0] + isosurface(logit, cut) * (box[1] - box[0])).reshape(-1, 3)
    mpl.rcParams.update(GRID_STYLE)
    figure = Figure(figsize=(style.COLUMN_WIDTH, 0.95 * style.COLUMN_WIDTH))
    figure.set_layout_engine("none")
    axes: Any = figure.add_axes((0.0, 0.02, 0.93, 0.86), projection="3d")
    axes.computed_zorder = False
    if len(corners):  # thousands of shapes, which no reader would zoom into
        triangles = np.arange(len(corners)).reshape(-1, 3)
        look = {"color": GREEN, "edgecolor": "none", "alpha": 0.28, "rasterized": True}
        axes.plot_trisurf(*corners.T, triangles=triangles, zorder=1, **look)
    handles = []
    looks = zip(style.SIGNAL_LINES, ("o", "^", "v"), drawn, strict=False)
    for line, marker, (mass, scaled) in looks:
        spot: dict[str, Any] = {"color": line["color"], "marker": marker}
        dots = {"s": 2.5, "linewidths": 0, "alpha": 0.75, "rasterized": True}
        axes.scatter(*scaled.T, zorder=2, **dots, **spot)
        handles.append(Line2D([], [], linestyle="", label=f"{mass:g} GeV", **spot))
    spot = {"color": GREEN, "marker": "s", "alpha": 0.5}
    handles.append(Line2D([], [], linestyle="", label="single cut", **spot))
    for axis, i, limits in zip("xyz", free, box.T, strict=True):
        label = f"{OBSERVABLES[names[i]].quantity.label}, scaled"
        axes.set(**{f"{axis}label": label, f"{axis}lim": tuple(limits)})
        axes.tick_params(axis=axis, labelsize=6.0, pad=-2)
    axes.xaxis.labelpad = axes.yaxis.labelpad = axes.zaxis.labelpad = -5
    axes.view_init(elev=22, azim=-58)
    figure.legend(handles=handles, loc="upper center", ncols=4, bbox_to_anchor=(0.5, 0.945))
    figure.text(0.02, 0.955, style.SHOWN_LABEL.get(), fontweight="bold", fontsize=6.5)
    held = rf"{OBSERVABLES[FIXED].quantity.label} $= {VALUE:g} \pm {HALF_WIDTH:g}$ GeV"
    figure.text(0.98, 0.955, held, ha="right", fontsize=6.5)
    return figure


def isosurface(values: FloatArray, level: float) -> FloatArray:
    """Find the surface of values (a, b, c) on a regular grid in [0, 1]³ by marching tetrahedra.

    Returns the corners (t, 3, 3) of its triangles; none if the level is not crossed.
    """
    size = np.array(values.shape) - 1
    cells = np.moveaxis(np.indices(tuple(size)), 0, -1).reshape(-1, 1, 1, 3)
    corners = (cells + _TETRAHEDRA).reshape(-1, 4, 3)
    at = values[tuple(np.moveaxis(corners, -1, 0))] - level
    order = np.argsort(at <= 0, axis=1, kind="stable")
    at = np.take_along_axis(at, order, axis=1)
    corners = np.take_along_axis(corners, order[..., None], axis=1)
    inside = (at > 0).sum(axis=1)
    triangles = []
    for count, edges in _EDGES:
        above, place = at[inside == count], corners[inside == count]
        i, o = np.array(edges).T
        share = above[:, i] / (above[:, i] - above[:, o])
        triangles.append(place[:, i] + share[..., None] * (place[:, o] - place[:, i]))
    surface: FloatArray = np.concatenate(triangles) / size
    return surface


class Outputs(NamedTuple):
    """Outputs of a network for n events."""

    mass: FloatArray  # (n,) measured, GeV; negative where the squared mass is
    logit: FloatArray  # (n,) before the sigmoid
    weight: FloatArray  # (n,)
    content: str  # what the weights are, such as ``signal efficiency``

    @classmethod
    def of(cls, events: TensorEvents, logit: FloatArray, content: str) -> Self:
        """Outputs (n,) before the sigmoid of the events of tensors."""
        mass = events.search.variable.signed_mass(events.variable)
        return cls(mass, logit, events.weight, content)


class Cuts(NamedTuple):
    """Cuts on the output before the sigmoid."""

    mass: FloatArray  # (H,) of the hypotheses, GeV
    optimal: FloatArray  # (H,) best for each; infinite where nothing is selected
    single: float
    #: (2, H) ends of the cuts whose σ_min is within `TOLERANCE` of the best.
    nearly_optimal: FloatArray | None = None


@style.style()
def outputs_figure(
    panels: Mapping[str, tuple[Outputs, Cuts]], *, luminosity: float, variable: Quantity
) -> Figure:
    """Draw the density of events with both kinds of cut, output to the right as in the paper.

    Panels, by title, have one axis of the output if they are of one network. Events lie in their
    own windows or, of background, in any; the luminosity is in fb^-1.
    """
    (_, first), *others = panels.values()
    low, high = style.finite_range(first.mass, *(one.mass for one, _ in panels.values()))
    shape = {"sharex": all(cuts is first for _, cuts in others), "sharey": True}
    figure, grid = style.new_figure(1.5, nrows=len(panels), squeeze=False, **shape)
    remark = f"\n($<0$ where ${variable.symbol}<0$)" if low < 0 else ""
    for axes, (name, (events, cuts)) in zip(grid[:, 0], panels.items(), strict=True):
        output = style.finite_range(cuts.single, events.logit)
        _draw_density(axes, events, output, (low, high))
        _draw_best(axes, cuts)
        axes.plot([cuts.single] * 2, [low, high], **SINGLE)
        axes.set_ylabel(variable.mass.axis_label + remark)
        axes.text(0.03, 0.97, name, transform=axes.transAxes, va="top", fontweight="bold")
    grid[0, 0].set_ylim(low, high + 0.08 * (high - low))
    grid[-1, 0].set_xlabel("output before sigmoid")
    style.add_legend(grid[0, 0], 2)
    style.add_label(grid[0, 0], luminosity)
    return figure


def _draw_best(axes: Axes, cuts: Cuts) -> None:
    """Draw the best cut of each mass that has one, and between which cuts σ_min hardly changes."""
    finite = np.isfinite(cuts.optimal)
    look: dict[str, Any] = {"color": style.RED, "marker": "o", "markersize": 1.9, "linestyle": ""}
    look |= {"markeredgecolor": "white", "markeredgewidth": 0.25, "zorder": 3}
    axes.plot(cuts.optimal[finite], cuts.mass[finite], label="best cut per mass", **look)
    if cuts.nearly_optimal is not None:
        label = rf"$\sigma_\mathrm{{min}}$ within {100 * TOLERANCE:g} % of the best"
        loosest, tightest = cuts.nearly_optimal
        halo = [withStroke(linewidth=1.3, foreground="white")]  # red is no colour to everybody
        look = {"colors": style.RED, "linewidth": 0.6, "path_effects": halo, "label": label}
        axes.hlines(cuts.mass, loosest, tightest, **look)


def _draw_density(axes: Axes, events: Outputs, *ranges: tuple[float, float]) -> None:
    drawn = events.logit, events.mass
    density, x, y = np.histogram2d(*drawn, BINS, ranges, weights=events.weight)
    filled = density[density > 0]
    top = float(filled.max(initial=0)) or 1.0
    low = max(float(filled.min()), top / 1e4) if len(filled) else 0.1
    norm = LogNorm(low, max(top, 1.01 * low))
    seen = np.where(density > 0, density, np.nan).T
    mesh = axes.pcolormesh(x, y, seen, cmap="cividis_r", norm=norm, rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, fraction=0.06)
    bar.set_label(f"{events.content} / bin")
    bar.ax.tick_params(which="both", right=True, left=False)
