"""Background from sidebands: closed forms, brute force, and pseudo-experiments."""

import json
from dataclasses import replace

import numpy as np
import pytest
from experiments import uncertain
from scipy.stats import kstest
from small_data import windows_of

from punzinet.analysis.limits.expected import asymptotic_limits
from punzinet.analysis.limits.model import UNSEEN
from punzinet.analysis.limits.observed import Sums
from punzinet.analysis.limits.sidebands import (
    Spectrum,
    close,
    measure_sidebands,
    write_sidebands,
)
from punzinet.analysis.manifest.sections import SidebandSettings

DEFAULT = SidebandSettings()
WINDOWS = windows_of([3.0, 4.0, 6.0], [0.3, 0.2, 0.4])
TWO = [("a", 3.0, 50.0, 0.1), ("b", 1.0, 20.0, 0.1)]


def experiment(mass, backgrounds=TWO, **others):
    return uncertain(backgrounds, mass=mass, signal=0.5, **others)


def flat(density, low=0.0, high=50.0):
    """Events at equal distances, none of them on an edge."""
    return Spectrum.of(np.arange(low, high, 1 / density) + 0.123 / density)


def random_spectrum(rng, mean, low=0.0, high=50.0):
    """A falling spectrum of about so many events, each with a weight of its own."""
    n = rng.poisson(mean)
    variable = low + (high - low) * rng.beta(1, 2, n)
    return Spectrum.of(variable, rng.uniform(0.5, 1.5, n))


def test_a_flat_background_gives_the_exact_factor():
    simulated, data = flat(1000), flat(1300)
    bands = measure_sidebands(WINDOWS, DEFAULT, simulated, data)
    width = 2 * (8 - 3) * WINDOWS.sigma
    assert bands.expected == pytest.approx(1000 * width)
    assert bands.count == pytest.approx(1300 * width)
    assert bands.factor == pytest.approx(1.3)
    assert bands.outer.tolist() == [8, 8, 8]
    error = np.sqrt(1 / bands.count + 1 / bands.expected)
    assert bands.uncertainty == pytest.approx(error, rel=0.05)
    prediction = close(WINDOWS, DEFAULT, simulated, data)
    assert prediction.predicted == pytest.approx(prediction.found, rel=2e-3)


def test_sums_are_those_of_a_loop_over_events():
    rng = np.random.default_rng(1)
    simulated, data = random_spectrum(rng, 4000), random_spectrum(rng, 5000)
    settings = SidebandSettings(inner=2.5, outer=7.0, masked=(4.2,))
    bands = measure_sidebands(WINDOWS, settings.including([5.0]), simulated, data)
    sigma = np.interp([4.2**2, 25.0], WINDOWS.centre, WINDOWS.sigma)
    for i, (centre, width) in enumerate(zip(WINDOWS.centre, WINDOWS.sigma, strict=True)):
        sums = []
        for events in (simulated, data):
            distance = np.abs(events.variable - centre) / width
            beside = (distance > 2.5) & (distance < 7.0)
            for mass, own in zip((4.2, 5.0), sigma, strict=True):
                beside &= np.abs(events.variable - mass**2) >= 2.5 * own
            weight = events.weight[beside]
            sums += [weight.sum(), weight.sum() ** 2 / (weight**2).sum()]
        found = bands.expected, bands.effective, bands.count, bands.counted
        assert [column[i] for column in found] == pytest.approx(sums)


@pytest.mark.parametrize(("simulated_events", "data_events"), [(1000, 1000), (400, 60), (50, 15)])
def test_the_prediction_is_unbiased_and_its_pull_has_unit_width(simulated_events, data_events):
    """Events in the sidebands, of a window with a hundredth of that and no error of its own."""
    rng = np.random.default_rng(2)
    trials = 4000
    windows = windows_of([5.0], [1.0])
    settings = SidebandSettings(inner=3, outer=8)
    beside = np.concatenate([25 - rng.uniform(3, 8, 5), 25 + rng.uniform(3, 8, 5)])
    pulls, factors = np.empty((2, trials))
    for i in range(trials):
        events = (np.repeat(beside, rng.multinomial(rng.poisson(n), [0.1] * 10))
                  for n in (simulated_events, data_events))  # fmt: skip
        simulated, data = map(Spectrum.of, events)
        bands = measure_sidebands(windows, settings, simulated, data)
        factors[i] = bands.factor[0]
        truth = data_events / simulated_events
        pulls[i] = np.log(factors[i] / truth) / np.log1p(bands.uncertainty[0])
    spread = factors.std() / np.sqrt(trials)
    # A ratio is biased by the variance of its denominator.
    bias = truth / simulated_events
    assert factors.mean() - bias == pytest.approx(truth, abs=3.5 * spread)
    assert pulls.std() == pytest.approx(1, abs=0.06)
    assert np.mean(np.abs(pulls) < 1) == pytest.approx(0.683, abs=0.03)


