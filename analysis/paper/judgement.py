"""What the networks of a study achieve, with everything that claims and figures are made of."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy.ndimage import gaussian_filter1d

from punzinet.analysis.cuts import NONE_FOUND, interpolated_cuts, unseen_background
from punzinet.analysis.evaluation import Judge, ScaledFold
from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.io.files import InputError, write_whole
from punzinet.analysis.io.tensor_events import TensorEvents
from punzinet.analysis.saved_network import Perceptron
from punzinet.analysis.sensitivity import NetworkSensitivity, Sensitivity
from punzinet.analysis.types import BoolArray, FloatArray, IntArray, divided

LOSSES = ("bce", "punzi")
REPLICAS, TOYS = range(2)  # what is done with the random numbers that judging needs
SELECTIONS = 400  # toy selections that say what statistics alone makes of a smooth one
SMOOTHING = 3.0  # width of the smoothing that defines "smooth", in bins
Merit = tuple[FigureOfMerit, float]  # with the luminosity, fb^-1


@dataclass(frozen=True, eq=False)
class Judgement:
    """What N networks achieve at H hypotheses.

    The arrays have names. Each begins with the loss, ``bce`` or ``punzi``, and goes on with

    - ``<kind>/cut``, ``<kind>/effective`` (simulated background events behind it) and
      ``<kind>/sigma`` (σ_min in fb), (N, H), for the kinds of `cuts_of`;
    - ``<kind>/replicas``, σ_min in R resampled samples, (N, R, H);
    - ``signal/<kind>`` and ``background/<kind>`` for the kinds ``best`` and ``single``: sums of
      weights and of their squares of what passes along the mass, (N, 2, H);
    - ``roughness/signal/<kind>`` and ``roughness/background/<kind>``, (N,).

    Without a loss there are ``total/signal`` and ``total/background``, (2, H), and ``edges``, the
    bins along the mass, (H + 1,).
    """

    mass: FloatArray  # (H,) in GeV
    training: BoolArray  # (H,) which were trained on
    converged: BoolArray  # (N,) which of the networks converged
    arrays: dict[str, FloatArray]

    def first(self, networks: int) -> Self:
        """The same of the first few networks."""
        arrays = {
            name: array[:networks] if name.split("/")[0] in LOSSES else array
            for name, array in self.arrays.items()
        }
        return replace(self, converged=self.converged[:networks], arrays=arrays)

    def after(self, pretraining: Self) -> Self:
        """The same with the pretrained networks of another study, that these were made of."""
        bce = {name: a for name, a in pretraining.arrays.items() if name.startswith("bce/")}
        return replace(self, arrays={**self.arrays, **bce})

    def write(self, path: Path) -> None:
        """Write all of it as one safetensors file."""
        content = vars(self) | self.arrays
        del content["arrays"]
        write_whole(path, save({k: np.ascontiguousarray(a) for k, a in content.items()}))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; InputError if the file is absent or damaged."""
        try:
            arrays = load(path.read_bytes())
            return cls(arrays.pop("mass"), arrays.pop("training"), arrays.pop("converged"), arrays)
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(
                f"{path} does not hold the results of a study ({error!r}); delete it and run "
                "`punzinet paper` again."
            ) from error


def judge(
    networks: Mapping[str, Perceptron],
    sensitivity: Sensitivity,
    scaled: Judge,
    events: TensorEvents,
    converged: BoolArray,
    *,
    replicas: int,
    seed: int,
) -> Judgement:
    """Judge the networks of a study, by name, in their order.

    `scaled` are the events in the windows of all hypotheses, `events` those that judge with their
    recoil masses. Studies with the same seed share replicas.
    """
    mass, training, judges = scaled.mass, scaled.training, scaled.judging_fold
    resampled = Replicas(judges, replicas, np.random.default_rng([seed, REPLICAS]))
    edges = bin_edges(mass)
    arrays: dict[str, FloatArray] = {}
    collected: dict[str, list[Any]] = defaultdict(list)
    for name, network in networks.items():
        loss = name.split("-")[0]
        inputs = judges.events.features.T, events.features
        logit, recoiling = map(network.logit, inputs)
        ranked = judges.rank(logit)
        unseen = unseen_background(ranked)
        for kind, cut in cuts_of(sensitivity.networks[name], mass, training).items():
            chosen, _ = scaled.judge(ranked, cut)
            sigma = resampled.sigma_min(logit, cut, unseen, scaled.merit).astype(np.float32)
            collected[f"{loss}/{kind}/cut"].append(cut)
            collected[f"{loss}/{kind}/sigma"].append(chosen.sigma_min)
            collected[f"{loss}/{kind}/effective"].append(chosen.effective)
            collected[f"{loss}/{kind}/replicas"].append(sigma)
            if kind not in {"best", "single"}:
                continue
            passing = passing_fractions(events, recoiling, edges, mass[training], cut[training])
            for process, (passed, total) in passing.items():
                rough = roughness(passed, total, np.random.default_rng([seed, TOYS]))
                collected[f"{loss}/{process}/{kind}"].append(passed)
                collected[f"{loss}/roughness/{process}/{kind}"].append(rough)
                arrays[f"total/{process}"] = total
    arrays |= {key: np.array(values) for key, values in collected.items()}
    return Judgement(mass, training, converged, arrays | {"edges": edges})


def cuts_of(
    judged: NetworkSensitivity, mass: FloatArray, training: BoolArray
) -> dict[str, FloatArray]:
    """The cuts (H,) of a network, by kind: best for each mass, one for all, or an output of 0.5.

    Best cuts are, as in the paper, interpolated to masses that were not trained on (``best``),
    which have their own as well (``best_own``).
    """
    own = judged.optimal.cut
    best = np.where(training, own, interpolated_cuts(mass[training], own[training], mass))
    return {"best": best, "best_own": own, "single": judged.single.cut, "half": judged.half.cut}


