"""Claims of judgements whose numbers are known beforehand, and what variations do to them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.io.files import InputError
from punzinet.analysis.paper.claims import WORST, WORST_SINGLE, combine_claims, effects, make_claims
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Claim, Measured
from punzinet.analysis.paper.studies import MAIN, UNBATCHED, Study
from punzinet.analysis.training.settings import TrainingSettings

VARIED = Study("vary-wide", "wide", TrainingSettings(), pretrained=None)


def test_ratios_have_their_values_and_meet_their_targets(make_judgement):
    claims = make_claims({MAIN: make_judgement(1.5, spread=0.0)})
    for region in ("below_1_gev", "1_to_4_gev", "above_4_gev"):
        for suffix in ("", "_untrained", "_in_sample", "_untrained_in_sample"):
            claim = claims[f"bce_best_over_punzi_single_{region}{suffix}"]
            assert claim.value == pytest.approx(1.5)
            assert claim.met is (None if "untrained" in suffix else True)
    assert claims["bce_best_over_punzi_single_worst_1_to_4_gev"].value == pytest.approx(1.5)
    assert claims["punzi_single_over_best_mean"].value == pytest.approx(1.0)
    assert claims["punzi_single_untrained_over_trend"].value == pytest.approx(1.0, abs=1e-2)
    assert claims["roughness_signal_ratio"].value == pytest.approx(1.5)
    assert claims["bce_best_over_punzi_single_at_2_gev"].text.endswith("published: 1.80")


def test_a_target_that_is_missed_is_said_to_be(make_judgement):
    claims = make_claims({MAIN: make_judgement(0.9, spread=0.0)})
    for region in ("1_to_4_gev", "above_4_gev"):
        assert claims[f"bce_best_over_punzi_single_{region}"].met is False


def test_no_network_is_dropped(make_judgement):
    judgement = make_judgement(1.0, networks=4, spread=0.0)
    for what in ("sigma", "replicas"):
        judgement.arrays[f"punzi/single/{what}"][0] = np.inf
    converged = np.array([False, True, True, True])
    claims = make_claims({MAIN: replace(judgement, converged=converged)})
    # One of four Punzi-nets finds nothing: the mean figure of merit is three quarters.
    assert claims["bce_best_over_punzi_single_1_to_4_gev"].value == pytest.approx(0.75)
    assert claims["networks_converged"].value == 3
    assert claims["networks_converged"].met is False


def test_batches_are_compared_with_none(make_judgement):
    main = make_judgement(spread=0.0)
    worse = {name: 2 * a if "sigma" in name else a for name, a in main.arrays.items()}
    claims = make_claims({MAIN: main, UNBATCHED: replace(main, arrays=worse)})
    assert claims["unbatched_over_batched"].value == pytest.approx(2.0)
    assert claims["unbatched_over_batched"].met
    assert claims[f"networks_converged_{UNBATCHED}"].value == 4


def write(folder: Path, **values: float) -> Path:
    """Write claims that should be at least 1."""
    (folder / "paper").mkdir(parents=True)
    claims = {k: asdict(Claim.of(k, Measured(v, np.nan, np.nan), 1.0)) for k, v in values.items()}
    (folder / "paper" / "claims.json").write_text(json.dumps(claims))
    return folder


def test_mean_and_standard_error_over_seeds(tmp_path):
    values = (0.9, 1.1, 1.3)
    folders = [write(tmp_path / str(i), ratio=v) for i, v in enumerate(values)]
    claim = combine_claims(folders)["ratio"]
    assert list(claim["values"].values()) == list(values)
    assert claim["value"] == pytest.approx(1.1)
    assert claim["error"] == pytest.approx(0.2 / 3**0.5)
    assert claim["met"] is True


def test_a_seed_without_a_value_is_not_left_out(tmp_path):
    folders = [write(tmp_path / "a", ratio=2.0), write(tmp_path / "b", ratio=np.nan)]
    claim = combine_claims(folders)["ratio"]
    assert claim["value"] is None
    assert claim["met"] is False


def test_other_claims_or_none_are_refused(tmp_path):
    folders = [write(tmp_path / "a", ratio=2.0), write(tmp_path / "b", other=1.0)]
    with pytest.raises(InputError, match="do not hold the same claims"):
        combine_claims(folders)
    with pytest.raises(InputError, match="run `punzinet paper` first"):
        combine_claims([tmp_path])
    (folders[0] / "paper" / "claims.json").write_text("[1]")
    with pytest.raises(InputError, match="does not hold the claims"):
        combine_claims(folders)


def scaled(judgement: Judgement, *changes: tuple[str, float, float]) -> Judgement:
    """The same, with σ_min of curves multiplied at a mass by a factor."""
    arrays = dict(judgement.arrays)
    for curve, mass, factor in changes:
        at = np.isclose(judgement.mass, mass)
        for name in (f"{curve}/sigma", f"{curve}/replicas"):
            arrays[name] = np.where(at, factor * arrays[name], arrays[name])
    return replace(judgement, arrays=arrays)


def test_the_worst_masses_of_the_unchanged_recipe_are_followed(make_judgement):
    plain = make_judgement(1.5, spread=0.0)
    main = scaled(plain, ("punzi/single", 1.1, 2.0), ("punzi/best", 5.7, 0.5))
    other = scaled(plain, ("punzi/single", 2.1, 3.0))
    found = effects([VARIED], {MAIN: main, VARIED.name: other})
    before, after = found[MAIN].numbers, found[VARIED.name].numbers
    assert "1.1 GeV" in before[WORST].text
    assert after[WORST].text == before[WORST].text
    for name, values in ((WORST, [0.75, 1.5]), (WORST_SINGLE, [2.0, 1.0])):
        assert [numbers[name].value for numbers in (before, after)] == pytest.approx(values)


def test_an_untrained_mass_or_one_outside_of_the_region_is_not_the_worst(make_judgement):
    plain = make_judgement(1.5, spread=0.0)
    main = scaled(plain, ("punzi/single", 0.5, 4.0), ("punzi/single", 1.2, 4.0))
    number = effects([VARIED], {MAIN: main, VARIED.name: plain})[MAIN].numbers[WORST]
    assert number.value == pytest.approx(1.5)
