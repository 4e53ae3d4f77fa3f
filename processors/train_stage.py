"""The training stage: from tensors to networks, their cuts and their sensitivity."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from punzinet.analysis.evaluation import evaluate
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.provenance import provenance
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.training.data import Sample, load_sample, open_sample
from punzinet.analysis.training.progress import Reporter
from punzinet.analysis.training.ranks import Ranks
from punzinet.analysis.training.train import TrainingResult, train_networks
from punzinet.analysis.windows import Windows
from punzinet.processors.ntuples.trial import processed_of


def run_training(
    manifest: Manifest,
    output: OutputFolder,
    *,
    resume: bool = True,
    reporters: Sequence[Reporter] = (),
    ranks: Ranks | None = None,
) -> tuple[list[Path], TrainingResult, Sensitivity] | None:
    """Train all networks, find their cuts, and judge them at every mass; see `train_networks`.

    Returns:
        All files written, the networks, and their sensitivity; None on all ranks but the first,
        which have nothing to do but train.

    Raises:
        InputError: If anything is wrong with tensors, checkpoint or settings.
        Interrupted: If the training was asked to stop; a checkpoint has been written.
    """
    settings = manifest.training
    ranks = Ranks() if ranks is None else ranks
    if ranks.number == 0:
        forget_finished(output)
    windows = Windows.read(output.windows)
    result = train_networks(
        open_sample(output.tensors, windows, settings.validation_fold),
        manifest.figure_of_merit,
        manifest.luminosity,
        settings,
        output,
        resume=resume,
        reporters=reporters,
        ranks=ranks,
    )
    if ranks.number > 0:
        return None
    about = provenance(
        manifest.digest,
        stage="train",
        training=settings.model_dump(mode="json"),
        figure_of_merit=manifest.figure_of_merit.model_dump(mode="json"),
        luminosity=manifest.luminosity,
        **processed_of(output),
    )
    fold = settings.validation_fold
    everything = load_sample(output.tensors, windows, fold, every_mass=True)
    sensitivity = judge_and_save(manifest, everything, windows, result, output, about=about)
    written = [path for path in output.network("").rglob("*") if path.is_file()]
    return [output.sensitivity, *written], result, sensitivity


def judge_and_save(
    manifest: Manifest,
    everything: Sample,
    windows: Windows,
    result: TrainingResult,
    output: OutputFolder,
    *,
    about: Mapping[str, Any],
) -> Sensitivity:
    """Find the cuts of trained networks, judge them at every mass, and save both.

    The events have the windows of all hypotheses; `about` is provenance, as of `provenance`.

    Raises:
        InputError: If the networks cannot be judged, or the folder cannot be written to.
    """
    sensitivity = evaluate(
        {trained.name: trained.network for trained in result.networks},
        everything,
        windows.training,
        manifest.figure_of_merit,
        manifest.luminosity,
    )
    for trained in result.networks:
        trained.network.save(
            output.network(trained.name),
            windows,
            {
                **about["settings"],
                "validation_loss": trained.loss,
                "epoch": trained.epoch,
                "converged": trained.converged,
                "messages": list(trained.messages),
            },
            about,
            cut=sensitivity.networks[trained.name].single_cut,
        )
    sensitivity.write(output.sensitivity, about)
    return sensitivity


def forget_finished(output: OutputFolder) -> None:
    """Remove networks of an earlier training, but not the checkpoint of an interrupted one."""
    output.sensitivity.unlink(missing_ok=True)
    if output.network("").is_dir():
        for folder in output.network("").iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)
