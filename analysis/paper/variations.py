"""What a variation of the recipe changes: the same numbers, one thing different."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from punzinet.analysis.paper.claim import Claim
from punzinet.analysis.paper.claims import REGIONS, mean_sigma, ratio, reduced_ratio
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Statistics, figures_of_merit
from punzinet.analysis.paper.studies import MAIN, Study
from punzinet.analysis.types import BoolArray

#: Names of the ratios at the masses where the unchanged recipe is worst.
WORST, WORST_SINGLE = "worst", "worst_single_over_best"


@dataclass(frozen=True)
class Effect:
    """Numbers of one recipe.

    Attributes:
        label: What was changed.
        networks: Number of networks.
        converged: How many of them converged.
        numbers: Mean σ_min in fb, ratios by region, and both at the mass where the unchanged recipe
            is worst.
    """

    label: str
    networks: int
    converged: int
    numbers: dict[str, Claim]

    def to_json(self) -> dict[str, Any]:
        """As JSON can express it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Effect":
        """What `to_json` says.

        Raises:
            KeyError: If something is missing.
            TypeError: If something is too much.
        """
        numbers = {name: Claim(**claim) for name, claim in content["numbers"].items()}
        return cls(content["label"], content["networks"], content["converged"], numbers)


def effects(studies: Sequence[Study], judged: Mapping[str, Judgement]) -> dict[str, Effect]:
    """Put variations into numbers, after the unchanged recipe with as many networks as the most.

    Args:
        studies: The variations.
        judged: Their judgements by name, and that of the main study.

    Returns:
        Effects by name of the study, the first one `MAIN`.
    """
    networks = max(len(judged[study.name].converged) for study in studies)
    trained = judged[MAIN].training
    worst = _find_worst(judged[MAIN])
    result = {MAIN: _effect("as it is", judged[MAIN].first(networks), trained, worst)}
    for study in studies:
        own = judged[study.name]
        begun = judged[study.pretrained].first(len(own.converged)) if study.pretrained else own
        result[study.name] = _effect(study.label, own.after(begun), trained, worst)
    return result


@dataclass(frozen=True)
class _Worst:
    """A ratio at the mass where the unchanged recipe is furthest from its target."""

    text: str
    numerator: str
    denominator: str
    at: BoolArray


def _find_worst(main: Judgement) -> dict[str, _Worst]:
    """Where the unchanged recipe is furthest from its targets at single masses.

    Args:
        main: Of the unchanged recipe, with all its networks.
    """
    fom = {
        curve: figures_of_merit(main.sigma(*curve))
        for curve in (("bce", "best"), ("punzi", "best"), ("punzi", "single"))
    }
    ensembles = {MAIN: {"/".join(curve): array for curve, array in fom.items()}}
    _, _, low, high, _ = REGIONS[1]
    cases = {
        WORST: (
            "worst, {:g} GeV",
            ("bce/best", "punzi/single"),
            main.training & (main.mass > low) & (main.mass <= high),
            np.argmin,
        ),
        WORST_SINGLE: (
            "one / best cuts, {:g} GeV",
            ("punzi/single", "punzi/best"),
            main.training,
            np.argmax,
        ),
    }
    result = {}
    for name, (text, curves, masses, furthest) in cases.items():
        if masses.any():
            mass = main.mass[masses][int(reduced_ratio(*curves, masses, furthest)(ensembles))]
            result[name] = _Worst(text.format(mass), *curves, main.mass == mass)
    return result


def _effect(
    label: str,
    judgement: Judgement,
    trained: BoolArray,
    worst: Mapping[str, _Worst],
) -> Effect:
    """Numbers of a recipe.

    Args:
        label: What was changed.
        judgement: Of both kinds of networks.
        trained: (H,) masses that the main study trained on, whatever this one did.
        worst: Ratios at single masses.
    """
    statistics = Statistics({MAIN: judgement})
    mass = judgement.mass
    numbers = {
        curve: Claim.of(
            f"mean σ_min in fb, {curve}", statistics.measure(mean_sigma(curve, trained))
        )
        for curve in ("bce/best", "punzi/single")
    }
    for name, words, low, high, _ in REGIONS:
        region = trained & (mass > low) & (mass <= high)
        if region.any():
            numbers[name] = Claim.of(
                f"σ_min of BCE at best cuts over the Punzi-net at one cut, {words}",
                statistics.measure(ratio("bce/best", "punzi/single", region)),
            )
    for name, case in worst.items():
        single = ratio(case.numerator, case.denominator, case.at)
        numbers[name] = Claim.of(case.text, statistics.measure(single))
    return Effect(label, len(judgement.converged), int(np.sum(judgement.converged)), numbers)
