"""All figures of the paper, from the files that the studies left."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import TensorEvents, read_tensor_events
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.network import load_network
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.smoothness import PassingFraction
from punzinet.analysis.paper.studies import MAIN, UNBATCHED, Study
from punzinet.analysis.paper.variations import Effect
from punzinet.analysis.search import RECOIL
from punzinet.plots import style
from punzinet.plots.discontinuities import Selected, discontinuities_figure
from punzinet.plots.ensembles import ensembles_figure, published_figure
from punzinet.plots.feature_space import feature_space_figure
from punzinet.plots.loss_evolution import Evolution, loss_evolution_figure
from punzinet.plots.network_diagram import network_figure
from punzinet.plots.output_vs_mass import Cuts, Outputs
from punzinet.plots.outputs_by_loss import outputs_figure
from punzinet.plots.variations import variations_figure

if TYPE_CHECKING:
    from punzinet.analysis.types import FloatArray

#: The network that is shown where figures show one.
SHOWN = "00"
#: Masses of Fig. 8, as shares of the way through the training masses.
FEATURE_SPACE_MASSES = (0.12, 0.5, 0.8)
#: Names of what is drawn, in legends.
NAMES = {"bce": "BCE", "punzi": "Punzi-net"}


def make_paper_figures(
    output: OutputFolder, manifest: Manifest, studies: Sequence[Study]
) -> list[Path]:
    """Draw all figures of the paper.

    Args:
        output: Where results lie and figures go.
        manifest: The luminosity.
        studies: The studies, the main one first.

    Returns:
        All files written.

    Raises:
        InputError: If a result is missing or damaged.
    """
    judged = {s.name: Judgement.read(output.study(s.name).judgement) for s in studies}
    main, folder = judged[MAIN], output.study(MAIN)
    events = read_tensor_events(output.tensors, RECOIL)
    network = load_network(folder.network(f"punzi-{SHOWN}"))
    luminosity = manifest.luminosity
    trained = main.mass[main.training]
    shown = sorted({float(trained[round(s * (len(trained) - 1))]) for s in FEATURE_SPACE_MASSES})
    best = {"BCE": main.sigma("bce", "best_own")}
    if UNBATCHED in judged:
        best["Punzi-net, no batches"] = judged[UNBATCHED].sigma("punzi", "best_own")
    best[f"Punzi-net, {studies[0].label}"] = main.sigma("punzi", "best_own")
    single = {
        "BCE, best cuts": main.sigma("bce", "best"),
        "Punzi-net, one cut": main.sigma("punzi", "single"),
    }
    figures = {
        "fig1_network": network_figure(network.network),
        "fig2_loss": loss_evolution_figure(_evolutions(output, studies)),
        "fig3_figure_of_merit": ensembles_figure(
            main,
            best,
            luminosity=luminosity,
            merit=True,
            ratio_label="BCE / Punzi-net\n(ratio of $\\sigma_\\mathrm{min}$)",
        ),
        "fig4_sensitivity": ensembles_figure(
            main, best, luminosity=luminosity, merit=False, ratio_label="BCE / Punzi-net\n(ratio)"
        ),
        "fig5_signal_output": _outputs(folder, main, events, luminosity, signal=True),
        "fig6_background_output": _outputs(folder, main, events, luminosity, signal=False),
        "fig7_single_cut": ensembles_figure(
            main,
            single,
            luminosity=luminosity,
            merit=True,
            ratio_label="BCE / one cut\n(ratio of $\\sigma_\\mathrm{min}$)",
        ),
        "fig8_feature_space": feature_space_figure(
            network.network,
            float(main.arrays["punzi/single/cut"][int(SHOWN), 0]),
            {m: events.features[np.abs(events.mass - m) < 1e-6] for m in shown},
        ),
        "published": published_figure(main, *single.values(), luminosity=luminosity),
        "discontinuities": _discontinuities(main, luminosity),
    }
    return [
        path for name, figure in figures.items() for path in style.save(figure, output.paper, name)
    ]


def make_variations_figure(output: OutputFolder) -> list[Path]:
    """Draw what variations of the recipe change.

    Args:
        output: Where results lie and the figure goes.

    Returns:
        All files written.

    Raises:
        InputError: If the result is missing or damaged.
    """
    content = read_json(output.variations, "punzinet paper --studies")
    try:
        found = [Effect.from_json(effect) for effect in content["variations"].values()]
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{output.variations} is damaged ({error!r}); delete it and run "
            "`punzinet paper --studies` again."
        ) from error
    return style.save(variations_figure(found), output.paper, "variations")


def _evolutions(output: OutputFolder, studies: Sequence[Study]) -> dict[str, Evolution]:
    """Losses of the networks that all studies have.

    Raises:
        InputError: If a history is missing.
    """
    networks = min(study.settings.networks for study in studies)
    by_size = sorted(studies, key=lambda s: s.settings.punzi.batch_size or np.inf)
    return {study.label: _evolution(output.study(study.name), networks) for study in by_size}


def _evolution(folder: OutputFolder, networks: int) -> Evolution:
    """Losses of the first networks of a study.

    Raises:
        InputError: If a history is missing.
    """
    columns: dict[str, list[FloatArray]] = {"loss": [], "validation_loss": []}
    for number in range(networks):
        path = folder.network(f"punzi-{number:02d}") / "history.parquet"
        try:
            table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
            for name, column in columns.items():
                column.append(table[name].to_numpy())
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise InputError(
                f"{path} holds no history of a training ({error}); run `punzinet paper` again."
            ) from error
    training, validation = (np.stack(column) for column in columns.values())
    return Evolution(np.arange(training.shape[1]), training, validation)


def _outputs(
    folder: OutputFolder, main: Judgement, events: TensorEvents, luminosity: float, *, signal: bool
) -> Figure:
    """Outputs of one network before and after the Punzi training."""
    chosen = events[events.signal == signal]
    panels = {}
    for loss, name in NAMES.items():
        logit = load_network(folder.network(f"{loss}-{SHOWN}")).network.logit_numpy(chosen.features)
        best, single = (
            main.arrays[f"{loss}/{kind}/cut"][int(SHOWN)] for kind in ("best_own", "single")
        )
        panels[name] = (
            Outputs(RECOIL.variable.signed_mass(chosen.variable), logit, chosen.weight),
            Cuts(main.mass, best, float(single[0])),
        )
    content = "signal efficiency" if signal else "background events"
    return outputs_figure(panels, content, luminosity=luminosity)


def _discontinuities(main: Judgement, luminosity: float) -> Figure:
    """What one network selects, with best cuts before and one cut after the Punzi training."""
    selections = {}
    for name, loss, kind in (
        ("BCE, interpolated cuts", "bce", "best"),
        ("Punzi-net, one cut", "punzi", "single"),
    ):
        fractions = {
            process: PassingFraction(
                main.arrays[f"{loss}/{process}/{kind}"][int(SHOWN)], main.arrays[f"total/{process}"]
            )
            for process in ("signal", "background")
        }
        roughness = {
            process: float(np.mean(main.arrays[f"{loss}/roughness/{process}/{kind}"]))
            for process in ("signal", "background")
        }
        selections[name] = Selected(
            main.arrays[f"{loss}/{kind}/cut"][int(SHOWN)],
            fractions["signal"],
            fractions["background"],
            roughness,
        )
    return discontinuities_figure(
        main.mass, main.arrays["edges"], selections, luminosity=luminosity
    )
