"""What a variation of the recipe changes: the same numbers, one thing different."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from punzinet.analysis.paper.claims import REGIONS, mean_sigma, ratio
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Claim, Statistic, Statistics, figures_of_merit
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


def effects(studies: Sequence[Study], judged: Mapping[str, Judgement]) -> dict[str, Effect]:
    """Put variations into numbers, after the unchanged recipe with as many networks as the most.

    Args:
        studies: The variations.
        judged: Their judgements by name, and that of the main study.

    Returns:
        Effects by name of the study, the first one `MAIN`.
    """
    networks = max(len(judged[study.name].converged) for study in studies)
    statistics = _statistics(judged[MAIN])
    result = {MAIN: _effect("as it is", judged[MAIN].first(networks), statistics)}
    for study in studies:
        own = judged[study.name]
        begun = judged[study.pretrained].first(len(own.converged)) if study.pretrained else own
        result[study.name] = _effect(study.label, own.after(begun), statistics)
    return result


def _statistics(main: Judgement) -> dict[str, tuple[str, Statistic]]:
    """Texts and statistics by name, at the masses that the unchanged recipe trained on."""
    mass, trained = main.mass, main.training
    found: dict[str, tuple[str, Statistic]] = {
        curve: (f"mean σ_min in fb, {curve}", mean_sigma(curve, trained))
        for curve in ("bce/best", "punzi/single")
    }
    regions = {name: trained & (mass > low) & (mass <= high) for name, _, low, high, _ in REGIONS}
    for name, words, *_ in REGIONS:
        if regions[name].any():
            text = f"σ_min of BCE at best cuts over the Punzi-net at one cut, {words}"
            found[name] = text, ratio("bce/best", "punzi/single", regions[name])
    fom = {
        curve: figures_of_merit(main.arrays[f"{curve}/sigma"])
        for curve in ("bce/best", "punzi/best", "punzi/single")
    }

    def add(
        name: str, text: str, curves: tuple[str, str], masses: BoolArray, furthest: Any
    ) -> None:
        """Add a ratio at the mass where the unchanged recipe is furthest from its target."""
        if masses.any():
            worst = mass[masses][int(ratio(*curves, masses, furthest)({MAIN: fom}))]
            found[name] = text.format(worst), ratio(*curves, mass == worst)

    add(WORST, "worst, {:g} GeV", ("bce/best", "punzi/single"), regions[REGIONS[1][0]], np.argmin)
    single = "punzi/single", "punzi/best"
    add(WORST_SINGLE, "one / best cuts, {:g} GeV", single, trained, np.argmax)
    return found


def _effect(
    label: str, judgement: Judgement, statistics: Mapping[str, tuple[str, Statistic]]
) -> Effect:
    """Numbers of a recipe, of whose networks the judgement is."""
    ensemble = Statistics({MAIN: judgement})
    numbers = {
        name: Claim.of(text, ensemble.measure(statistic))
        for name, (text, statistic) in statistics.items()
    }
    return Effect(label, len(judgement.converged), int(np.sum(judgement.converged)), numbers)
