"""Sampling: weights, unweighting and counts, against a toy process whose yield is known."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from collisions import DETECTOR, SQRT_S, probability, sample
from four_vectors import boosted, cosine, isotropic, mass2, on_shell
from scipy.stats import chi2

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.manifest.sections import Scale
from punzinet.analysis.simulation import mumugamma, sampling, twophoton
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.signal import SignalGenerator


def size(luminosity, aim=1.0):
    return Scale(luminosity=luminosity, signal_events=1, aim=aim)


class Toy(NamedTuple):
    """Two muons against an unseen recoil of 3 GeV, with weights between 0 and 2000 fb."""

    name: str = "toy"

    def generate(self, rng, sqrt_s):
        n = len(sqrt_s)
        recoil = on_shell(2.0 * isotropic(rng, n), 3.0)
        dimuon = np.column_stack([sqrt_s - recoil[:, 0], -recoil[:, 1:]])
        half = np.sqrt(np.maximum((dimuon[:, 0] ** 2 - 4.0) / 4 - MUON_MASS**2, 0))
        plus = boosted(on_shell(half[:, np.newaxis] * isotropic(rng, n), MUON_MASS), dimuon)
        found = {"mu_plus": plus, "mu_minus": dimuon - plus, "invisible": recoil}
        return GeneratedEvents.zeros(sqrt_s)._replace(**found, weight=2000 * rng.random(n))


def simulated(trials, luminosity=0.0, seed=1):
    """Events of the toy at a luminosity, or from a pilot run, from a batch of so many trials."""
    batch = sampling.Batch("toy", 0, 0, trials, exposure=luminosity / trials)
    return sampling.simulate_batch(batch, Toy(), DETECTOR, seed)


@pytest.mark.parametrize(
    ("trials", "luminosity", "largest"), [(50_000, 20.0, (0.5, 1)), (40_000, 100.0, (3, 5))]
)
def test_unweighted_events_have_the_yield_of_the_weighted_ones(trials, luminosity, largest):
    """Even where there are too few trials, so that several events are made of one."""
    weight = simulated(100_000, seed=99)[0]["weight"] / 100_000 * luminosity
    events, counts = simulated(trials, luminosity)
    assert np.all(events["weight"] == 1)
    assert largest[0] < counts.largest < largest[1]
    assert counts.entries == len(events) == len(np.unique(events))
    # 40 000 trials of an efficiency of 0.4 at most; 5 events of one at most
    spread = np.hypot(np.linalg.norm(weight), np.sqrt(largest[1] * len(events)))
    assert len(events) == pytest.approx(weight.sum(), abs=5 * spread)


def test_pilot_run_finds_the_trials_that_keep_weights_at_one():
    _, pilot = simulated(50_000)
    value, error = sampling.cross_section([pilot])  # the mean weight
    assert error == pytest.approx(1000 / np.sqrt(3) / np.sqrt(50_000), rel=0.01)
    assert value == pytest.approx(1000, abs=5 * error)
    # weights reach 2000 fb, times the identification of both muons
    largest = 2000 * DETECTOR.muons.barrel_efficiency**2
    (trials,) = sampling.needed_trials([pilot], size(200.0))
    assert trials == pytest.approx(largest * 200.0, rel=0.02)
    again, counts = simulated(50_000, 50_000 * 200.0 / trials, seed=2)
    assert len(again) == counts.entries > 0
    assert counts.largest == pytest.approx(1, rel=0.02)
    nothing = sampling.Counts(trials=1)
    for pilots, luminosity in (([pilot], 1e-6), ([nothing, nothing], 200.0)):
        assert set(sampling.needed_trials(pilots, size(luminosity))) == {20_000}


def spectra(events):
    """Expected events and their variances (5, 12), in bins of the features and of M²_rec."""
    beam, muons = DETECTOR.beams, (events["p_plus"].T, events["p_minus"].T)
    features, m2_recoil = dimuon_kinematics(*muons, beam.total, beam.electron_direction)
    ranges = (0, 2), (0, 5), (-5, 5), (0, 5), (0, 64)
    columns = list(zip([*features.T, m2_recoil], ranges, strict=True))
    weights = events["weight"], events["weight"] ** 2
    return np.array([[np.histogram(x, 12, r, weights=w)[0] for x, r in columns] for w in weights])


def aimed(stratum, aim, trials, luminosity, seed):
    generator = next(one for one in mumugamma.strata(DETECTOR) if one.name.startswith(stratum))
    batch = sampling.Batch("mumugamma", 0, 0, trials, luminosity / trials, aim)
    return sampling.simulate_batch(batch, generator, DETECTOR, seed)[0]


def test_aimed_background_has_the_same_spectra_and_more_events_where_it_looks_like_signal():
    stratum = "photon of x > 0.50 missed at 138"
    plain, often = (aimed(stratum, aim, 500_000, 200.0, seed=5) for aim in (1.0, 40.0))
    assert np.all(plain["weight"] == 1)
    assert np.all(often["weight"] <= 1)
    assert 1 / 40 <= often["weight"].min() < 0.1
    (first, variance), (second, other) = spectra(plain), spectra(often)
    used = variance > 8
    pull = (first - second)[used] / np.sqrt(variance + other)[used]
    assert used.sum() > 30
    assert chi2.sf((pull**2).sum(), used.sum()) > 1e-3
    # What looks like signal has a large transverse momentum, and is known better.
    assert second[3, 6:].sum() ** 2 / other[3, 6:].sum() > 2 * first[3, 6:].sum()


def test_high_masses_are_aimed_at_by_the_roots_of_the_factors():
    stratum = next(one for one in twophoton.strata(DETECTOR) if "2.00 < Q2 < 4.00" in one.name)
    events = stratum.generate(np.random.default_rng(1), np.full(300_000, SQRT_S))
    events = events.pick(events.weight > 0)
    recoil = np.outer(events.sqrt_s, [1, 0, 0, 0]) - events.mu_plus - events.mu_minus
    mass, factors = np.sqrt(mass2(recoil).clip(min=0)), sampling.aim_factors(events, 40.0)
    assert factors[(mass > 7.6) & (mass < 8.8)].max() == pytest.approx(np.sqrt(40))
    assert factors[(mass > 1.2) & (mass < 7.6)].max() == pytest.approx(40)
    np.testing.assert_array_equal(factors[(mass < 1.2) | (mass > 8.8)], 1)


def test_trials_go_where_what_is_aimed_at_has_large_weights():
    flat, none = (sampling.Counts(trials=1000, aimed_weight2=w) for w in (1000.0, 0.0))
    steep = sampling.Counts(trials=1000, aimed_weight2=9000.0)
    one, three, least = sampling.needed_trials([flat, steep, none], size(100.0))
    assert three == pytest.approx(3 * one, rel=1e-6)
    assert one + three == pytest.approx(27_000_000, rel=1e-6)
    assert least == 20_000


def test_cutflow_never_grows_and_ends_at_the_entries_and_counts_add_up():
    events, counts = simulated(20_000, 2.0, seed=4)
    left, weights = zip(*counts.cutflow.values(), strict=True)
    assert left[0] == counts.trials == 20_000
    assert np.all(np.diff(left) <= 0)
    assert (left[-1], weights[-1]) == (len(events), events["weight"].sum())
    total = sampling.Counts()
    for _ in range(3):
        total.add(counts)
    assert total.trials == total.cutflow["generated"][0] == 60_000
    assert total.entries == total.cutflow["recoil mass in range"][0] == 3 * len(events)
    sections = [sampling.cross_section([one])[0] for one in (total, counts)]
    assert sections[0] == pytest.approx(sections[1])
    assert total.largest == counts.largest


def test_batches_share_out_the_trials_and_the_luminosity():
    trials = 2 * sampling.BATCH + 17
    parts = sampling.batches("toy", 4, size(200.0), trials)
    assert [(part.stratum, part.index) for part in parts] == [(4, 0), (4, 1), (4, 2)]
    assert sum(part.trials for part in parts) == trials
    assert max(part.trials for part in parts) <= sampling.BATCH
    # the mean weight times the sum of all exposures over trials is cross-section x luminosity
    assert sum(part.trials * part.exposure for part in parts) == pytest.approx(200.0)
    # pilot runs grow with the luminosity and keep weights
    for luminosity, expected in ((0.1, 20_000), (1000.0, 2_000_000)):
        pilot = sampling.batches("toy", 1, size(luminosity))
        assert sum(part.trials for part in pilot) == expected
        assert {part.exposure for part in pilot} == {0}


@pytest.mark.parametrize("generator", [Toy(), SignalGenerator(1.5)])
def test_a_batch_depends_on_its_place_and_the_seed_alone(generator):
    def momenta(dataset, stratum, index, attempt, seed):
        batch = sampling.Batch(dataset, stratum, index, 1000, 1e-3, attempt=attempt)
        return sampling.simulate_batch(batch, generator, DETECTOR, seed)[0].tobytes()

    changes = np.concatenate([np.zeros((1, 4), int), np.eye(4, dtype=int)]).tolist()
    places = [("b", 0, 0, 0, 0), *(("a", *change) for change in changes)]
    assert len({momenta(*place) for place in places}) == len(places)
    assert momenta(*places[0]) == momenta(*places[0])


def test_signal_is_counted_from_the_generated_events_and_survives_as_often_as_weights_say():
    generator = SignalGenerator(5.0)
    batch = partial(sampling.Batch, "s", 0, 0)
    events, counts = sampling.simulate_batch(batch(20_000), generator, DETECTOR, seed=7)
    assert counts.cutflow["generated"] == (20_000, 20_000.0)
    assert np.all(events["weight"] == 1)
    assert np.all(events["mass"] == 5.0)
    _, pilot = sampling.simulate_batch(batch(50_000), generator, DETECTOR, seed=8)
    share = counts.entries / 20_000
    expected = pilot.cutflow["recoil mass in range"][1] / pilot.sum_weight
    assert share == pytest.approx(expected, abs=5 * np.sqrt(share / 20_000))


def drawn(mass, n, seed):
    rng = np.random.default_rng(seed)
    return sampling.unweighted(SignalGenerator(mass), rng, np.full(n, SQRT_S))


def test_unweighted_signal_follows_the_weights():
    trials = sample(SignalGenerator(1.0), 400_000, 1)
    events = drawn(1.0, 200_000, 2)
    assert len(events.weight) == 200_000
    assert np.all(events.weight == 1)
    for of in (
        lambda e: e.mu_plus[:, 0],
        lambda e: cosine(e.mu_minus),
        lambda e: mass2(e.mu_plus + e.mu_minus),
        lambda e: cosine(e.invisible),
    ):
        assert probability(of(events), of(trials), trials.weight) > 1e-3


def test_charges_of_the_signal_are_alike_and_the_beam_axis_is_felt():
    events = drawn(0.5, 100_000, 6)
    error = 5 / np.sqrt(len(events.weight))
    assert abs(np.mean(np.sign(events.mu_plus[:, 3]))) < error
    assert abs(np.mean(events.mu_plus[:, 0] - events.mu_minus[:, 0])) < 2 * error
    # <cos^2> of the muons is 2/5 without a Z', and stays above the 1/3 of no preference with it
    assert 0.345 < np.mean(cosine(events.mu_plus) ** 2) < 0.4


def test_signal_above_the_maximum_keeps_its_weight(monkeypatch):
    monkeypatch.setattr(SignalGenerator, "maximum", lambda *_: 2e4)
    events = drawn(2.0, 20_000, 2)
    assert events.weight.max() > 1
    trials = sample(SignalGenerator(2.0), 200_000, 3)
    own, other = (mass2(e.mu_plus + e.mu_minus) for e in (events, trials))
    shift = np.average(own, weights=events.weight) - np.average(other, weights=trials.weight)
    assert abs(shift) < 3 * other.std() / np.sqrt(20_000)
