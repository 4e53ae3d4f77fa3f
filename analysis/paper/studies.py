"""The trainings behind the figures: each one a recipe and a number of networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from punzinet.analysis.manifest.sections import PaperSettings
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.types import BoolArray

MAIN = "main"  # the study that everything is compared with
UNBATCHED = "unbatched"
VARIATION = "vary-"  # what names of variations begin with


@dataclass(frozen=True)
class Study:
    """One recipe, for an ensemble of networks."""

    name: str  # of its folder
    label: str  # what figures call it
    settings: TrainingSettings
    pretrains: bool = False  # or begins with the pretrained networks of the main study
    background: float = 1.0  # share of the simulated training background that it may use
    #: Factors on the normalisation of background processes in the training.
    scaled: Mapping[str, float] = field(default_factory=dict)
    spacing: int = 1  # of the hypotheses that are trained on, it trains on one in so many
    without_lightest: float = 0.0  # share of these, the lightest, that it does not train on

    def trained(self, training: BoolArray) -> BoolArray:
        """Which hypotheses it trains on, of those (H,) that there are, in order of mass."""
        chosen = np.flatnonzero(training)
        chosen = chosen[int(len(chosen) * self.without_lightest) :: self.spacing]
        return np.isin(np.arange(len(training)), chosen)

    def recipe(self) -> dict[str, Any]:
        """All that its networks depend on beside the events, as JSON."""
        names = ("background", "scaled", "spacing", "without_lightest")
        settings = self.settings.model_dump(mode="json")
        return {"training": settings, **{name: getattr(self, name) for name in names}}


def paper_studies(training: TrainingSettings, paper: PaperSettings) -> list[Study]:
    """The trainings that the paper's figures need, the main one first."""
    size = training.punzi.batch_size
    main = _with(training, networks=paper.networks)
    others: dict[str, tuple[int | None, int]] = {
        f"batch-{b}": (b, paper.further_networks) for b in paper.further_batch_sizes
    }
    others[UNBATCHED] = None, paper.unbatched_networks
    studies = [Study(MAIN, _batch_label(size), main, pretrains=True)]
    for name, (other, most) in others.items():
        if other != size:
            changed = _with(main, networks=min(most, paper.networks), punzi={"batch_size": other})
            studies.append(Study(name, _batch_label(other), changed))
    return studies


def _batch_label(batch_size: int | None) -> str:
    return "no batches" if batch_size is None else f"batch {batch_size:,}".replace(",", " ")


def variations(
    training: TrainingSettings, paper: PaperSettings, backgrounds: Sequence[str]
) -> list[Study]:
    """Variations of the main recipe, one thing at a time, all but one judged by the same events."""
    main = _with(training, networks=min(paper.further_networks, paper.networks))
    rate, epochs = training.punzi.learning_rate, training.punzi.epochs
    pretraining = training.pretraining
    weights = "total" if pretraining.signal_weights == "hypothesis" else "hypothesis"
    short = max(pretraining.epochs // 10, 1)
    wide = tuple(2 * width for width in training.hidden)

    def recipe(name: str, label: str, **changes: Any) -> Study:
        # Where only the second stage differs, the first need not be repeated.
        pretrains = changes.keys() != {"punzi"}
        return Study(f"{VARIATION}{name}", label, _with(main, **changes), pretrains)

    def sample(name: str, label: str, **changes: Any) -> Study:
        return Study(f"{VARIATION}{name}", label, main, pretrains=True, **changes)

    return [
        recipe("published", "published recipe, no finish", finish=0),
        recipe("split", "published split 80/20, events that chose judge", test_fold=None),
        recipe("rate-low", "learning rate / 3", punzi={"learning_rate": rate / 3}),
        recipe("rate-high", "learning rate × 3", punzi={"learning_rate": rate * 3}),
        recipe("epochs-half", "half the epochs", punzi={"epochs": max(epochs // 2, 1)}),
        recipe("epochs-double", "twice the epochs", punzi={"epochs": 2 * epochs}),
        recipe("weights", f"signal weights: {weights}", pretraining={"signal_weights": weights}),
        recipe("pretraining-short", "a tenth of the pretraining", pretraining={"epochs": short}),
        recipe("wide", f"hidden layers {'-'.join(map(str, wide))}", hidden=wide),
        recipe("seed", "other seed of the networks", seed=training.seed + 1000),
        sample("background-0.50", "50% of the background", background=0.5),
        sample("background-0.25", "25% of the background", background=0.25),
        *(
            sample(f"twice-{n}", f"trained with twice the {n}", scaled={n: 2.0})
            for n in backgrounds
        ),
        sample("spacing", "every second trained mass (less overlap)", spacing=2),
        sample("heavy", "without the lightest eighth of the masses", without_lightest=0.125),
    ]


def _with(training: TrainingSettings, **changes: Any) -> TrainingSettings:
    """Change settings; a mapping changes settings of that section."""
    for key, value in changes.items():
        section = getattr(training, key)
        new = section.model_copy(update=value) if isinstance(value, Mapping) else value
        training = training.model_copy(update={key: new})
    return training
