"""`punzinet train`: the networks and their sensitivity."""

from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import load_manifest
from punzinet.cli.options import (
    MANIFEST,
    OUTPUT,
    DryRunOption,
    ForceOption,
    ManifestOption,
    OutputOption,
    ScaleOption,
    console,
    nothing_to_do,
)
from punzinet.processors.stages import networks_to_train, train_stage


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    networks: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="independently initialised networks; by default as many as the last time, or "
            "what the manifest says",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda or mps: where to train; the manifest's by default"),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--restart", help="continue an interrupted training, or throw it away"
        ),
    ] = True,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
) -> None:
    """Pretrain with cross-entropy, train with the Punzi-loss, find the cuts, judge both.

    Example: punzinet train --networks 25

    With several processes: torchrun --nproc-per-node 2 -m punzinet train
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    if dry_run and networks is not None:
        count = networks  # asked for, but not to be kept in mind
    else:
        count = networks_to_train(folder, settings.training.networks, networks)
    changes: dict[str, Any] = {"networks": count}
    if device is not None:
        changes["device"] = device
    training = settings.training.model_copy(update=changes)
    if networks is None and training.networks != settings.training.networks:
        console.print(
            f"train: {training.networks} networks, as the last time "
            f"(--networks {settings.training.networks} for what the manifest says)"
        )
    settings = settings.model_copy(update={"training": training})
    stage = train_stage(settings, folder)
    if training.device != "cpu":
        from punzinet.analysis.training.autograd import usable_device

        usable_device(training.device)
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.analysis.training.progress import ProgressBar
    from punzinet.analysis.training.ranks import open_ranks
    from punzinet.processors.train_stage import run_training

    with open_ranks() as ranks, ProgressBar(quiet=console.quiet) as progress:
        done = run_training(settings, folder, resume=resume, reporters=[progress], ranks=ranks)
    if done is None:
        return
    written, result, sensitivity = done
    stage.finish(written)
    table = Table("network", "epoch", "mean σ_min, best cuts (fb)", "one cut (fb)", "cut")
    for trained in result.networks:
        judged = sensitivity.networks[trained.name]
        best, one = (
            f"{np.mean(getattr(judged, kind).sigma_min[sensitivity.training]):.4g} "
            f"± {judged.mean_error[kind]:.2g}"
            for kind in ("optimal_in_training", "single")
        )
        name = trained.name if trained.converged else f"{trained.name} (not converged)"
        cut = 1 / (1 + np.exp(-judged.single_cut))
        table.add_row(name, str(trained.epoch), best, one, f"{cut:.4f}")
    console.print(table)
    console.print("± from the finite simulated sample; windows share events, which it allows for")
    console.print(f"train: networks in {folder.network('')}, sensitivity in {folder.sensitivity}")
