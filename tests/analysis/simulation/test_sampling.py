"""Sampling: weights, unweighting and counts against a toy process whose yield is known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from four_vectors import boosted, direction, on_shell

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.generators.signal import SignalGenerator
from punzinet.analysis.simulation.sampling import (
    BATCH,
    Batch,
    Counts,
    enough_batches,
    needed_trials,
    pilot_batches,
    production_batches,
    simulate_background,
    simulate_batch,
)

DETECTOR = Detector(Beams())


@dataclass(frozen=True)
class Toy:
    """Two muons against an unseen recoil of 3 GeV, with weights between 0 and 2 `mean` (fb)."""

    mean: float
    name: str = "toy"

    def generate(self, rng: np.random.Generator, sqrt_s: np.ndarray) -> GeneratedEvents:
        n = len(sqrt_s)
        recoil = on_shell(2.0 * direction(rng.uniform(-1, 1, n), rng.uniform(0, 7, n)), 3.0)
        dimuon = np.concatenate([(sqrt_s - recoil[:, 0])[:, np.newaxis], -recoil[:, 1:]], axis=1)
        half = np.sqrt(np.maximum((dimuon[:, 0] ** 2 - 4.0) / 4 - MUON_MASS**2, 0))
        unit = direction(rng.uniform(-1, 1, n), rng.uniform(0, 7, n))
        plus = boosted(on_shell(half[:, np.newaxis] * unit, MUON_MASS), dimuon)
        weight = 2 * self.mean * rng.random(n)
        return replace(
            GeneratedEvents.zeros(sqrt_s),
            mu_plus=plus,
            mu_minus=dimuon - plus,
            invisible=recoil,
            weight=weight,
        )


def expected_yield(luminosity: float) -> tuple[float, float]:
    """Events of the toy of 1000 fb at a luminosity, with error, from weights alone."""
    pilot, _ = simulate_background(Batch("x", 0, 0, 100_000), Toy(1000.0), DETECTOR, seed=99)
    weight = pilot["weight"] / 100_000 * luminosity
    return weight.sum(), np.sqrt((weight**2).sum())


def test_unweighted_events_have_the_yield_of_the_weighted_ones() -> None:
    expected, error = expected_yield(20.0)
    events, summary = simulate_background(
        Batch("toy", 0, 0, 50_000, exposure=20.0 / 50_000), Toy(1000.0), DETECTOR, seed=1
    )
    assert np.all(events["weight"] == 1)
    assert summary.largest < 1
    assert summary.entries == len(events)
    assert len(events) == pytest.approx(expected, abs=5 * np.hypot(error, np.sqrt(len(events))))


def test_too_few_trials_make_several_events_of_one() -> None:
    expected, error = expected_yield(100.0)
    events, summary = simulate_background(
        Batch("toy", 0, 0, 40_000, exposure=100.0 / 40_000), Toy(1000.0), DETECTOR, seed=1
    )
    assert np.all(events["weight"] == 1)
    assert 3 < summary.largest < 5
    # 40 000 trials of an efficiency of 0.4 at most; 5 events of one at most
    spread = np.hypot(error, np.sqrt(5 * len(events)))
    assert len(events) == pytest.approx(expected, abs=5 * spread)
    assert len(np.unique(events)) == len(events)


def test_pilot_run_finds_the_trials_that_keep_weights_at_one() -> None:
    _, pilot = simulate_background(Batch("toy", 0, 0, 50_000), Toy(1000.0), DETECTOR, seed=1)
    # weights reach 2000 fb, times the identification of both muons
    largest = 2000 * DETECTOR.muons.barrel_efficiency**2
    trials = needed_trials(pilot, 200.0)
    assert trials == pytest.approx(largest * 200.0, rel=0.02)
    again, summary = simulate_background(
        Batch("toy", 0, 1, 50_000, exposure=200.0 / trials), Toy(1000.0), DETECTOR, seed=1
    )
    assert len(again) == summary.entries > 0
    assert summary.largest == pytest.approx(1, rel=0.02)
    assert needed_trials(pilot, 1e-6) == needed_trials(Counts(), 200.0) == 20_000


def test_cross_section_is_the_mean_weight() -> None:
    _, summary = simulate_background(Batch("toy", 0, 0, 100_000), Toy(500.0), DETECTOR, seed=3)
    value, error = summary.cross_section()
    assert error == pytest.approx(500 / np.sqrt(3) / np.sqrt(100_000), rel=0.01)
    assert value == pytest.approx(500, abs=5 * error)


def test_cutflow_never_grows_and_ends_at_the_entries() -> None:
    batch = Batch("toy", 0, 0, 20_000, exposure=1e-4)
    events, summary = simulate_background(batch, Toy(1000.0), DETECTOR, seed=4)
    counts, weights = zip(*summary.cutflow.values(), strict=True)
    assert next(iter(summary.cutflow)) == "generated"
    assert counts[0] == 20_000
    assert np.all(np.diff(counts) <= 0)
    unweighting = list(summary.cutflow).index("kept as unweighted events")
    assert np.all(np.diff(weights[:unweighting]) <= 0)
    assert (counts[-1], weights[-1]) == (len(events), events["weight"].sum())


def test_summaries_add_up() -> None:
    total = Counts()
    for i in range(3):
        _, summary = simulate_background(
            Batch("toy", 0, i, 1000, exposure=1e-3), Toy(1000.0), DETECTOR, seed=5
        )
        total.add(summary)
    assert total.trials == 3000
    assert total.cutflow["generated"][0] == 3000
    assert total.entries == total.cutflow["recoil mass in range"][0]


def test_batches_share_out_the_trials_and_the_luminosity() -> None:
    trials = 2 * BATCH + 17
    batches = production_batches("toy", 4, trials, 200.0)
    assert [batch.index for batch in batches] == [0, 1, 2]
    assert sum(batch.trials for batch in batches) == trials
    assert max(batch.trials for batch in batches) <= BATCH
    assert {batch.stratum for batch in batches} == {4}
    # the mean weight times the sum of all exposures over trials is cross-section x luminosity
    assert sum(batch.trials * batch.exposure for batch in batches) == pytest.approx(200.0)


def test_pilot_runs_grow_with_the_luminosity_and_keep_weights() -> None:
    small, large = pilot_batches("toy", 1, 0.1), pilot_batches("toy", 1, 1000.0)
    assert [batch.trials for batch in small] == [20_000]
    assert sum(batch.trials for batch in large) == 2_000_000
    assert {batch.exposure for batch in small + large} == {0}


def test_a_stratum_with_heavy_events_is_simulated_again_with_more_trials() -> None:
    batches = production_batches("toy", 2, 40_000, 100.0)
    _, counts = simulate_background(batches[0], Toy(1000.0), DETECTOR, seed=1)
    again = enough_batches(batches, counts, 100.0)
    more = sum(batch.trials for batch in again)
    assert more == pytest.approx(40_000 * counts.largest * 1.2, rel=1e-3)
    assert all(batch.exposure == pytest.approx(100.0 / more) for batch in again)
    _, lighter = simulate_background(again[0], Toy(1000.0), DETECTOR, seed=1)
    assert 0.7 < lighter.largest < 1
    assert enough_batches(again, lighter, 100.0) is again


def test_a_batch_depends_on_its_place_and_the_seed_alone() -> None:
    def momenta(dataset: str, stratum: int, index: int, seed: int) -> bytes:
        batch = Batch(dataset, stratum, index, 1000, exposure=1e-3)
        return simulate_background(batch, Toy(1000.0), DETECTOR, seed)[0].tobytes()

    places = [("a", 0, 0, 1), ("b", 0, 0, 1), ("a", 1, 0, 1), ("a", 0, 1, 1), ("a", 0, 0, 2)]
    assert len({momenta(*place) for place in places}) == len(places)
    assert momenta(*places[0]) == momenta(*places[0])


def test_signal_events_are_counted_from_the_generated_ones() -> None:
    events, summary = simulate_batch(
        Batch("signal", 0, 0, 3000), SignalGenerator(3.0), DETECTOR, seed=6
    )
    assert summary.cutflow["generated"] == (3000, 3000.0)
    assert np.all(events["weight"] == 1)
    assert np.all(events["mass"] == 3.0)
    assert 0.3 < len(events) / 3000 < 0.6


def test_signal_survives_as_often_as_weights_say() -> None:
    generator = SignalGenerator(5.0)
    _, signal = simulate_batch(Batch("s", 0, 0, 20_000), generator, DETECTOR, seed=7)
    _, pilot = simulate_background(Batch("s", 0, 0, 50_000), generator, DETECTOR, seed=8)
    share = signal.entries / 20_000
    expected = pilot.cutflow["recoil mass in range"][1] / pilot.sum_weight
    assert share == pytest.approx(expected, abs=5 * np.sqrt(share / 20_000))