def test_one_simulation_closes_on_another():
    rng = np.random.default_rng(3)
    pulls = [
        close(WINDOWS, DEFAULT, random_spectrum(rng, 20_000), random_spectrum(rng, 20_000)).pull
        for _ in range(300)
    ]
    assert np.mean(pulls) == pytest.approx(0, abs=0.15)
    assert np.std(pulls) == pytest.approx(1, abs=0.1)


def test_sidebands_grow_where_little_is_expected_whatever_data_says():
    sparse = flat(1.0)
    for data in (flat(1), flat(9)):
        assert measure_sidebands(WINDOWS, DEFAULT, sparse, data).outer.tolist() == [32, 32, 16]
    bands = measure_sidebands(WINDOWS, DEFAULT, sparse)
    assert (bands.expected >= 10).all()
    assert bands.factor.tolist() == [1, 1, 1]
    assert np.log1p(bands.uncertainty) == pytest.approx(np.sqrt(2 / bands.expected), rel=0.05)


@pytest.mark.parametrize("data", [flat(50), Spectrum.of(np.empty(0))])
def test_without_events_beside_it_a_model_stays_as_it_is(data):
    """Nothing simulated, or nothing measured where something should be."""
    simulated = Spectrum.of(np.empty(0)) if len(data.variable) else flat(50)
    bands = measure_sidebands(WINDOWS, DEFAULT, simulated, data)
    models = [experiment(3.0), None, experiment(6.0)]
    assert not bands.usable.any()
    assert bands.normalise(models) == models


def test_a_signal_in_a_sideband_counts_as_background_unless_it_is_masked():
    background, signal = flat(1000), np.full(2000, 4.0**2)
    windows = windows_of([3.9, 4.0, 6.0], [0.2, 0.2, 0.2])
    data = Spectrum.of(np.concatenate([background.variable, signal]))
    biased = measure_sidebands(windows, DEFAULT, background, data)
    assert biased.factor == pytest.approx([2, 1, 1], rel=0.01)
    masked = measure_sidebands(windows, DEFAULT.including([4.0]), background, data)
    assert masked.factor == pytest.approx([1, 1, 1], rel=0.01)
    assert masked.expected[0] < biased.expected[0]


def test_the_model_has_the_normalisation_in_place_of_what_was_assumed():
    bands = measure_sidebands(WINDOWS, DEFAULT, flat(1000), flat(1500))
    unseen = experiment(4.0, [(UNSEEN, 0.3, 1.0, 0.1)])
    first, same, last = bands.normalise([experiment(3.0), unseen, experiment(6.0)])
    assert same is unseen
    size = float(bands.uncertainty[0])
    by_hand = [(name, 1.5 * events, effective, size) for name, events, effective, _ in TWO]
    assert [one.events for one in first.backgrounds] == pytest.approx([4.5, 1.5])
    by_hand = experiment(3.0, by_hand, luminosity=0.0)  # which only is uncertain for the signal
    factors = by_hand.factors | {"luminosity": {"signal": (1.01, 1 / 1.01)}}
    models = first, replace(by_hand, factors=factors)
    found, expected = asymptotic_limits(models, 0.9)
    assert found == pytest.approx(expected)
    assert len({*first.factors} ^ {*last.factors}) == 2  # far from each other


def test_neighbours_share_their_uncertainty_and_others_do_not():
    windows = windows_of(np.arange(1, 8.01, 0.05), np.full(141, 0.25))
    group = measure_sidebands(windows, DEFAULT, flat(1000, high=80)).group
    assert (np.diff(group) >= 0).all()
    for first in np.unique(group):
        inside = windows.centre[group == first]
        assert inside[-1] - inside[0] < 8 * 0.25
    assert group[-1] == pytest.approx((64 - 1) / 2, abs=2)


