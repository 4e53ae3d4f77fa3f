"""The networks, their cuts and their sensitivity."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from rich.table import Table

from punzinet.analysis.io.files import read_result, write_json
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.stages.features import FEATURES, MEASURED, measured
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage, Written, reasons

#: What tables mean by "<".
BELOW = "< where no simulated background passes: the largest one not excluded stands for it"


def _memory(context: Context) -> Path:
    return context.output.stages / "networks.json"


def networks_to_train(context: Context) -> int:
    """How many networks to train: as many as asked for, as the last time, or the manifest says.

    An ensemble that was asked for once stays one: running the chain again without asking neither
    throws it away nor refuses to continue it. What the manifest says counts again when it says
    something else. InputError if what was kept in mind is damaged.
    """
    asked, usual = context.options.networks, context.manifest.training.networks
    if asked is not None or not _memory(context).exists():
        return asked or usual
    with read_result(_memory(context), "number of networks", "punzinet train") as content:
        last = TypeAdapter(dict[str, int]).validate_python(content, strict=True)
        return last["asked"] if last["manifest"] == usual else usual


def _manifest(context: Context) -> Manifest:
    training, device = context.manifest.training, context.options.device
    changes = {"networks": networks_to_train(context), "device": device or training.device}
    return context.manifest.model_copy(update={"training": training.model_copy(update=changes)})


def remember_networks(context: Context) -> None:
    """Keep in mind how many networks were asked for, if that was said."""
    asked, usual = context.options.networks, context.manifest.training.networks
    if asked is not None:
        write_json(_memory(context), {"asked": asked, "manifest": usual})


def _prepare(context: Context) -> None:
    asked, usual = context.options.networks, context.manifest.training.networks
    # Others are kept in mind when their training begins, which may be refused.
    if asked is not None and not context.options.dry_run and not reasons(TRAIN, context):
        remember_networks(context)
    training = _manifest(context).training
    if asked is None and training.networks != usual:
        console.print(
            f"train: {training.networks} networks, as the last time "
            f"(--networks {usual} for what the manifest says)"
        )
    if training.device != "cpu":
        from punzinet.analysis.training.engine import usable_device

        usable_device(training.device)


def _run(context: Context) -> Written | None:
    """Pretrain with cross-entropy, train with the Punzi-loss, find the cuts, judge both.

    Example: punzinet train --networks 25

    With several processes: torchrun --nproc-per-node 2 -m punzinet train
    """
    from punzinet.analysis.training.batches import open_ranks
    from punzinet.processors.runs.training import run_training

    output = context.output
    with open_ranks() as ranks:
        how: dict[str, Any] = {"resume": context.options.resume, "ranks": ranks}
        if ranks.number == 0:
            how["begin"] = partial(remember_networks, context)
        done = run_training(_manifest(context), output, **how)
    if done is None:
        return None
    written, result, sensitivity = done
    table = Table("network", "epoch", "average σ_min, best cuts (fb)", "one cut (fb)", "cut")
    masses, figure = sensitivity.training, sensitivity.figure_of_merit
    for trained in result.networks:
        judged = sensitivity.networks[trained.name]
        best, one = (
            f"{'< ' * bool(cuts.bound[masses].any())}{figure.averaged(cuts.sigma_min[masses]):.4g} "
            f"± {judged.mean_error[kind]:.2g}"
            for kind, cuts in (("optimal", judged.optimal), ("single", judged.single))
        )
        name = trained.name if trained.converged else f"{trained.name} (not converged)"
        cut = 1 / (1 + np.exp(-judged.single_cut))
        table.add_row(name, str(trained.epoch), best, one, f"{cut:.4f}")
    console.print(table)
    console.print("± from the finite simulated sample; windows share events, which it allows for")
    for name, judged in sensitivity.networks.items():
        lost = masses & ~np.isfinite(judged.optimal.sigma_min + judged.single.sigma_min)
        if lost.any():
            console.print(
                f"{name} has no finite average: of the test events, no signal of "
                f"{', '.join(f'{mass:g}' for mass in sensitivity.mass[lost])} GeV passes its cut."
            )
    networks = sensitivity.networks.values()
    if any(cuts.bound[masses].any() for one in networks for cuts in (one.optimal, one.single)):
        console.print(BELOW)
    console.print(f"train: networks in {output.network('')}, sensitivity in {output.sensitivity}")
    return written


def network_files(context: Context) -> list[str]:
    """Files of the network that a stage asks for, if it is not one of the output folder."""
    folder = context.output.network(context.options.network)
    if folder.resolve().parent == context.output.network("").resolve():
        return []
    return [str(folder / name) for name in ("network.json", "network.safetensors")]


TRAIN = Stage(
    name="train",
    run=_run,
    reads=("figure_of_merit",),
    also=lambda on: {
        "training": _manifest(on).training.model_dump(mode="json", exclude={"device", "storage"}),
        **measured(on),
    },
    after=(FEATURES, MEASURED),
    writes=("sensitivity.json", "networks"),
    finds="networks/*/network.json",
    further_options=("networks", "device", "resume"),
    together=True,
    prepare=_prepare,
)
