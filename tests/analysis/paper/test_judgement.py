"""Judgements: files, kinds of cuts, resampling against counting, roughness of spectra."""

from dataclasses import asdict

import numpy as np
import pytest

from punzinet.analysis.cuts import NONE_FOUND
from punzinet.analysis.evaluation import ScaledFold
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.tensor_events import TensorEvents
from punzinet.analysis.paper import judgement
from punzinet.analysis.search import RECOIL
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection
from punzinet.analysis.training.data import Events

FIGURE = FigureOfMerit()
MASS = np.linspace(0.1, 8.7, 87)


def test_read_as_written(make_judgement, tmp_path):
    path, made = tmp_path / "judgement.safetensors", make_judgement()
    made.write(path)
    np.testing.assert_equal(asdict(judgement.Judgement.read(path)), asdict(made))
    path.write_bytes(b"not that")
    with pytest.raises(InputError, match="run `punzinet paper` again"):
        judgement.Judgement.read(path)


def test_a_variation_is_compared_with_the_networks_it_began_with(make_judgement):
    main = make_judgement(networks=4)
    own = {k: a for k, a in make_judgement(networks=2).arrays.items() if not k.startswith("bce")}
    varied = judgement.Judgement(main.mass, main.training, main.converged[:2], own)
    both = varied.after(main.first(2))
    bce, punzi = "bce/best/sigma", "punzi/single/sigma"
    np.testing.assert_array_equal(both.arrays[bce], main.arrays[bce][:2])
    assert both.arrays[punzi] is own[punzi]


def test_best_cuts_are_interpolated_to_masses_that_were_not_trained_on():
    mass = np.array([1.0, 2.0, 3.0])
    optimal, single, half = (
        Selection(np.array(cut), *[mass] * 5)
        for cut in ([1.0, 9.0, 2.0], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0])
    )
    judged = NetworkSensitivity(optimal, single, half)
    cuts = judgement.cuts_of(judged, mass, np.array([True, False, True]))
    np.testing.assert_allclose(cuts["best"], [1.0, 1.5, 2.0])
    np.testing.assert_allclose(cuts["best_own"], [1.0, 9.0, 2.0])


def resampled(signal, background, count, logit, cut):
    """σ_min in replicas of events of one hypothesis, background of weight 2, efficiency 0.5."""
    process = np.repeat([-1, 0], [signal, background])
    size, sums = len(process), np.array([[2.0 * background], [0.5]])
    weight, start = np.where(process < 0, 0.5 / signal, 2.0), np.zeros(size, np.int16)
    events = Events(np.zeros((1, size)), weight, process.astype(np.int8), start, start + 1)
    scaled = ScaledFold(events, sums, 0 * sums, sums, ("tautau",))
    replicas = judgement.Replicas(scaled, count, np.random.default_rng(1))
    unseen = np.full(1, NONE_FOUND * 2.0)
    sigma = replicas.sigma_min(logit, np.full(1, cut), unseen, (FIGURE, 50.0))
    assert sigma.shape == (count, 1)
    return sigma[:, 0]


def test_the_spread_of_replicas_is_that_of_counting():
    sigma = resampled(400, 900, 2000, np.ones(1300), 0.0)
    expected = FIGURE.sigma_min(0.5, 1800.0, 50.0)
    assert sigma.mean() == pytest.approx(expected, rel=0.01)
    # σ_min goes as √B/S here: half the relative error of the one, and that of the other.
    assert sigma.std() / expected == pytest.approx(np.hypot(1 / 20, 0.5 / 30), rel=0.08)


def test_an_event_below_the_cut_does_not_count():
    logit = np.repeat([1.0, -1.0], 50)
    sigma, everything, nothing = (resampled(50, 50, 50, logit, cut) for cut in (0.0, -2.0, 2.0))
    assert (sigma < everything).all()
    assert np.isinf(nothing).all()


def test_no_background_seen_is_not_no_background():
    sigma = resampled(10_000, 40, 4000, np.repeat([1.0, -1.0], [10_000, 40]), 0.0)
    limit = FIGURE.sigma_min(0.5, NONE_FOUND * 2.0, 50.0)
    assert np.mean(sigma < limit) == pytest.approx(0.68, abs=0.03)


def drawn(fraction, total, rng, weight=1.0):
    """Roughness of events that pass with some fraction in each bin, all of one weight."""
    scale = np.array([[weight], [weight**2]])
    passed = scale * rng.binomial(total, fraction)
    return judgement.roughness(passed, scale * np.full(len(fraction), total), rng)


@pytest.mark.parametrize("total", [5, 50, 5000])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_a_smooth_selection_has_roughness_one(total, weight):
    rng = np.random.default_rng(3)
    fraction = 0.4 + 0.3 * np.sin(MASS / 2)
    values = [drawn(fraction, total, rng, weight) for _ in range(40)]
    assert np.mean(values) == pytest.approx(1.0, abs=0.1)


def test_steps_are_found_and_nothing_is_not_smooth():
    rng = np.random.default_rng(3)
    assert drawn(0.4 + 0.15 * rng.standard_normal(len(MASS)).clip(-2, 2), 1000, rng) > 5
    assert np.isnan(drawn(np.zeros(87), 100, rng))


def test_cuts_are_interpolated_in_the_recoil_mass():
    recoil = np.array([1.0, 1.5, 2.0, 1.5])
    process, true = np.array(["tautau"] * 3 + ["signal"]), np.array([np.nan] * 3 + [2.0])
    others = process, true, recoil**2, np.ones(4), np.zeros(4, np.int8)
    events = TensorEvents(RECOIL, np.zeros((4, 4)), *others)
    mass, logit = np.array([1.0, 2.0]), np.array([0.1, 0.4, 0.9, 0.6])
    edges, cuts = judgement.bin_edges(mass), np.array([0.0, 1.0])
    found = judgement.passing_fractions(events, logit, edges, mass, cuts)
    (passed, total), (signal, _) = found["background"], found["signal"]
    assert passed[0].tolist() == [1, 0]
    assert total[0].sum() == 3
    assert signal[0].tolist() == [0, 1]
