"""What the networks of a study achieve, with everything that claims and figures are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from punzinet.analysis.cuts import interpolated_cuts
from punzinet.analysis.evaluation import ScaledEvents
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import atomic_path
from punzinet.analysis.io.tensor_events import TensorEvents
from punzinet.analysis.network import PunziNet
from punzinet.analysis.paper.replicas import Replicas
from punzinet.analysis.paper.smoothness import MassBins, PassingFraction, passing_fractions
from punzinet.analysis.sensitivity import NetworkSensitivity, Sensitivity
from punzinet.analysis.training.data import Sample
from punzinet.analysis.types import BoolArray, FloatArray

#: Best cut for each trained mass, interpolated to the others, chosen on training events; the
#: same with the others' own best cuts; chosen on the events that judge; one cut; output 0.5.
Kind = Literal["best", "best_own", "best_in_sample", "single", "half"]
KINDS: tuple[Kind, ...] = ("best", "best_own", "best_in_sample", "single", "half")
LOSSES = ("bce", "punzi")
#: What is done with the random numbers that judging needs.
REPLICAS, TOYS = range(2)


@dataclass(frozen=True, eq=False)
class Judgement:
    """What N networks achieve at H hypotheses.

    The arrays have names. Each begins with the loss, ``bce`` or ``punzi``, and goes on with

    - ``<kind>/cut``, ``<kind>/background`` (events) and ``<kind>/sigma`` (σ_min in fb), (N, H);
    - ``<kind>/replicas``, σ_min in R resampled samples, (N, R, H);
    - ``signal/<kind>`` and ``background/<kind>`` for the kinds ``best`` and ``single``: sums of
      weights and of their squares of what passes along the mass, (N, 2, H);
    - ``roughness/signal/<kind>`` and ``roughness/background/<kind>``, (N,).

    Without a loss there are ``total/signal`` and ``total/background``, (2, H), and ``edges``, the
    bins along the mass, (H + 1,).

    Attributes:
        mass: (H,) in GeV.
        training: (H,) which were trained on.
        converged: (N,) which of the networks converged.
        arrays: All arrays by name.
    """

    mass: FloatArray
    training: BoolArray
    converged: BoolArray
    arrays: dict[str, FloatArray]

    @property
    def losses(self) -> tuple[str, ...]:
        """Losses that there are networks of."""
        return tuple(loss for loss in LOSSES if f"{loss}/single/sigma" in self.arrays)

    def sigma(self, loss: str, kind: Kind) -> FloatArray:
        """(N, H) σ_min in fb."""
        return self.arrays[f"{loss}/{kind}/sigma"]

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
        about = {"mass": self.mass, "training": self.training, "converged": self.converged}
        content = {name: np.ascontiguousarray(a) for name, a in {**about, **self.arrays}.items()}
        with atomic_path(path) as partial:
            partial.write_bytes(save(content))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            InputError: If the file is absent or damaged.
        """
        try:
            arrays = load(path.read_bytes())
            return cls(arrays.pop("mass"), arrays.pop("training"), arrays.pop("converged"), arrays)
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(
                f"{path} does not hold the results of a study ({error!r}); delete it and run "
                "`punzinet paper` again."
            ) from error


def judge(
    networks: Mapping[str, PunziNet],
    sensitivity: Sensitivity,
    everything: Sample,
    events: TensorEvents,
    converged: BoolArray,
    *,
    replicas: int,
    seed: int,
) -> Judgement:
    """Judge the networks of a study, by name, by the validation events.

    `everything` has the windows of all hypotheses; `events` are the validation events with their
    recoil masses. The seed of resampling and toys is the same for all studies, so that they share
    replicas.
    """
    validation = ScaledEvents.of(everything, "validation")
    resampled = Replicas(validation, replicas, np.random.default_rng([seed, REPLICAS]))
    mass, training = sensitivity.mass, sensitivity.training
    bins = MassBins.around(mass)
    collected: dict[str, list[FloatArray]] = {}
    totals: dict[str, PassingFraction] = {}
    for name in sorted(networks):
        loss = name.split("-")[0]
        network, judged = networks[name], sensitivity.networks[name]
        cuts = cuts_of(judged, mass, training)
        logit = network.logit_numpy(validation.features)
        ranked = validation.rank(logit)
        recoiling = network.logit_numpy(events.features)
        parts: dict[str, Any] = {}
        for kind, cut in cuts.items():
            chosen, _ = validation.judge(
                ranked, cut, training, sensitivity.figure_of_merit, sensitivity.luminosity
            )
            parts[f"{kind}/cut"] = cut
            parts[f"{kind}/sigma"] = chosen.sigma_min
            parts[f"{kind}/background"] = chosen.background
            parts[f"{kind}/replicas"] = resampled.sigma_min(
                logit, cut, sensitivity.figure_of_merit, sensitivity.luminosity
            ).astype(np.float32)
            if kind in {"best", "single"}:
                totals = passing_fractions(events, recoiling, bins, mass[training], cut[training])
                for process, fraction in totals.items():
                    rng = np.random.default_rng([seed, TOYS])
                    parts[f"{process}/{kind}"] = fraction.passed
                    parts[f"roughness/{process}/{kind}"] = np.array(fraction.roughness(rng))
        for key, value in parts.items():
            collected.setdefault(f"{loss}/{key}", []).append(value)
    arrays = {key: np.stack(values) for key, values in collected.items()}
    arrays |= {f"total/{process}": fraction.total for process, fraction in totals.items()}
    arrays["edges"] = bins.edges
    return Judgement(mass, training, converged, arrays)


def cuts_of(
    judged: NetworkSensitivity, mass: FloatArray, training: BoolArray
) -> dict[Kind, FloatArray]:
    """The cuts of a network, by kind, (H,) each.

    The paper interpolates best cuts between the masses they were found for. So are they here, at
    the masses that were not trained on.
    """
    own = judged.optimal_in_training.cut
    between = interpolated_cuts(mass[training], own[training], mass)
    return {
        "best": np.where(training, own, between),
        "best_own": own,
        "best_in_sample": judged.optimal.cut,
        "single": judged.single.cut,
        "half": judged.half.cut,
    }
