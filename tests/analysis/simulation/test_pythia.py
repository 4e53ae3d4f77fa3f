"""Tau pairs against those of Pythia 8, whose decays know the spin correlation, too."""

import sys

import numpy as np
import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.simulation import lorentz
from punzinet.analysis.simulation.pythia import pythia_events
from punzinet.analysis.simulation.taupair import TauPairGenerator

SQRT_S = 10.58


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(InputError, match="pythia8mc"):
        pythia_events("tautau", 1, SQRT_S, 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # twenty tau pairs a second
def test_muons_of_tau_pairs_are_those_of_pythia() -> None:
    pytest.importorskip("pythia8mc")
    theirs = pythia_events("tautau", 2500, SQRT_S, seed=5)
    ours = TauPairGenerator().generate(np.random.default_rng(1), np.full(500_000, SQRT_S))
    total = theirs.total()
    np.testing.assert_allclose(total[:, 0], SQRT_S, rtol=1e-6)
    np.testing.assert_allclose(total[:, 1:], 0, atol=1e-5)
    assert ours.weight.mean() == pytest.approx(theirs.weight[0], rel=0.1)
    ours = ours[ours.weight > 0]

    def recoil(events: object) -> np.ndarray:
        beams = np.array([SQRT_S, 0, 0, 0])
        return lorentz.mass2(beams - events.mu_plus - events.mu_minus)  # type: ignore[attr-defined]

    for of, copies in (
        (lambda e: lorentz.momentum(np.stack([e.mu_plus, e.mu_minus], axis=1)), 2),
        (
            lambda e: np.stack([p[:, 3] / lorentz.momentum(p) for p in (e.mu_plus, e.mu_minus)], 1),
            2,
        ),
        (recoil, 1),
        (lambda e: e.mu_plus[:, 0] * e.mu_minus[:, 0], 1),
    ):
        # bins of a thousand events each
        edges = np.quantile(of(theirs), np.linspace(0, 1, copies * len(theirs.weight) // 1000 + 1))
        edges[[0, -1]] = -np.inf, np.inf
        reference = np.histogram(of(theirs), edges)[0] / (copies * len(theirs.weight))
        weight = np.repeat(ours.weight, copies)
        share = np.histogram(of(ours).ravel(), edges, weights=weight)[0] / weight.sum()
        np.testing.assert_allclose(share / reference, 1, atol=0.1)