def test_p_values_are_uniform_though_the_simulation_is_wrong():
    """Of background that is half as large again, in a window and its sidebands."""
    rng = np.random.default_rng(4)
    toys, truth, inside, beside = 300, 1.5, 40.0, 100.0
    windows = windows_of(np.full(1, 5.0), [1.0])
    simulated = Spectrum.of(np.linspace(18, 21.9, 10**5), np.full(10**5, beside / 10**5))
    model = experiment(5.0, [("a", inside, 1e6, 0.1)])
    models = []
    for count in rng.poisson(truth * beside, toys):
        bands = measure_sidebands(windows, DEFAULT, simulated, Spectrum.of(np.full(count, 19.0)))
        models += bands.normalise([model])
    counts = rng.poisson(truth * inside, toys)
    found = [Sums(one).at_least(n) for one, n in zip(models, counts.tolist(), strict=True)]
    assumed = [*map(Sums(model).at_least, counts.tolist())]
    assert kstest(found, "uniform").pvalue > 0.01
    assert kstest(assumed, "uniform").pvalue < 1e-6


def test_what_a_parameter_does_beside_the_window_too_cancels():
    """A normalisation of one process, in windows that hold different shares of it."""
    windows = windows_of([3.0, 3.4, 3.8], [0.4, 0.5, 0.5])  # each beside its neighbours alone
    shares, up = np.array([1.0, 0.5, 0.2]), 1.3
    shared = {"x": {"signal": (1.1, 0.9), "a": (up, 1 / up)}}
    mixtures = (
        [("a", 4 * share, 50.0, 0.1), ("b", 4.2 - 4 * share, 20.0, 0.1)] for share in shares
    )
    models = [
        experiment(m, of, shared=shared) for m, of in zip(windows.mass, mixtures, strict=True)
    ]
    bands = measure_sidebands(windows, SidebandSettings(inner=3, outer=8), flat(1000))
    assert bands.holds.tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    found = bands.normalise(models)
    total = [sum(b.events * (up if b.name == "a" else 1) for b in m.backgrounds) / m.background
             for m in models]  # fmt: skip
    beside = [total[1], (total[0] + total[2]) / 2, total[1]]
    for one, factor in zip(found, beside, strict=True):
        effects = one.factors["x"]
        assert effects["signal"] == (1.1, 0.9)
        assert effects["a"][0] == pytest.approx(up / factor)
        assert effects["b"][0] == pytest.approx(1 / factor)
        assert [*one.factors["luminosity"]] == ["signal"]  # that of data is in its sidebands
    alone = [
        experiment(m, [("a", 1.0, 50.0, 0.1)], shared={"x": {"a": (up, 0.8)}}) for m in windows.mass
    ]
    assert not any("x" in one.factors for one in bands.normalise(alone))


def test_a_common_normalisation_cancels_where_no_other_window_is_in_the_sidebands():
    windows = windows_of([3.0, 5.0, 6.0], [0.2, 0.2, 0.2])
    bands = measure_sidebands(windows, DEFAULT, flat(1000))
    assert not bands.holds.any()
    shared = {"x": {"a": (1.5, 1 / 1.5), "b": (1.5, 1 / 1.5)}}
    models = [experiment(m, shared=shared) for m in windows.mass]
    assert not any("x" in one.factors for one in bands.normalise(models))


@pytest.mark.parametrize(("factor", "told"), [(1.0, False), (1.7, False), (3.0, True), (0.2, True)])
def test_data_far_from_what_is_expected_may_have_another_luminosity(tmp_path, factor, told):
    bands = measure_sidebands(WINDOWS, DEFAULT, flat(1000), flat(factor * 1000))
    spectra = flat(1000), flat(1000)
    write_sidebands(tmp_path / "s.json", WINDOWS, DEFAULT, bands, spectra, about={})
    said = json.loads((tmp_path / "s.json").read_text())["said"]
    assert any("the luminosity of the data is, and all limits" in line for line in said) == told


@pytest.mark.parametrize(
    ("count", "last", "named"), [(2, 4, "At 3, 4 GeV"), (50, 6, "At 50 masses from 3 to 6 GeV")]
)
def test_many_masses_without_a_normalisation_are_counted(tmp_path, count, last, named):
    windows = windows_of(np.linspace(3, last, count), [0.3] * count)
    bands = measure_sidebands(windows, DEFAULT, flat(50), Spectrum.of(np.empty(0)))
    write_sidebands(tmp_path / "s.json", windows, DEFAULT, bands, (flat(9), flat(9)), about={})
    said = json.loads((tmp_path / "s.json").read_text())["said"]
    assert any(line.startswith(f"{named} nothing is found in them") for line in said)
