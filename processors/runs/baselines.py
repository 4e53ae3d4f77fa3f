"""The baselines stage: everything the Punzi-net is compared with, on the same events."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss, roc_auc_score

from punzinet.analysis.evaluation import Judge
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.limits.systematics import measured_figure
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.paper import baselines
from punzinet.analysis.paper.baselines import Baselines, Ranking, judge_scores
from punzinet.analysis.saved_network import Perceptron, load_network
from punzinet.analysis.training.data import Events, Sample, load_sample
from punzinet.analysis.types import SIGNAL, FloatArray
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.features import ObservableProcessor, ObservedEvents
from punzinet.processors.runs.reading import open_reading
from punzinet.processors.runs.training import provenance_of, train_visibly

#: Permutations of each observable that its rank is averaged over.
REPETITIONS = 5
#: Learning rate of the significance loss, whose slopes are not those of a σ_min in fb.
SIGNIFICANCE_RATE = 1.0


@dataclass(frozen=True, eq=False)
class _Common:
    manifest: Manifest
    output: OutputFolder
    windows: Windows
    trained: Sample[Events]  # events of the training hypotheses
    everything: Sample[Events]  # of all hypotheses
    resume: bool  # whether interrupted trainings are continued

    def judge(self, figure_of_merit: FigureOfMerit) -> Judge:
        """Judge of what selections achieve at all masses."""
        luminosity = self.manifest.luminosity
        return Judge(self.everything, self.windows.training, figure_of_merit, luminosity)


def run_baselines(
    manifest: Manifest, output: OutputFolder, execution: Execution, *, resume: bool = True
) -> tuple[list[Path], Baselines, Baselines, Ranking]:
    """Train and judge all baselines.

    Without `resume` the checkpoints of interrupted trainings are thrown away. The result is all
    files written, the baselines, the study of systematics, and the ranks of observables. InputError
    if a result of earlier stages is missing or damaged; Interrupted if a training was to stop.
    """
    windows, training = Windows.read(output.windows), manifest.training
    trained, everything = (
        load_sample(output.tensors, counted, training.folds) for counted in (windows, windows.every)
    )
    common = _Common(manifest, output, windows, trained, everything, resume)
    folders = (output.network(name) for name in ("bce-00", "punzi-00"))
    bce, punzi = (load_network(folder, windows.search).network for folder in folders)
    merit = measured_figure(manifest, output, windows)
    judge = common.judge(merit)
    found = {
        "bce-interpolated": judge_scores(judge, "BCE net", bce.logit)["interpolated"],
        "punzi-single": judge_scores(judge, "Punzi-net", punzi.logit)["single"],
    }
    trees = judge_scores(judge, "Boosted trees", _trees(common))
    found |= {f"trees-{cut}": baseline for cut, baseline in trees.items()}
    chosen = windows.mass, windows.training, merit, manifest.luminosity
    fold, processes = judge.folds["training"].events, everything.backgrounds
    cuts = baselines.rectangular_cuts(fold, *chosen, processes=processes)
    found["rectangular"] = baselines.judge_rectangular(judge, "Rectangular cuts", cuts)
    slow = training.punzi.model_copy(update={"learning_rate": SIGNIFICANCE_RATE})
    section = {"significance_cross_section": training.significance_cross_section or 10.0}
    significance = _train(common, "significance", merit, **section, punzi=slow)
    label = "Significance loss"
    found["significance-single"] = judge_scores(judge, label, significance.logit)["single"]
    comparison = Baselines(judge.mass, judge.training, *judge.merit, found)
    systematics = _systematics(common, merit, punzi)
    ranking, loss = _rank(common, execution)
    settings = manifest.baselines.model_dump(mode="json")
    about = provenance_of(manifest, output, "baselines", baselines=settings)
    names = ("baselines.json", "systematics.json", "observables.json")
    written = [output.baselines / name for name in names]
    comparison.write(written[0], about)
    systematics.write(written[1], about)
    ranking.write(written[2], about, loss)
    return written, comparison, systematics, ranking


def _trees(common: _Common) -> Callable[[FloatArray], FloatArray]:
    """Train boosted trees, and return their output before the sigmoid for features (n, F)."""
    number, seed = common.manifest.baselines.trees, common.manifest.training.seed
    events = common.trained.training
    weight = baselines.balanced_weights(events.process, events.start, events.weight)
    signal = events.process == SIGNAL
    trees = baselines.train_trees(events.features.T, signal, weight, number, seed)
    return lambda features: np.asarray(trees.decision_function(features))


def _train(
    common: _Common, name: str, figure_of_merit: FigureOfMerit, **changes: Any
) -> Perceptron:
    """Train one network with another loss or figure of merit than the manifest's."""
    settings = common.manifest.training.model_copy(update={"networks": 1, **changes})
    output = OutputFolder(common.output.baselines / name)
    merit = figure_of_merit, common.manifest.luminosity
    result = train_visibly(common.trained, merit, settings, output, resume=common.resume)
    return result.punzi[0].network.perceptron


