"""All figures of the paper, from the files that the studies left; ensembles against the mass."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import TensorEvents, read_tensor_events
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import MASS_TOLERANCE
from punzinet.analysis.paper.claims import PUBLISHED, REGIONS, Effect, common_scale
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Claim, Statistics
from punzinet.analysis.paper.studies import MAIN, UNBATCHED, Study
from punzinet.analysis.saved_network import Perceptron, load_network
from punzinet.analysis.search import RECOIL
from punzinet.analysis.sensitivity import Curve
from punzinet.analysis.types import FloatArray
from punzinet.plots import style
from punzinet.plots.network import (
    Cuts,
    Outputs,
    feature_space_figure,
    network_figure,
    outputs_figure,
)
from punzinet.plots.sensitivity import BCE_OVER_ONE, Curves, ratio_figure
from punzinet.plots.training_history import COLUMNS, Evolution, loss_evolution_figure, read_history

SHOWN = 0  # number of the network that is shown where figures show one
#: Masses of Fig. 8: positions in the list of training masses, 0 first, 1 last.
FEATURE_SPACE_MASSES = (0.12, 0.5, 0.8)
COLOURS = (style.ORANGE, style.BLUE, style.GREY)
#: How the published points are drawn.
POINTS: dict[str, Any] = {"marker": "D", "markersize": 5.0, "markerfacecolor": "white"}
POINTS |= {"linestyle": "", "zorder": 4}
#: Label, loss, cuts, colour and marker of the selections whose spectra are compared.
COMPARED = (
    ("BCE, interpolated cuts", "bce", "best", style.ORANGE, "o"),
    ("Punzi-net, one cut", "punzi", "single", style.BLUE, "^"),
)
#: Curves whose mean over masses the figure of variations shows: label, colour and marker.
MEANS = {
    "bce/best": ("BCE, best cuts", style.ORANGE, "^"),
    "punzi/single": ("Punzi-net, one cut", style.BLUE, "o"),
}
SMALL = 6.0


def make_paper_figures(
    output: OutputFolder, manifest: Manifest, studies: Sequence[Study]
) -> list[Path]:
    """Draw all figures of the paper from studies, the main one first, and return what is written.

    InputError if a result is missing or damaged.
    """
    with style.labelled(manifest):
        return style.save_all(_figures(output, manifest.luminosity, studies), output.paper)


def _figures(
    output: OutputFolder, luminosity: float, studies: Sequence[Study]
) -> Iterator[tuple[str, Figure]]:
    judged = {s.name: Judgement.read(output.study(s.name).judgement) for s in studies}
    main, folder = judged[MAIN], output.study(MAIN)
    events = read_tensor_events(output.tensors, RECOIL)
    losses = "bce", "punzi"
    networks = {n: load_network(folder.network(f"{n}-{SHOWN:02d}")).network for n in losses}
    trained = main.mass[main.training]
    shown = sorted({float(trained[round(s * (len(trained) - 1))]) for s in FEATURE_SPACE_MASSES})
    signals = {m: events.features[np.abs(events.mass - m) < MASS_TOLERANCE] for m in shown}
    cut = float(main.arrays["punzi/single/cut"][SHOWN, 0])
    yield "fig8_feature_space", feature_space_figure(networks["punzi"], cut, signals)
    yield "fig1_network", network_figure(networks["punzi"])
    yield "fig2_loss", loss_evolution_figure(_evolutions(output, studies))

    statistics = Statistics(judged)
    mean = statistics.mean
    best = {"BCE": mean("bce/best_own")}
    if UNBATCHED in judged:
        best["Punzi-net, no batches"] = mean("punzi/best_own", UNBATCHED)
    best[f"Punzi-net, {studies[0].label}"] = mean("punzi/best_own")
    single = {"BCE, best cuts": mean("bce/best"), "Punzi-net, one cut": mean("punzi/single")}
    of_sigma = "(ratio of $\\sigma_\\mathrm{min}$)"
    for name, variants, merit, ratio in (
        ("fig3_figure_of_merit", best, True, f"BCE / Punzi-net\n{of_sigma}"),
        ("fig4_sensitivity", best, False, "BCE / Punzi-net\n(ratio)"),
        ("fig7_single_cut", single, True, f"BCE / one cut\n{of_sigma}"),
    ):
        drawn, ratios = ensemble_curves(statistics, variants)
        coloured = [*zip(ratios, COLOURS[1:], strict=False)]
        about = ratio, luminosity, RECOIL.parameter
        yield name, ratio_figure(drawn, coloured, *about, merit=merit)
    for name, rows, content in (
        ("fig5_signal_output", events.signal, style.EFFICIENCY),
        ("fig6_background_output", ~events.signal, style.BACKGROUND),
    ):
        panels = _outputs(networks, main, events[rows], content)
        yield name, outputs_figure(panels, luminosity=luminosity, variable=RECOIL.variable)
    curves = ensemble_curves(statistics, single)
    yield "published", published_figure(*curves, luminosity=luminosity)
    yield "discontinuities", discontinuities_figure(main, SHOWN, luminosity=luminosity)


def _evolutions(output: OutputFolder, studies: Sequence[Study]) -> dict[str, Evolution]:
    networks = range(min(study.settings.networks for study in studies))
    evolutions: dict[str, Evolution] = {}
    for study in sorted(studies, key=lambda s: s.settings.punzi.batch_size or np.inf):
        folders = (output.study(study.name).network(f"punzi-{number:02d}") for number in networks)
        histories = [read_history(folder, "punzinet paper") for folder in folders]
        training, validation = (np.stack([h[n] for h in histories]) for n in COLUMNS[1:3])
        evolutions[study.label] = training, validation
    return evolutions


def _outputs(
    networks: Mapping[str, Perceptron], main: Judgement, events: TensorEvents, content: str
) -> dict[str, tuple[Outputs, Cuts]]:
    panels = {}
    for (loss, network), name in zip(networks.items(), ("BCE", "Punzi-net"), strict=True):
        best, single = (main.arrays[f"{loss}/{kind}/cut"][SHOWN] for kind in ("best_own", "single"))
        cuts = Cuts(main.mass, best, float(single[0]))
        panels[name] = Outputs.of(events, network.logit(events.features), content), cuts
    return panels


def ensemble_curves(
    statistics: Statistics, variants: Mapping[str, FloatArray]
) -> tuple[Curves, list[Curve]]:
    """Curves of ensembles by label, and the first σ_min over each other one.

    There are (V, H) variants of mean figures of merit, see `Statistics`. Errors are those of the
    mean and of the simulated sample; ratios are without those that both share.
    """
    curve = statistics.curve
    curves = [curve(fom).figure_of_merit for fom in variants.values()]
    first, *others = variants.values()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [curve(np.where(fom * first > 0, fom / first, np.nan)) for fom in others]
    return dict(zip(variants, zip(curves, COLOURS, strict=False), strict=True)), ratios


def published_figure(drawn: Curves, ratios: Sequence[Curve], *, luminosity: float) -> Figure:
    """Draw our σ_min, of best cuts and of one, with published points on an arbitrary scale."""
    curves = [curve for curve, _ in drawn.values()]
    scale = common_scale(curves[0].mass, *(curve.sigma for curve in curves))
    mass, *published = np.array(PUBLISHED).T
    coloured = zip(published, COLOURS, strict=False)
    points = [Line2D(mass, scale * y, color=colour, **POINTS) for y, colour in coloured]
    points.append(Line2D([], [], color="black", label=f"published × {scale:.2f} fb", **POINTS))
    below = [Line2D(mass, published[0] / published[1], color=style.RED, **POINTS)]
    grey = [(ratio, "#333333") for ratio in ratios]
    about = BCE_OVER_ONE, luminosity, RECOIL.parameter
    return ratio_figure(drawn, grey, *about, points=points, below=below)


@style.style()
def discontinuities_figure(judged: Judgement, network: int, *, luminosity: float) -> Figure:
    """Draw what interpolated best cuts of a network leave in the spectrum, and one cut does not.

    Roughness is the mean over networks.
    """
    mass, arrays, edges = judged.mass, judged.arrays, judged.arrays["edges"]
    figure, panels = style.new_figure(1.5, nrows=3, sharex=True, height_ratios=(1, 1.3, 1.5))
    top, middle, bottom = panels
    scales = {"signal": np.maximum(arrays["total/signal"][0], 1e-300), "background": np.ones(1)}
    seen: dict[str, list[Any]] = {process: [] for process in scales}
    for name, loss, kind, colour, marker in COMPARED:
        cut = arrays[f"{loss}/{kind}/cut"][network]
        cut = np.where(np.isfinite(cut), cut, np.nan)
        top.plot(mass, cut, color=colour, marker=marker, markersize=2, linewidth=0.7)
        for axes, (process, scale) in zip((middle, bottom), scales.items(), strict=True):
            passed, squares = arrays[f"{loss}/{process}/{kind}"][network]
            seen[process].append(passed / scale)
            roughness = np.mean(arrays[f"{loss}/roughness/{process}/{kind}"])
            look: dict[str, Any] = {"fmt": marker, "color": colour, "elinewidth": 0.5}
            points = mass, passed / scale, np.sqrt(squares) / scale
            style.draw_points(axes, *points, label=f"{name}, roughness {roughness:.2f}", **look)
        bottom.stairs(seen["background"][-1], edges, baseline=None, color=colour, linewidth=0.7)
    top.set_ylabel("cut on output\nbefore sigmoid", loc="center")
    middle.set_ylabel("signal passing /\nsignal in window", loc="center")
    middle.set_ylim(0, 1.45 * (np.max(seen["signal"]) or 1.0))
    counts = np.concatenate(seen["background"])
    if (counts > 0).any():
        low, high = style.finite_range(counts[counts > 0])
        bottom.set(yscale="log", ylim=(0.4 * low, 8 * high))
    bottom.set_ylabel(f"background / {edges[2] - edges[1]:.2g} GeV")
    for axes in (middle, bottom):
        axes.legend(loc="upper right")
    style.mass_axis(bottom, mass, r"$m_{Z'}$ (signal), $M_\mathrm{rec}$ (background)")
    style.add_label(top, luminosity)
    return figure


@style.style()
def variations_figure(effects: Sequence[Effect]) -> Figure:
    """Draw a row for every recipe, the first as it is; columns are mean σ_min and ratios.

    Thick bars are the error from networks; thin ones add that of the finite sample, which is common
    to all rows.
    """
    ratios = [
        (name, textwrap.fill(words.removeprefix("from "), 6), target)
        for name, words, _, _, target in REGIONS
        if name in effects[0].numbers
    ]
    shape = {"ncols": 1 + len(ratios), "width_ratios": [1.4] + [1] * len(ratios)}
    figure, row = style.new_figure(0.4 + 0.075 * len(effects), sharey=True, **shape)
    first, *others = row
    for curve, (label, colour, marker) in MEANS.items():
        _draw_column(first, [effect.numbers[curve] for effect in effects], colour, marker, label)
    for axes, (name, title, target) in zip(others, ratios, strict=True):
        _draw_column(axes, [effect.numbers[name] for effect in effects], "#333333", "o")
        axes.xaxis.set_major_locator(MaxNLocator(2))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.axvline(1, color="black", linewidth=0.6)
        axes.axvline(target, color=style.RED, linewidth=0.6, linestyle=(0, (4, 2)))
        axes.set_title(title, fontsize=SMALL)
    lost = (effect.networks - effect.converged for effect in effects)
    said = (one.label + (f" ({n} lost)" if n else "") for one, n in zip(effects, lost, strict=True))
    first.set_yticks(range(len(effects))[::-1], [textwrap.fill(one, 20) for one in said])
    first.set_ylim(-0.6, len(effects) - 0.4)
    first.set_title("mean " + r"$\sigma_\mathrm{min}$" + "\n[fb]", fontsize=SMALL)
    middle = others[len(others) // 2]
    middle.set_xlabel("ratio BCE / Punzi-net", loc="center", fontsize=SMALL)
    for axes in (first, *others):
        axes.tick_params(axis="both", labelsize=SMALL)
        axes.tick_params(axis="y", which="both", length=0)
        axes.axhline(len(effects) - 1.5, color="#bbbbbb", linewidth=0.5)
    figure.suptitle(style.SHOWN_LABEL.get(), fontsize=6.5, fontweight="bold", x=0.02, ha="left")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def _draw_column(
    axes: Axes, claims: Sequence[Claim], colour: str, marker: str, label: str | None = None
) -> None:
    """Draw one number of every recipe, from above."""
    rows = np.arange(len(claims))[::-1]
    value, *errors = np.array([(c.value, c.error, c.error_sample) for c in claims], np.float64).T
    error, sample = np.nan_to_num(errors)
    whole = np.hypot(error, sample)
    axes.errorbar(value, rows, xerr=whole, fmt="none", ecolor=colour, elinewidth=0.5)
    look = {"fmt": marker, "color": colour, "elinewidth": 1.4, "label": label}
    style.draw_points(axes, value, rows, size=2.8, xerr=error, **look)
