"""What variations change, told at the masses where the unchanged recipe is worst."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.studies import MAIN, Study
from punzinet.analysis.paper.variations import WORST, WORST_SINGLE, effects
from punzinet.analysis.training.settings import TrainingSettings

VARIED = Study("vary-wide", "wide", TrainingSettings(), pretrained=None)


def scaled(judgement: Judgement, curve: str, mass: float, factor: float) -> Judgement:
    """The same, with σ_min of one curve multiplied at one mass."""
    at = np.isclose(judgement.mass, mass)
    arrays = {
        name: np.where(at, factor * array, array) if name.startswith(curve) else array
        for name, array in judgement.arrays.items()
    }
    return replace(judgement, arrays=arrays)


def test_the_worst_masses_of_the_unchanged_recipe_are_followed(
    make_judgement: Callable[..., Judgement],
) -> None:
    plain = make_judgement(1.5, spread=0.0)
    main = scaled(scaled(plain, "punzi/single", 1.1, 2.0), "punzi/best", 5.7, 0.5)
    other = scaled(plain, "punzi/single", 2.1, 3.0)
    found = effects([VARIED], {MAIN: main, VARIED.name: other})
    before, after = found[MAIN].numbers, found[VARIED.name].numbers
    assert "1.1 GeV" in before[WORST].text
    assert before[WORST].value == pytest.approx(0.75)
    assert after[WORST].value == pytest.approx(1.5)
    assert after[WORST].text == before[WORST].text
    assert before[WORST_SINGLE].value == pytest.approx(2.0)
    assert after[WORST_SINGLE].value == pytest.approx(1.0)


def test_a_mass_that_is_not_trained_on_or_outside_of_the_region_is_not_the_worst(
    make_judgement: Callable[..., Judgement],
) -> None:
    plain = make_judgement(1.5, spread=0.0)
    main = scaled(scaled(plain, "punzi/single", 0.5, 4.0), "punzi/single", 1.2, 4.0)
    number = effects([VARIED], {MAIN: main, VARIED.name: plain})[MAIN].numbers[WORST]
    assert number.value == pytest.approx(1.5)
