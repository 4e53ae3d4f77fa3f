"""Training: the networks of the manifest and the ensembles of the paper, judged and compared."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID

from punzinet.analysis.evaluation import Judge, evaluate
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.output import OutputFolder, processed_of, provenance
from punzinet.analysis.io.tensor_events import read_tensor_events
from punzinet.analysis.limits.systematics import measured_figure
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.network import PunziNet
from punzinet.analysis.paper import judgement
from punzinet.analysis.paper.claims import Effect, effects, make_claims
from punzinet.analysis.paper.studies import MAIN, Study
from punzinet.analysis.saved_network import METADATA_FILE, WEIGHTS_FILE, load_network
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.training import train
from punzinet.analysis.training.batches import ALONE, Ranks
from punzinet.analysis.training.checkpoint import TrainingState
from punzinet.analysis.training.data import Events, EventStream, Sample, load_sample, open_sample
from punzinet.analysis.training.loop import Phase
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.types import SIGNAL, FloatArray
from punzinet.analysis.windows import Windows

LOG = logging.getLogger(__name__)
#: Bootstrap samples from which the errors of the finite simulation come.
REPLICAS = 100


def run_training(
    manifest: Manifest,
    output: OutputFolder,
    *,
    resume: bool = True,
    begin: Callable[[], object] = lambda: None,
    ranks: Ranks = ALONE,
) -> tuple[list[Path], train.TrainingResult, Sensitivity] | None:
    """Train all networks, find their cuts, and judge them at every mass; see `train_networks`.

    The result is all files written, networks and their sensitivity; None on all other ranks.
    InputError if anything is wrong with tensors, checkpoint or settings. Interrupted if the
    training was asked to stop; a checkpoint has been written.
    """
    settings = manifest.training
    windows = Windows.read(output.windows)
    sample = open_sample(output.tensors, windows, settings.folds)
    merit = measured_figure(manifest, output, windows), manifest.luminosity
    how = {"resume": resume, "begin": begin, "ranks": ranks}
    result = train_visibly(sample, merit, settings, output, **how)
    del sample
    if ranks.number > 0:
        return None
    about = provenance_of(manifest, output, "train", training=settings.model_dump(mode="json"))
    everything = load_sample(output.tensors, windows.every, settings.folds)
    judge = Judge(everything, windows.training, *merit)
    sensitivity, written = _judge_and_save(result, judge, windows, output, about)
    return written, result, sensitivity


def run_study(
    manifest: Manifest, output: OutputFolder, study: Study, *, resume: bool = True
) -> list[Path]:
    """Train the networks of a study, judge them, and return all files written.

    Tensors are read from the output folder, in which the study has a folder of its own. Without
    `resume` the checkpoint of an interrupted training is thrown away. Raises as `run_training`.
    """
    folder, settings, seed = output.study(study.name), study.settings, manifest.training.seed
    windows = Windows.read(output.windows)
    windows = replace(windows, training=study.trained(windows.training))
    sample = scale_background(load_sample(output.tensors, windows, settings.folds), study.scaled)
    if study.background < 1:
        sample = thin_background(sample, study.background, np.random.default_rng(seed))
    how = {"pretrained": _pretrained(output, study), "may_fail": True, "resume": resume}
    merit = measured_figure(manifest, output, windows), manifest.luminosity
    result = train_visibly(sample, merit, settings, folder, **how)
    del sample
    about = provenance_of(manifest, output, f"paper {study.name}", **study.recipe())
    everything = load_sample(output.tensors, windows.every, settings.folds)
    judge = Judge(everything, windows.training, *merit)
    sensitivity, written = _judge_and_save(result, judge, windows, folder, about)
    nets = {trained.name: trained.network.perceptron for trained in result.networks}
    events = read_tensor_events(output.tensors, windows.search)
    events = events.standing_for_all(events.fold == settings.folds.judging)
    converged = np.array([trained.converged for trained in result.punzi], dtype=bool)
    judging = nets, sensitivity, judge, events, converged
    judgement.judge(*judging, replicas=REPLICAS, seed=seed).write(folder.judgement)
    networks = {trained.name: _outcome(trained) for trained in result.networks}
    content = {"provenance": about, "label": study.label, "networks": networks}
    write_json(path := folder.root / "study.json", content)
    return [path, folder.judgement, *written]


def train_visibly(
    sample: Sample[EventStream],
    merit: tuple[FigureOfMerit, float],
    settings: TrainingSettings,
    output: OutputFolder,
    **options: Any,
) -> train.TrainingResult:
    """As `train_networks`, and show how far it is unless commands are to be quiet."""
    tasks: dict[str, TaskID] = {}

    def report(phase: Phase, state: TrainingState) -> None:
        """Show means over the networks that are still trained."""
        running = ~state.stopped | state.stopped.all()
        last, best = (np.mean(of[running]) for of in (state.validation_loss[-1], state.best_loss))
        said = f"{phase.name}: validation loss {last:.5g}, best {best:.5g}"
        total = phase.settings.epochs + phase.finish
        if phase.name not in tasks:
            tasks[phase.name] = bar.add_task(said, total=total)
        ended = (state.stopped | (state.rate == 0)).all() and (
            state.finish >= 0 or not phase.finish
        )
        done = total if ended else state.epoch  # it may end before all epochs are done
        bar.update(tasks[phase.name], completed=done, description=said)

    quiet = not LOG.isEnabledFor(logging.WARNING)
    with Progress(console=Console(stderr=True), disable=quiet) as bar:
        options |= {"reporters": [report]}
        return train.train_networks(sample, *merit, settings, output, **options)


def provenance_of(
    manifest: Manifest, output: OutputFolder, stage: str, **recipe: Any
) -> dict[str, Any]:
    """Provenance of what is made of tensors by a recipe, for the figure of merit."""
    merit = manifest.figure_of_merit.model_dump(mode="json")
    judged_by = {"figure_of_merit": merit, "luminosity": manifest.luminosity}
    return provenance(manifest.digest, stage=stage, **recipe, **judged_by, **processed_of(output))


def _judge_and_save(
    result: train.TrainingResult, judge: Judge, windows: Windows, output: OutputFolder, about: Any
) -> tuple[Sensitivity, list[Path]]:
    """Find the cuts of trained networks, judge them at every mass, save all; and the files."""
    networks = {trained.name: trained.network.perceptron for trained in result.networks}
    sensitivity = evaluate(networks, judge)
    for trained in result.networks:
        settings = {**about["settings"], **_outcome(trained)}
        cut = sensitivity.networks[trained.name].single_cut
        trained.network.save(output.network(trained.name), windows, settings, about, cut=cut)
    sensitivity.write(output.sensitivity, about)
    files = (METADATA_FILE, WEIGHTS_FILE, train.HISTORY)
    written = [output.network(name) / file for name in networks for file in files]
    return sensitivity, [output.sensitivity, *written]


def _outcome(trained: train.TrainedNetwork) -> dict[str, Any]:
    loss, messages = trained.loss if np.isfinite(trained.loss) else None, list(trained.messages)
    how = {"epoch": trained.epoch, "converged": trained.converged, "messages": messages}
    return {"validation_loss": loss, **how}


def thin_background(
    sample: Sample[Events], share: float, rng: np.random.Generator
) -> Sample[Events]:
    """Keep only a random share of the training background, weighted up to stand for all of it."""
    events = sample.training
    thinned = events[(events.process == SIGNAL) | (rng.random(len(events)) < share)]
    weight = np.where(thinned.process == SIGNAL, thinned.weight, thinned.weight / share)
    return replace(sample, training=replace(thinned, weight=weight.astype(events.weight.dtype)))


def scale_background(sample: Sample[Events], factors: Mapping[str, float]) -> Sample[Events]:
    """Multiply the weights of some backgrounds, by name, with the same events."""
    # Signal, -1, is the last factor.
    factor = np.array([*(factors.get(name, 1.0) for name in sample.backgrounds), 1.0])
    training, validation = (
        replace(part, weight=part.weight * factor[part.process].astype(part.weight.dtype))
        for part in (sample.training, sample.validation)
    )
    return replace(sample, training=training, validation=validation)


def _pretrained(output: OutputFolder, study: Study) -> FloatArray | None:
    """Parameters (N, K) of the networks of the main study that a study begins with, if it does."""
    if study.pretrains:
        return None
    folder = output.study(MAIN)
    names = (f"bce-{n:02d}" for n in range(study.settings.networks))
    saved = (load_network(folder.network(name)).network for name in names)
    return train.parameters_of([*map(PunziNet.of, saved)])


def _judgements(output: OutputFolder, studies: Sequence[str]) -> dict[str, judgement.Judgement]:
    return {name: judgement.Judgement.read(output.study(name).judgement) for name in studies}


def write_claims(manifest: Manifest, output: OutputFolder, studies: Sequence[str]) -> list[Path]:
    """Put the claims on studies into numbers; InputError if a study is missing or damaged."""
    claims = make_claims(_judgements(output, studies))
    write_json(output.claims, {name: asdict(claim) for name, claim in claims.items()})
    sections = {"paper", "training", "figure_of_merit", "luminosity"}
    recipe = manifest.model_dump(mode="json", include=sections)
    more = {"simulation_seed": manifest.simulation.seed, **processed_of(output)}
    about = provenance(manifest.digest, stage="paper", **recipe, **more)
    write_json(output.paper / "provenance.json", about)
    return [output.claims, output.paper / "provenance.json"]


def write_effects(
    manifest: Manifest, output: OutputFolder, studies: Sequence[Study]
) -> dict[str, Effect]:
    """Put into numbers what variations change; InputError if a study is missing or damaged."""
    found = effects(studies, _judgements(output, [MAIN, *(study.name for study in studies)]))
    about = provenance(manifest.digest, stage="paper studies", paper=manifest.paper.model_dump())
    content = {name: asdict(effect) for name, effect in found.items()}
    write_json(output.variations, {"provenance": about, "variations": content})
    return found
