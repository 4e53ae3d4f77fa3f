"""All figures of the paper, from the files that the studies left."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from punzinet.analysis.io.files import read_result
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import TensorEvents, read_tensor_events
from punzinet.analysis.manifest.hypotheses import MASS_TOLERANCE
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.network import load_network
from punzinet.analysis.paper.claims import Effect
from punzinet.analysis.paper.judgement import Judgement, PassingFraction
from punzinet.analysis.paper.studies import MAIN, UNBATCHED, Study
from punzinet.analysis.search import RECOIL
from punzinet.plots import style
from punzinet.plots.network_output import Cuts, Outputs, outputs_figure
from punzinet.plots.paper.discontinuities import SelectedSpectrum, discontinuities_figure
from punzinet.plots.paper.ensembles import ensembles_figure, published_figure
from punzinet.plots.paper.network import feature_space_figure, network_figure
from punzinet.plots.paper.variations import variations_figure
from punzinet.plots.training_history import Evolution, loss_evolution_figure, read_history

#: The network that is shown where figures show one.
SHOWN = "00"
#: Masses of Fig. 8, as shares of the way through the training masses.
FEATURE_SPACE_MASSES = (0.12, 0.5, 0.8)


def make_paper_figures(
    output: OutputFolder, manifest: Manifest, studies: Sequence[Study]
) -> list[Path]:
    """Draw all figures of the paper, and return the files written.

    Args:
        output: Where results lie and figures go.
        manifest: The luminosity.
        studies: The studies, the main one first.

    Raises:
        InputError: If a result is missing or damaged.
    """
    return style.save_all(_figures(output, manifest.luminosity, studies), output.paper)


def make_variations_figure(output: OutputFolder) -> list[Path]:
    """Draw what variations of the recipe change, and return the files written.

    Raises:
        InputError: If the result is missing or damaged.
    """
    with read_result(output.variations, "variations", "punzinet paper --studies") as content:
        found = TypeAdapter(dict[str, Effect]).validate_python(content["variations"])
    return style.save(variations_figure([*found.values()]), output.paper, "variations")


def _figures(
    output: OutputFolder, luminosity: float, studies: Sequence[Study]
) -> Iterator[tuple[str, Figure]]:
    """All figures by file name, as `make_paper_figures` has them."""
    judged = {s.name: Judgement.read(output.study(s.name).judgement) for s in studies}
    main, folder = judged[MAIN], output.study(MAIN)
    events = read_tensor_events(output.tensors, RECOIL)
    network = load_network(folder.network(f"punzi-{SHOWN}")).network
    trained = main.mass[main.training]
    shown = sorted({float(trained[round(s * (len(trained) - 1))]) for s in FEATURE_SPACE_MASSES})
    yield (
        "fig8_feature_space",
        feature_space_figure(
            network,
            float(main.arrays["punzi/single/cut"][int(SHOWN), 0]),
            {m: events.features[np.abs(events.mass - m) < MASS_TOLERANCE] for m in shown},
        ),
    )
    yield "fig1_network", network_figure(network)
    yield "fig2_loss", loss_evolution_figure(_evolutions(output, studies))
    best = {"BCE": main.sigma("bce", "best_own")}
    if UNBATCHED in judged:
        best["Punzi-net, no batches"] = judged[UNBATCHED].sigma("punzi", "best_own")
    best[f"Punzi-net, {studies[0].label}"] = main.sigma("punzi", "best_own")
    single = {
        "BCE, best cuts": main.sigma("bce", "best"),
        "Punzi-net, one cut": main.sigma("punzi", "single"),
    }
    of_sigma = "(ratio of $\\sigma_\\mathrm{min}$)"
    for name, curves, merit, ratio in (
        ("fig3_figure_of_merit", best, True, f"BCE / Punzi-net\n{of_sigma}"),
        ("fig4_sensitivity", best, False, "BCE / Punzi-net\n(ratio)"),
        ("fig7_single_cut", single, True, f"BCE / one cut\n{of_sigma}"),
    ):
        yield (
            name,
            ensembles_figure(main, curves, luminosity=luminosity, merit=merit, ratio_label=ratio),
        )
    for name, rows, content in (
        ("fig5_signal_output", events.signal, style.EFFICIENCY),
        ("fig6_background_output", ~events.signal, style.BACKGROUND),
    ):
        panels = _outputs(folder, main, events[rows])
        yield name, outputs_figure(panels, content, luminosity=luminosity)
    yield "published", published_figure(main, *single.values(), luminosity=luminosity)
    selections = {
        "BCE, interpolated cuts": _selected(main, "bce", "best"),
        "Punzi-net, one cut": _selected(main, "punzi", "single"),
    }
    yield (
        "discontinuities",
        discontinuities_figure(main.mass, main.arrays["edges"], selections, luminosity=luminosity),
    )


def _evolutions(output: OutputFolder, studies: Sequence[Study]) -> dict[str, Evolution]:
    """Losses of the networks that all studies have, by size of the batches.

    Raises:
        InputError: If a history is missing.
    """
    networks = range(min(study.settings.networks for study in studies))
    evolutions = {}
    for study in sorted(studies, key=lambda s: s.settings.punzi.batch_size or np.inf):
        folder = output.study(study.name)
        histories = [
            read_history(folder.network(f"punzi-{number:02d}"), "punzinet paper")
            for number in networks
        ]
        training, validation = (
            np.stack([history[name] for history in histories])
            for name in ("loss", "validation_loss")
        )
        evolutions[study.label] = Evolution(np.arange(training.shape[1]), training, validation)
    return evolutions


def _outputs(
    folder: OutputFolder, main: Judgement, events: TensorEvents
) -> dict[str, tuple[Outputs, Cuts]]:
    """Outputs and cuts of one network before and after the Punzi training."""
    mass = RECOIL.variable.signed_mass(events.variable)
    panels = {}
    for loss, name in (("bce", "BCE"), ("punzi", "Punzi-net")):
        network = load_network(folder.network(f"{loss}-{SHOWN}")).network
        best, single = (
            main.arrays[f"{loss}/{kind}/cut"][int(SHOWN)] for kind in ("best_own", "single")
        )
        outputs = Outputs(mass, network.logit_numpy(events.features), events.weight)
        panels[name] = (outputs, Cuts(main.mass, best, float(single[0])))
    return panels


def _selected(main: Judgement, loss: str, kind: str) -> SelectedSpectrum:
    """What one network of a loss selects with one kind of cuts."""
    arrays, number = main.arrays, int(SHOWN)
    signal, background = (
        PassingFraction(arrays[f"{loss}/{process}/{kind}"][number], arrays[f"total/{process}"])
        for process in ("signal", "background")
    )
    roughness = {
        process: float(np.mean(arrays[f"{loss}/roughness/{process}/{kind}"]))
        for process in ("signal", "background")
    }
    return SelectedSpectrum(arrays[f"{loss}/{kind}/cut"][number], signal, background, roughness)
