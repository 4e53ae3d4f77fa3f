"""Claims and curves of judgements whose numbers are known beforehand, and their errors."""

from dataclasses import replace

import numpy as np
import pytest

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.paper import claims as paper
from punzinet.analysis.paper.statistics import Claim, Measured, Statistics
from punzinet.analysis.paper.studies import MAIN, UNBATCHED, Study
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity
from punzinet.analysis.training.settings import TrainingSettings


def test_error_of_a_mean_is_its_standard_error(make_judgement):
    judgement = make_judgement(networks=7)
    statistics = Statistics({MAIN: judgement})
    measured = statistics.measure(statistics.mean("punzi/single")[:, 5])
    fom = 1 / judgement.arrays["punzi/single/sigma"][:, 5]
    assert measured.value == pytest.approx(fom.mean())
    assert measured.error == pytest.approx(fom.std(ddof=1) / np.sqrt(7))


def test_what_curves_share_cancels_in_their_ratio(make_judgement):
    judgement = make_judgement(replicas=400, sample=0.1)
    statistics = Statistics({MAIN: judgement})
    same, other = (
        statistics.measure(statistics.ratio("punzi/single", curve, judgement.training))
        for curve in ("punzi/single", "bce/best")
    )
    assert same.error_sample == pytest.approx(0.0, abs=1e-12)
    assert other.error_sample / other.value == pytest.approx(0.1 * np.sqrt(2), rel=0.15)


def test_fluctuations_of_ratios_are_no_improvement(make_judgement):
    judgement = make_judgement(1.0, spread=0.0)
    noise = np.exp(np.random.default_rng(1).normal(0, 0.7, (2, 1, 87)))
    for factor, curve in zip(noise, ("bce/best", "punzi/single"), strict=True):
        judgement.arrays[f"{curve}/sigma"] *= factor
    statistics = Statistics({MAIN: judgement})
    there, back = (
        statistics.measure(statistics.ratio(*curves, judgement.training))
        for curves in (("bce/best", "punzi/single"), ("punzi/single", "bce/best"))
    )
    assert there.value * back.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("value", "low", "high", "words", "met"),
    [
        (1.2, 1.3, None, "≥ 1.3", False),
        (1.3, 1.3, None, "≥ 1.3", True),
        (1.1, None, 1.15, "≤ 1.15", True),
        (1.04, 0.97, 1.03, "0.97 to 1.03", False),
        (25.0, 25.0, 25.0, "= 25", True),
        (np.inf, 1.0, None, "≥ 1", False),
        (3.0, None, None, None, None),
    ],
)
def test_targets(value, low, high, words, met):
    claim = Claim.of("a ratio", Measured(value, np.nan, 0.1), low, high)
    assert (claim.target, claim.met) == (words, met)
    assert (claim.value, claim.error) == (value if np.isfinite(value) else None, None)


@pytest.mark.parametrize("factor", [1.5, 0.9])
def test_ratios_have_their_values_and_meet_their_targets_or_not(make_judgement, factor):
    claims = paper.make_claims({MAIN: make_judgement(factor, spread=0.0)})
    for region in ("below_1_gev", "1_to_4_gev", "above_4_gev"):
        for suffix in ("", "_untrained"):
            claim = claims[f"bce_best_over_punzi_single_{region}{suffix}"]
            assert claim.value == pytest.approx(factor)
            assert claim.met is (None if "untrained" in suffix else factor > 1)
    assert claims["bce_best_over_punzi_single_worst_1_to_4_gev"].value == pytest.approx(factor)
    assert claims["punzi_single_over_best_mean"].value == pytest.approx(1.0)
    assert claims["punzi_single_untrained_over_trend"].value == pytest.approx(1.0, abs=1e-2)
    assert claims["roughness_signal_ratio"].value == pytest.approx(factor)
    assert claims["bce_best_over_punzi_single_at_2_gev"].text.endswith("published: 1.80")


