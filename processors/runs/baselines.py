"""The baselines stage: everything the Punzi-net is compared with, on the same events."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss, roc_auc_score

from punzinet.analysis.baselines.boosted_trees import (
    balanced_weights,
    gains,
    out_of_fold_scores,
    train_trees,
)
from punzinet.analysis.baselines.judging import Judge
from punzinet.analysis.baselines.rectangular_cuts import CutSearch
from punzinet.analysis.baselines.results import Baseline, Baselines, Ranking
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.provenance import provenance
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.network import PunziNet, load_network
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Sample, load_sample
from punzinet.analysis.training.progress import ProgressBar
from punzinet.analysis.training.train import train_networks
from punzinet.analysis.windows import Windows
from punzinet.processors.datasets import describe_datasets
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Ledger
from punzinet.processors.ntuples.inputs import take_inputs
from punzinet.processors.ntuples.trial import processed_of
from punzinet.processors.observables import ObservableProcessor, ObservedEvents
from punzinet.processors.runner import run_processor

LOG = logging.getLogger(__name__)
#: Permutations that rank each observable.
REPETITIONS = 5
#: Learning rate of the significance loss, whose slopes are not those of a σ_min in fb.
SIGNIFICANCE_RATE = 1.0
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class _Common:
    """What all baselines share.

    Attributes:
        manifest: Recipes, figure of merit and luminosity.
        output: Where results go.
        windows: All windows.
        trained: Events of the training hypotheses.
        everything: Events of all hypotheses.
        seconds: Duration of each baseline, added to.
        resume: Whether interrupted trainings are continued.
    """

    manifest: Manifest
    output: OutputFolder
    windows: Windows
    trained: Sample
    everything: Sample
    seconds: dict[str, float]
    resume: bool

    def judge(self, figure_of_merit: FigureOfMerit) -> Judge:
        """Judge of what selections achieve at all masses."""
        return Judge(
            self.everything, self.windows.training, figure_of_merit, self.manifest.luminosity
        )

    def collect(self, figure_of_merit: FigureOfMerit, found: dict[str, Baseline]) -> Baselines:
        """Put results together with the masses they are for."""
        windows, luminosity = self.windows, self.manifest.luminosity
        return Baselines(windows.mass, windows.training, figure_of_merit, luminosity, found)

    def timed(self, name: str, work: Callable[[], Result]) -> Result:
        """Do some work, and note how long it took."""
        LOG.info("%s", name)
        begin = time.perf_counter()
        result = work()
        self.seconds[name] = round(time.perf_counter() - begin, 2)
        return result


def run_baselines(
    manifest: Manifest,
    output: OutputFolder,
    execution: Execution,
    *,
    resume: bool = True,
) -> tuple[list[Path], Baselines, Baselines, Ranking]:
    """Train and judge all baselines.

    Without `resume` the checkpoints of interrupted trainings are thrown away.

    Returns:
        All files written; the baselines; the study of systematics; the ranks of observables.

    Raises:
        InputError: If something that earlier stages make is missing or damaged.
        Interrupted: If a training was asked to stop.
    """
    windows = Windows.read(output.windows)
    fold = manifest.training.validation_fold
    trained = load_sample(output.tensors, windows, fold)
    everything = load_sample(output.tensors, windows, fold, every_mass=True)
    common = _Common(manifest, output, windows, trained, everything, {}, resume)
    bce, punzi = (
        load_network(output.network(f"{loss}-00"), windows.search).network
        for loss in ("bce", "punzi")
    )
    judge = common.judge(manifest.figure_of_merit)
    found: dict[str, Baseline] = {
        "bce-interpolated": _network(judge, "BCE net", bce)["interpolated"],
        "punzi-single": _network(judge, "Punzi-net", punzi)["single"],
    }
    scores = common.timed("boosted trees", lambda: _trees(common, judge))
    trees = judge.scores("Boosted trees", *scores)
    found |= {f"trees-{cut}": baseline for cut, baseline in trees.items()}
    found["rectangular"] = common.timed("rectangular cuts", lambda: _rectangular(common, judge))
    significance = common.timed("significance loss", lambda: _significance(common))
    found["significance-single"] = _network(judge, "Significance loss", significance)["single"]
    comparison = common.collect(manifest.figure_of_merit, found)
    systematics = common.timed("systematics", lambda: _systematics(common, punzi))
    ranking, loss = common.timed("ranking of observables", lambda: _rank(common, execution))

    about = provenance(
        manifest.digest,
        stage="baselines",
        baselines=manifest.baselines.model_dump(mode="json"),
        figure_of_merit=manifest.figure_of_merit.model_dump(mode="json"),
        luminosity=manifest.luminosity,
        **processed_of(output),
    )
    folder = output.baselines
    comparison.write(folder / "baselines.json", about)
    systematics.write(folder / "systematics.json", about)
    ranking.write(folder / "observables.json", about, loss)
    write_json(folder / "seconds.json", common.seconds)
    names = ("baselines.json", "systematics.json", "observables.json", "seconds.json")
    return [folder / name for name in names], comparison, systematics, ranking


def _network(judge: Judge, label: str, network: PunziNet) -> dict[str, Baseline]:
    """Judge a network as everything else is judged."""
    folds = judge.training_events, judge.validation_events
    return judge.scores(label, *(network.logit_numpy(events.features) for events in folds))


def _trees(common: _Common, judge: Judge) -> tuple[np.ndarray, np.ndarray]:
    """Train trees on the features, as the networks are.

    Returns:
        Scores of the training events of all hypotheses, each by trees that did not see it, and
        of the validation events.
    """
    number, seed = common.manifest.baselines.trees, common.manifest.training.seed
    events = common.trained.training
    weight = balanced_weights(events.process, events.start, events.weight)
    trees = train_trees(events.features.T, events.process == SIGNAL, weight, number, seed)
    others = judge.training_events
    signal = others.process == SIGNAL
    scores = out_of_fold_scores(
        others.features,
        signal,
        balanced_weights(others.process, others.start, others.weight),
        common.windows.training[others.start] | ~signal,
        number,
        seed=seed,
    )
    return scores, trees.decision_function(judge.validation_events.features)


def _rectangular(common: _Common, judge: Judge) -> Baseline:
    """Optimise cuts on the features on training events."""
    search = CutSearch(
        common.everything.training,
        judge.training_events.weight,
        common.manifest.figure_of_merit,
        common.manifest.luminosity,
        common.everything.backgrounds,
    )
    cuts = search.optimise(common.windows.mass, common.windows.training)
    return judge.rectangular("Rectangular cuts", cuts)


def _train(common: _Common, name: str, figure_of_merit: FigureOfMerit, **changes: Any) -> PunziNet:
    """Train one network with another loss or figure of merit than the manifest's."""
    with ProgressBar() as progress:
        result = train_networks(
            common.trained,
            figure_of_merit,
            common.manifest.luminosity,
            common.manifest.training.model_copy(update={"networks": 1, **changes}),
            OutputFolder(common.output.baselines / name),
            resume=common.resume,
            reporters=[progress],
        )
    return result.punzi[0].network


