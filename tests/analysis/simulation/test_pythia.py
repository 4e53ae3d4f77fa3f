"""Spectra against Pythia: normalisation, errors, which bins are judged, real small runs."""

import numpy as np
import pytest
from collisions import SQRT_S, sample
from four_vectors import mass2

from punzinet.analysis.simulation.pythia import (
    PROCESSES,
    compare_with_pythia,
    fill,
    pythia_events,
)

EDGES = np.array([0.0, 1.0, 2.0])


def test_shapes_are_normalised_and_errors_are_those_of_the_ratio():
    rng = np.random.default_rng(1)
    edges = np.array([0.0, 0.25, 1.0])
    ratios, errors = [], []
    for _ in range(200):
        spectrum = fill(edges, rng.random(8000), rng.uniform(0.5, 1.5, 8000), rng.random(4000))
        assert np.sum(spectrum.ours * np.diff(edges)) == pytest.approx(1)
        assert np.sum(spectrum.pythia * np.diff(edges)) == pytest.approx(1)
        ratios.append(spectrum.ratio[0])
        errors.append(spectrum.ratio_error[0])
    assert np.mean(ratios) == pytest.approx(1, abs=0.01)
    # that the total fluctuates too makes the true spread smaller, by at most root(3/4)
    assert 0.8 * np.mean(errors) < np.std(ratios) < 1.1 * np.mean(errors)


def test_bins_with_few_events_are_not_judged():
    ours = np.repeat([0.5, 1.5], [3000, 2000])
    spectrum = fill(EDGES, ours, np.ones(5000), np.repeat([0.5, 1.5], [3000, 900]))
    assert spectrum.judged.tolist() == [True, False]
    assert not spectrum.to_json()["met"]  # 0.60 against 0.77 in the first bin
    same = fill(EDGES, ours, np.ones(5000), ours)
    assert same.judged.all()
    assert same.to_json()["met"]
    # large weights are few events
    assert not fill(EDGES, ours, np.where(np.arange(5000) % 50, 1e-6, 1.0), ours).judged.any()
    # an empty bin of Pythia has no ratio
    content = fill(EDGES, np.array([0.5, 1.5]), np.ones(2), np.array([0.5])).to_json()
    assert content["ratio"] == [0.5, None]
    assert content["pythia_events"] == [1, 0]


def test_pythia_makes_no_pair_near_threshold_and_ours_are_compared_above():
    pytest.importorskip("pythia8mc")
    process = PROCESSES["mumugamma"]._replace(events=5000)

    def light(events):
        below = mass2(events.mu_plus + events.mu_minus) < process.least_mass**2
        return events.weight[below].sum() / events.weight.sum()

    theirs = pythia_events(process, SQRT_S, seed=3)
    total = theirs.mu_plus + theirs.mu_minus + theirs.photons.sum(axis=1) + theirs.invisible
    np.testing.assert_allclose(total, np.outer(theirs.sqrt_s, [1, 0, 0, 0]), atol=1e-5)
    # radiation off the muons still makes some of the pairs lighter
    assert light(theirs) < 0.002
    hard = sample(process.ours[1], 50_000, 1)
    assert light(hard.pick(hard.weight > 0)) > 0.02
    assert process.least_pair_mass > process.least_mass


@pytest.mark.parametrize(
    ("process", "n", "tolerance", "errors"),
    [
        # ten percent, and what 20 000 events leave uncertain
        ("mumugamma", 20_000, 0.03, 2),
        # twenty tau pairs a second
        pytest.param("tautau", 2500, 0.1, 0, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_spectra_agree_with_pythia(process, n, tolerance, errors):
    pytest.importorskip("pythia8mc")
    process = PROCESSES[process]._replace(events=n, trials=300_000)
    ours, theirs, spectra = compare_with_pythia(process, SQRT_S, seed=20211005)
    assert ours / theirs == pytest.approx(1, abs=tolerance)
    for spectrum in spectra.values():
        assert spectrum.judged.any()
        assert np.all(spectrum.deviations < 0.1 + errors * spectrum.ratio_error[spectrum.judged])
