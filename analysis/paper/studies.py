"""The trainings behind the figures: each one a recipe and a number of networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from punzinet.analysis.manifest.sections import PaperSettings
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.types import BoolArray

#: The study that everything is compared with.
MAIN = "main"
UNBATCHED = "unbatched"
#: What names of variations begin with.
VARIATION = "vary-"


@dataclass(frozen=True)
class Study:
    """One recipe, for an ensemble of networks.

    Attributes:
        name: Of its folder.
        label: What figures call it.
        settings: The recipe.
        pretrained: Study whose pretrained networks it begins with; None to pretrain its own.
        background: Share of the simulated training background that it may use.
        scaled: Factors on the normalisation of background processes in the training.
        spacing: Of the hypotheses that are trained on, it trains on one in so many.
        without_lightest: Share of these hypotheses, the lightest, that it does not train on.
    """

    name: str
    label: str
    settings: TrainingSettings
    pretrained: str | None = MAIN
    background: float = 1.0
    scaled: Mapping[str, float] = field(default_factory=dict)
    spacing: int = 1
    without_lightest: float = 0.0

    def trained(self, training: BoolArray) -> BoolArray:
        """Which hypotheses it trains on, of those (H,) that there are, in order of mass."""
        chosen = np.flatnonzero(training)
        chosen = chosen[int(len(chosen) * self.without_lightest) :: self.spacing]
        return np.isin(np.arange(len(training)), chosen)


def batch_label(batch_size: int | None) -> str:
    """How figures write a batch size."""
    return "no batches" if batch_size is None else f"batch {batch_size:,}".replace(",", " ")


def paper_studies(training: TrainingSettings, paper: PaperSettings) -> list[Study]:
    """The trainings that the paper's figures need, the main one first."""
    size = training.punzi.batch_size
    main = training.model_copy(update={"networks": paper.networks})
    studies = [Study(MAIN, batch_label(size), main, pretrained=None)]
    others: list[tuple[str, int | None, int]] = [
        (f"batch-{b}", b, paper.further_networks) for b in paper.further_batch_sizes if b != size
    ]
    if size is not None:
        others.append((UNBATCHED, None, paper.unbatched_networks))
    for name, other, networks in others:
        changed = _with(
            training, networks=min(networks, paper.networks), punzi={"batch_size": other}
        )
        studies.append(Study(name, batch_label(other), changed))
    return studies


def variations(
    training: TrainingSettings, paper: PaperSettings, backgrounds: Sequence[str]
) -> list[Study]:
    """Variations of the main recipe, one thing at a time, to see what a result depends on.

    All are judged by the same, unchanged events.
    """
    networks = min(paper.further_networks, paper.networks)
    punzi, pretraining = training.punzi, training.pretraining
    other_weights = "total" if pretraining.signal_weights == "hypothesis" else "hypothesis"
    wide = tuple(2 * width for width in training.hidden)
    other_optimizer = "lbfgs" if punzi.optimizer == "sgd" else "sgd"
    other_batches = "stratified" if punzi.batches == "random" else "random"
    recipes: dict[str, tuple[str, dict[str, Any]]] = {
        "optimizer": (f"optimiser: {other_optimizer}", {"punzi": {"optimizer": other_optimizer}}),
        "batches": (f"{other_batches} batches", {"punzi": {"batches": other_batches}}),
        "rate-low": ("learning rate / 3", {"punzi": {"learning_rate": punzi.learning_rate / 3}}),
        "rate-high": ("learning rate × 3", {"punzi": {"learning_rate": punzi.learning_rate * 3}}),
        "epochs-half": ("half the epochs", {"punzi": {"epochs": max(punzi.epochs // 2, 1)}}),
        "epochs-double": ("twice the epochs", {"punzi": {"epochs": 2 * punzi.epochs}}),
        "weights": (
            f"signal weights: {other_weights}",
            {"pretraining": {"signal_weights": other_weights}},
        ),
        "pretraining-short": (
            "a tenth of the pretraining",
            {"pretraining": {"epochs": max(pretraining.epochs // 10, 1)}},
        ),
        "wide": (f"hidden layers {'-'.join(map(str, wide))}", {"hidden": wide}),
        "seed": ("other seed of the networks", {"seed": training.seed + 1000}),
    }
    studies = [
        Study(
            f"{VARIATION}{name}",
            label,
            _with(training, networks=networks, **changes),
            # Where only the second stage differs, the first need not be repeated.
            pretrained=MAIN if changes.keys() == {"punzi"} else None,
        )
        for name, (label, changes) in recipes.items()
    ]
    same = training.model_copy(update={"networks": networks})
    samples: dict[str, tuple[str, dict[str, Any]]] = {
        f"background-{share:.2f}": (f"{share:.0%} of the background", {"background": share})
        for share in (0.5, 0.25)
    }
    samples |= {
        f"twice-{name}": (f"trained with twice the {name}", {"scaled": {name: 2.0}})
        for name in backgrounds
    }
    samples["spacing"] = "every second trained mass (less overlap)", {"spacing": 2}
    samples["heavy"] = ("without the lightest eighth of the masses", {"without_lightest": 0.125})
    return studies + [
        Study(f"{VARIATION}{name}", label, same, pretrained=None, **changes)
        for name, (label, changes) in samples.items()
    ]


def _with(training: TrainingSettings, **changes: Any) -> TrainingSettings:
    """Change settings; a mapping changes settings of that section."""
    update = {
        key: getattr(training, key).model_copy(update=value)
        if isinstance(value, Mapping)
        else value
        for key, value in changes.items()
    }
    return training.model_copy(update=update)
