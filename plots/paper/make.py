"""All figures of the paper, from the files that the studies left."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from punzinet.analysis.io.files import read_result
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import TensorEvents, read_tensor_events
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import MASS_TOLERANCE
from punzinet.analysis.paper.claims import Effect
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Statistics
from punzinet.analysis.paper.studies import MAIN, UNBATCHED, Study
from punzinet.analysis.saved_network import Perceptron, load_network
from punzinet.analysis.search import RECOIL
from punzinet.plots import style
from punzinet.plots.network_output import Cuts, Outputs, outputs_figure
from punzinet.plots.paper import ensembles
from punzinet.plots.paper.ensembles import Ensembles
from punzinet.plots.paper.network import feature_space_figure, network_figure
from punzinet.plots.training_history import COLUMNS, Evolution, loss_evolution_figure, read_history

SHOWN = 0  # number of the network that is shown where figures show one
#: Masses of Fig. 8, as shares of the way through the training masses.
FEATURE_SPACE_MASSES = (0.12, 0.5, 0.8)


def make_paper_figures(
    output: OutputFolder, manifest: Manifest, studies: Sequence[Study]
) -> list[Path]:
    """Draw all figures of the paper from studies, the main one first, and return what is written.

    InputError if a result is missing or damaged.
    """
    with style.labelled(manifest):
        return style.save_all(_figures(output, manifest.luminosity, studies), output.paper)


def make_variations_figure(output: OutputFolder) -> list[Path]:
    """Draw what variations of the recipe change; InputError if that is missing or damaged."""
    with read_result(output.variations, "variations", "punzinet paper --studies") as content:
        found = TypeAdapter(dict[str, Effect]).validate_python(content["variations"])
    return style.save(ensembles.variations_figure([*found.values()]), output.paper, "variations")


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

    statistics = Statistics({n: judged[n] for n in (MAIN, UNBATCHED) if n in judged})
    mean = statistics.mean
    own = {"BCE": mean("bce/best_own")}
    if UNBATCHED in judged:
        own["Punzi-net, no batches"] = mean("punzi/best_own", UNBATCHED)
    own[f"Punzi-net, {studies[0].label}"] = mean("punzi/best_own")
    one = {"BCE, best cuts": mean("bce/best"), "Punzi-net, one cut": mean("punzi/single")}
    best, single = (Ensembles(main, statistics, variants) for variants in (own, one))
    of_sigma = "(ratio of $\\sigma_\\mathrm{min}$)"
    for name, compared, merit, ratio in (
        ("fig3_figure_of_merit", best, True, f"BCE / Punzi-net\n{of_sigma}"),
        ("fig4_sensitivity", best, False, "BCE / Punzi-net\n(ratio)"),
        ("fig7_single_cut", single, True, f"BCE / one cut\n{of_sigma}"),
    ):
        figure = ensembles.ensembles_figure(compared, ratio, luminosity=luminosity, merit=merit)
        yield name, figure
    for name, rows, content in (
        ("fig5_signal_output", events.signal, style.EFFICIENCY),
        ("fig6_background_output", ~events.signal, style.BACKGROUND),
    ):
        panels = _outputs(networks, main, events[rows], content)
        yield name, outputs_figure(panels, luminosity=luminosity, variable=RECOIL.variable)
    yield "published", ensembles.published_figure(single, luminosity=luminosity)
    yield "discontinuities", ensembles.discontinuities_figure(main, SHOWN, luminosity=luminosity)


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
    mass = RECOIL.variable.signed_mass(events.variable)
    panels = {}
    for (loss, network), name in zip(networks.items(), ("BCE", "Punzi-net"), strict=True):
        best, single = (main.arrays[f"{loss}/{kind}/cut"][SHOWN] for kind in ("best_own", "single"))
        outputs = Outputs(mass, network.logit(events.features), events.weight, content)
        panels[name] = outputs, Cuts(main.mass, best, float(single[0]))
    return panels