def test_no_network_is_dropped(make_judgement):
    judgement = make_judgement(1.0, networks=4, spread=0.0)
    for what in ("sigma", "replicas"):
        judgement.arrays[f"punzi/single/{what}"][0] = np.inf
    converged = np.array([False, True, True, True])
    claims = paper.make_claims({MAIN: replace(judgement, converged=converged)})
    # One of four Punzi-nets finds nothing: the mean figure of merit is three quarters.
    assert claims["bce_best_over_punzi_single_1_to_4_gev"].value == pytest.approx(0.75)
    assert claims["networks_converged"].value == 3
    assert claims["networks_converged"].met is False


def test_a_variation_is_compared_with_as_many_networks_and_those_it_began_with(make_judgement):
    main, half = make_judgement(1.5, networks=5, spread=0.0), make_judgement(1.0, spread=0.0)
    begun = {"vary-rate": False, "vary-wide": True}
    studies = [Study(name, name, TrainingSettings(), one) for name, one in begun.items()]
    punzi = {k: a / 2 for k, a in half.arrays.items() if not k.startswith("bce")}
    judged = {MAIN: main, "vary-rate": replace(half, arrays=punzi), "vary-wide": half}
    found = paper.effects(studies, judged)
    assert [one.label for one in found.values()] == ["as it is", *begun]
    assert {one.networks for one in found.values()} == {4}
    ratios = [one.numbers["1_to_4_gev"].value for one in found.values()]
    assert ratios == pytest.approx([1.5, 3.0, 1.0])


def test_batches_are_compared_with_none(make_judgement):
    main = make_judgement(spread=0.0)
    worse = {name: 2 * a if "sigma" in name else a for name, a in main.arrays.items()}
    claims = paper.make_claims({MAIN: main, UNBATCHED: replace(main, arrays=worse)})
    assert claims["unbatched_over_batched"].value == pytest.approx(2.0)
    assert claims["unbatched_over_batched"].met
    assert claims[f"networks_converged_{UNBATCHED}"].value == 4


MASS, BCE, PUNZI = np.array(paper.PUBLISHED).T


def selection(sigma):
    return Selection(sigma, sigma, sigma, sigma, 0.1 * sigma, sigma)


def write_sensitivity(output, **sigma):
    """A network of each kind, with σ_min in the published unit at the published masses."""
    curves = {}
    for kind, values in sigma.items():
        best, other = selection(values / 1.7), selection(9 * values)
        curves[f"{kind}-00"] = NetworkSensitivity(best, best, other)
    Sensitivity(MASS, np.full(4, True), FigureOfMerit(), 50.0, curves).write(output.sensitivity, {})


def test_one_factor_scales_all_sigma_min(tmp_path):
    output = OutputFolder(tmp_path)
    assert paper.curve_rows(output) == []
    write_sensitivity(output, bce=BCE, punzi=PUNZI)
    rows = paper.curve_rows(output)
    assert len(rows) == 2 * len(paper.PUBLISHED)
    for _, _, published, ours, error, _ in rows:
        assert ours == pytest.approx(published)
        assert error == pytest.approx(0.1 * published)


def test_without_a_published_mass_there_is_no_factor():
    assert paper.common_scale(MASS, 2.5 * BCE, 2.5 * PUNZI) == pytest.approx(2.5)
    assert np.isnan(paper.common_scale(*3 * [np.array([0.1, 0.2])]))


def test_an_ensemble_is_preferred_and_averaged_in_the_figure_of_merit(tmp_path, make_judgement):
    output = OutputFolder(tmp_path)
    write_sensitivity(output, bce=BCE, punzi=PUNZI)
    judgement = make_judgement(networks=2)
    at = [int(np.argmin(np.abs(judgement.mass - mass))) for mass in MASS]
    for key, values in (("bce/best", BCE), ("punzi/single", PUNZI)):
        # Two networks whose figures of merit are 0.5 and 1.5 times the published ones.
        judgement.arrays[f"{key}/sigma"][:, at] = values / np.array([[0.5], [1.5]]) / 1.7
    judgement.write(output.study(MAIN).judgement)
    for _, _, published, ours, error, note in paper.curve_rows(output):
        assert ours == pytest.approx(published)
        # of the jackknife alone: half the difference of the networks, at least
        assert error >= 0.5 * published
        assert "mean of 2 networks" in note