class Replicas:
    """Uncertainty of anything from the finite simulated sample: R samples drawn from its events.

    Each replica gives every event a Poisson weight of mean 1 (the bootstrap for counting
    experiments). All networks and cuts see the same replicas, so that what they share cancels in
    their ratios. Where not one event passes a cut, the expected background of a replica is drawn
    from an exponential whose 68 % quantile is the `unseen_background`.
    """

    def __init__(self, fold: ScaledFold, count: int, rng: np.random.Generator) -> None:
        size = len(fold.events)
        drawn = rng.poisson(1.0, (size, count)).astype(np.uint8)
        self._fold = fold
        self._counts = np.hstack([drawn, np.ones((size, 1), drawn.dtype)])  # last, the sample
        self._unseen = rng.standard_exponential((fold.total.shape[1], count)) / NONE_FOUND

    def sigma_min(
        self, logit: FloatArray, cut: FloatArray, unseen: FloatArray, merit: Merit
    ) -> FloatArray:
        """σ_min (R, H) in fb behind a cut (H,) in every replica, infinite where nothing passes.

        `logit` (n,) are outputs before the sigmoid, in the order of the events, and `unseen` is
        their `unseen_background` (H,).
        """
        figure, luminosity = merit
        passing = np.flatnonzero(logit >= cut.min())
        _, *columns = vars(self._fold.events).values()
        chosen = tuple(column[passing] for column in (logit, *columns, self._counts))
        backgrounds = self._fold.backgrounds
        sums = _sums(chosen, cut.astype(np.float64), len(backgrounds))
        total = sums[:-1].sum(axis=0)
        background = total[:, :-1]
        background = np.where(total[:, -1:] > 0, background, self._unseen * unseen[:, None])
        overall, shifts = figure.uncertainty_of(backgrounds, len(cut))
        variance = background_variance(background, sums[:-1, :, :-1], overall, shifts[..., None])
        sigma: FloatArray = figure.sigma_min(sums[-1, :, :-1], variance, luminosity)
        return sigma.T


@njit(cache=True)
def _sums(events: tuple[Any, ...], cut: FloatArray, processes: int) -> FloatArray:
    """(P + 1, H, R) sums of the weights of backgrounds and signal that pass, by replica."""
    logit, weight, process, start, stop, counts = events
    sums = np.zeros((processes + 1, len(cut), counts.shape[1]))
    for i in range(len(logit)):
        for window in range(start[i], stop[i]):
            if logit[i] >= cut[window]:
                target = sums[process[i], window]  # of signal, -1, the last row
                for r in range(counts.shape[1]):
                    target[r] += weight[i] * counts[i, r]
    return sums


def roughness(passed: FloatArray, total: FloatArray, rng: np.random.Generator) -> float:
    """Steps that a selection puts into a spectrum, as fluctuations of interpolated cuts do.

    Sums of weights and of their squares, (2, H), of what passes and of all events in bins along the
    mass. The measure is the sum of squared second differences of arcsin √p, with p the passing
    fraction: it has the same variance whatever p is. It is divided by its mean over toy selections
    that pass binomially with a smooth fraction, so that 1 means as smooth as the finite sample
    allows. NaN if nothing passes.
    """
    weights, squares = total
    count, fraction = divided(weights**2, squares), divided(passed[0], weights)
    # Unweighted events of the same fractions and power.
    events = np.rint(count).astype(np.int64)
    selected = fraction.clip(0, 1) * events
    if selected.sum() <= 0:
        return np.nan
    filtered = gaussian_filter1d(np.stack([selected, events]).astype(np.float64), SMOOTHING)
    smooth = np.divide(filtered[0], filtered[1], out=np.zeros_like(selected), where=events > 0)
    toys = rng.binomial(events, smooth.clip(0, 1), (SELECTIONS, len(events)))
    return float(_second_differences(selected, events) / _second_differences(toys, events).mean())


def _second_differences(passed: FloatArray | IntArray, total: IntArray) -> FloatArray:
    """Σ of squared second differences of arcsin √p (…, H), over the last axis."""
    angle = np.arcsin(np.sqrt((passed + 0.375) / (total + 0.75)))
    return np.asarray((np.diff(angle, 2) ** 2 * (total[1:-1] > 0)).sum(axis=-1))


def bin_edges(mass: FloatArray) -> FloatArray:
    """Edges (H + 1,) of one bin around each of at least two masses (H,), halfway between them."""
    middle = 0.5 * (mass[1:] + mass[:-1])
    first, last = 2 * mass[0] - middle[0], 2 * mass[-1] - middle[-1]
    return np.concatenate([[max(first, 0.0)], middle, [last]])


def passing_fractions(
    events: TensorEvents, logit: FloatArray, edges: FloatArray, mass: FloatArray, cut: FloatArray
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Apply cuts (H,) known at masses (H,) in GeV, interpolated in the recoil mass of each event.

    `logit` (n,) are the events' outputs before the sigmoid. Returns sums of weights and of their
    squares, (2, H), of what passes and of all events: ``background`` in bins of the recoil mass,
    and ``signal`` in bins of the generated mass.
    """
    passes = logit >= interpolated_cuts(mass, cut, events.measured_mass)

    def fill(where: FloatArray, rows: BoolArray) -> FloatArray:
        weights = events.weight[rows], events.weight[rows] ** 2
        return np.stack([np.histogram(where[rows], edges, weights=w)[0] for w in weights])

    kinds = (
        ("background", events.measured_mass, ~events.signal),
        ("signal", events.mass, events.signal),
    )
    return {name: (fill(x, rows & passes), fill(x, rows)) for name, x, rows in kinds}
