"""Claims of judgements whose numbers are known beforehand."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.paper.claims import (
    PUBLISHED,
    combine_claims,
    common_scale,
    make_claims,
    ratio,
)
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Claim, Measured, Statistics
from punzinet.analysis.paper.studies import MAIN, UNBATCHED

Make = Callable[..., Judgement]


def test_ratios_have_their_values_and_meet_their_targets(make_judgement: Make) -> None:
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


def test_a_target_that_is_missed_is_said_to_be(make_judgement: Make) -> None:
    claims = make_claims({MAIN: make_judgement(0.9, spread=0.0)})
    assert claims["bce_best_over_punzi_single_1_to_4_gev"].met is False
    assert claims["bce_best_over_punzi_single_above_4_gev"].met is False


def test_no_network_is_dropped(make_judgement: Make) -> None:
    judgement = make_judgement(1.0, networks=4, spread=0.0)
    lost = {name: array.copy() for name, array in judgement.arrays.items()}
    for what in ("sigma", "replicas"):
        lost[f"punzi/single/{what}"][0] = np.inf
    converged = np.array([False, True, True, True])
    claims = make_claims({MAIN: replace(judgement, arrays=lost, converged=converged)})
    # One of four Punzi-nets finds nothing: the mean figure of merit is three quarters.
    assert claims["bce_best_over_punzi_single_1_to_4_gev"].value == pytest.approx(0.75)
    assert claims["networks_converged"].value == 3
    assert claims["networks_converged"].met is False


def test_fluctuations_of_ratios_are_no_improvement(make_judgement: Make) -> None:
    judgement = make_judgement(1.0, spread=0.0)
    noise = np.exp(np.random.default_rng(1).normal(0, 0.7, (2, 1, 87)))
    arrays = dict(judgement.arrays)
    for factor, curve in zip(noise, ("bce/best", "punzi/single"), strict=True):
        arrays[f"{curve}/sigma"] = judgement.arrays[f"{curve}/sigma"] * factor
    there = ratio("bce/best", "punzi/single", judgement.training)
    back = ratio("punzi/single", "bce/best", judgement.training)
    statistics = Statistics({MAIN: replace(judgement, arrays=arrays)})
    product = statistics.measure(there).value * statistics.measure(back).value
    assert product == pytest.approx(1.0)


def test_batches_are_compared_with_none(make_judgement: Make) -> None:
    main = make_judgement(spread=0.0)
    worse = {name: 2 * a if "sigma" in name else a for name, a in main.arrays.items()}
    claims = make_claims({MAIN: main, UNBATCHED: replace(main, arrays=worse)})
    assert claims["unbatched_over_batched"].value == pytest.approx(2.0)
    assert claims["unbatched_over_batched"].met
    assert claims[f"networks_converged_{UNBATCHED}"].value == 4


def test_scaled_points_have_their_scale() -> None:
    mass, bce, punzi = np.array(PUBLISHED).T
    assert common_scale(mass, 2.5 * bce, 2.5 * punzi) == pytest.approx(2.5)


def test_no_published_mass_no_scale() -> None:
    mass = np.array([0.1, 0.2])
    assert np.isnan(common_scale(mass, mass, mass))


def write(folder: Path, **values: float | None) -> Path:
    """Write claims that should be at least 1."""
    (folder / "paper").mkdir(parents=True)
    nan = float("nan")
    claims = {
        name: asdict(Claim.of(name, Measured(nan if v is None else v, nan, nan), 1.0))
        for name, v in values.items()
    }
    (folder / "paper" / "claims.json").write_text(json.dumps(claims))
    return folder


def test_mean_and_standard_error_over_seeds(tmp_path: Path) -> None:
    values = (0.9, 1.1, 1.3)
    folders = [write(tmp_path / str(i), ratio=v) for i, v in enumerate(values)]
    claim = combine_claims(folders)["ratio"]
    assert list(claim["values"].values()) == list(values)
    assert claim["value"] == pytest.approx(1.1)
    assert claim["error"] == pytest.approx(0.2 / 3**0.5)
    assert claim["met"] is True


def test_a_seed_without_a_value_is_not_left_out(tmp_path: Path) -> None:
    folders = [write(tmp_path / "a", ratio=2.0), write(tmp_path / "b", ratio=None)]
    claim = combine_claims(folders)["ratio"]
    assert claim["value"] is None
    assert claim["met"] is False


def test_other_claims_are_refused(tmp_path: Path) -> None:
    folders = [write(tmp_path / "a", ratio=2.0), write(tmp_path / "b", other=1.0)]
    with pytest.raises(InputError, match="do not hold the same claims"):
        combine_claims(folders)


def test_no_claims(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `punzinet paper` first"):
        combine_claims([tmp_path])
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "claims.json").write_text("[1]")
    with pytest.raises(InputError, match="does not hold claims"):
        combine_claims([tmp_path])