def _significance(common: _Common) -> PunziNet:
    """Train a network with the significance loss."""
    training = common.manifest.training
    return _train(
        common,
        "significance",
        common.manifest.figure_of_merit,
        significance_cross_section=training.significance_cross_section or 10.0,
        punzi=training.punzi.model_copy(update={"learning_rate": SIGNIFICANCE_RATE}),
    )


def _uncertain(manifest: Manifest) -> FigureOfMerit:
    """The manifest's figure of merit, with an uncertain background if it has none."""
    figure = manifest.figure_of_merit
    given = figure.background_uncertainty
    if any(given.values()) if isinstance(given, dict) else given:
        return figure
    relative = manifest.baselines.background_uncertainty
    return figure.model_copy(update={"background_uncertainty": relative})


def _systematics(common: _Common, plain: PunziNet) -> Baselines:
    """Judge networks trained with (`aware`) and without (`plain`) uncertain background, by both."""
    uncertain = _uncertain(common.manifest)
    known = uncertain.model_copy(update={"background_uncertainty": 0.0})
    aware = _train(common, "systematics", uncertain)
    without, including = common.judge(known), common.judge(uncertain)
    cases = {
        "plain-known": (without, plain, "known background"),
        "plain-uncertain": (including, plain, "uncertain, trained as if known"),
        "aware-uncertain": (including, aware, "uncertain, trained for that"),
        "aware-known": (without, aware, "known, trained as if uncertain"),
    }
    found = {
        name: replace(_network(judge, label, network)["single"], label=label)
        for name, (judge, network, label) in cases.items()
    }
    return common.collect(uncertain, found)


def _rank(common: _Common, execution: Execution) -> tuple[Ranking, float]:
    """Rank candidate observables by what they are worth to boosted trees.

    Returns:
        The ranking, and the cross-entropy of the trees.
    """
    manifest = common.manifest
    events = _observe(common, execution)
    process = np.where(events.signal, SIGNAL, 0)
    weight = balanced_weights(process, events.hypothesis, events.weight)
    training = events.fold != manifest.training.validation_fold
    number, seed = manifest.baselines.trees, manifest.training.seed
    trees = train_trees(
        events.observables[training], events.signal[training], weight[training], number, seed
    )
    observables, signal = events.observables[~training], events.signal[~training]
    judged_weight = weight[~training]
    permuted = permutation_importance(
        trees,
        observables,
        signal,
        scoring="neg_log_loss",
        n_repeats=REPETITIONS,
        random_state=seed,
        sample_weight=judged_weight,
    )
    mean, error = permuted.importances_mean, permuted.importances_std
    area = np.array([roc_auc_score(signal, x, sample_weight=judged_weight) for x in observables.T])
    order = np.argsort(-mean, kind="stable")
    candidates = manifest.search.resolved.candidates
    names = tuple(candidates[i].name for i in order)
    columns = mean, error, gains(trees, len(candidates)), np.maximum(area, 1 - area)
    ranking = Ranking(names, *(column[order] for column in columns))
    probability = trees.predict_proba(observables)
    return ranking, float(log_loss(signal, probability, sample_weight=judged_weight))


def _observe(common: _Common, execution: Execution) -> ObservedEvents:
    """Read the candidate observables of a share of the events."""
    manifest = common.manifest.without_data()
    inputs = take_inputs(manifest, allow_missing=False)
    datasets = describe_datasets(manifest, inputs.files)
    counts = [common.trained.training.process, common.trained.validation.process]
    signal = sum(int(np.count_nonzero(process == SIGNAL)) for process in counts)
    total = sum(len(process) for process in counts)
    wanted = manifest.baselines.ranking_events
    shares = {
        name: wanted / max(signal if dataset.is_signal else total - signal, 1)
        for name, dataset in datasets.items()
    }
    processor = ObservableProcessor(datasets.values(), common.windows, shares, by_chunk=True)
    with open_executor(execution, inputs.processed.total()) as executor:
        observed, _ = run_processor(
            processor,
            inputs.files,
            inputs.chunks(),
            executor,
            Ledger(common.output.ledger("baselines")),
            step="observables",
            title="Observables",
        )
    return processor.merge(observed)