def _systematics(common: _Common, uncertain: FigureOfMerit, plain: Perceptron) -> Baselines:
    """Judge networks trained with (`aware`) and without (`plain`) uncertain background, by both.

    The uncertainty is that of the figure of merit, or where it has none that of the baselines.
    """
    settings = common.manifest.baselines
    given, key = uncertain.background_uncertainty, "background_uncertainty"
    if not any(given.values() if isinstance(given, dict) else [given]):
        uncertain = uncertain.model_copy(update={key: settings.background_uncertainty})
    known = uncertain.model_copy(update={key: 0.0})
    aware = _train(common, "systematics", uncertain)
    without, including = common.judge(known), common.judge(uncertain)
    cases = {
        "plain-known": (without, plain, "known background"),
        "plain-uncertain": (including, plain, "uncertain, trained as if known"),
        "aware-uncertain": (including, aware, "uncertain, trained for that"),
        "aware-known": (without, aware, "known, trained as if uncertain"),
    }
    found = {
        name: replace(judge_scores(judge, label, network.logit)["single"], label=label)
        for name, (judge, network, label) in cases.items()
    }
    return Baselines(including.mass, including.training, *including.merit, found)


def _rank(common: _Common, execution: Execution) -> tuple[Ranking, float]:
    """Rank candidate observables by what they are worth to trees, and the trees' cross-entropy."""
    manifest, events = common.manifest, _observe(common, execution)
    number, seed = manifest.baselines.trees, manifest.training.seed
    process = np.where(events.signal, SIGNAL, 0)
    weights = baselines.balanced_weights(process, events.hypothesis, events.weight)
    folds = manifest.training.folds
    training, judging = folds.rows(events.fold)[0], events.fold == folds.judging
    sample = events.observables[training], events.signal[training], weights[training]
    trees = baselines.train_trees(*sample, number, seed)
    observables, signal = events.observables[judging], events.signal[judging]
    weight = weights[judging]
    permuted = permutation_importance(
        trees, observables, signal, scoring="neg_log_loss", n_repeats=REPETITIONS,
        random_state=seed, sample_weight=weight,
    )  # fmt: skip
    mean, error = permuted.importances_mean, permuted.importances_std
    area = np.array([roc_auc_score(signal, x, sample_weight=weight) for x in observables.T])
    order = np.argsort(-mean, kind="stable")
    names = tuple(manifest.search.resolved.candidates[i].name for i in order)
    measures = (measure[order] for measure in (mean, error, np.maximum(area, 1 - area)))
    loss = log_loss(signal, trees.predict_proba(observables), sample_weight=weight)
    return Ranking(names, *measures), float(loss)


def _observe(common: _Common, execution: Execution) -> ObservedEvents:
    """Read the candidate observables of a share of the events."""
    manifest = common.manifest.part()
    folds = common.trained.training, common.trained.validation, common.trained.test
    is_signal = np.concatenate([events.process for events in folds]) == SIGNAL
    wanted = manifest.baselines.ranking_events
    shares = {
        name: wanted / max(int(np.sum(is_signal == dataset.is_signal)), 1)
        for name, dataset in manifest.datasets.items()
    }

    with open_reading(manifest, common.output.ledger("baselines"), execution) as reading:
        datasets = reading.describe().values()
        processor = ObservableProcessor(datasets, common.windows, shares)
        return processor.merge(reading.process(processor, "observables", "Observables"))
