"""The signal against Feynman rules in Dirac matrices, other integrations, and known limits."""

import numpy as np
import pytest
from collisions import SQRT_S, assert_agreement, sample
from dirac import GAMMA, METRIC, pair_amplitudes, slash
from four_vectors import boosted, isotropic, mass2, on_shell, two_body_momentum
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import dblquad

from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.io.files import InputError
from punzinet.analysis.simulation import radiation
from punzinet.analysis.simulation.sampling import integrate
from punzinet.analysis.simulation.signal import SignalGenerator, longitudinal, trace

S = SQRT_S**2


def dalitz_integral(mass):
    """Cross-section, fb, over the energies of the two muons instead of the generator's variables.

    Three-body phase space is flat there, dE dE' / 32 pi^3, and the mean over orientations of
    H^xx + H^yy is two thirds of the trace.
    """

    def limit(energy, sign):
        """End of the range of the mu+ energy at a mu- energy: two-body decay of the other pair."""
        other2 = S + MUON_MASS**2 - 2 * SQRT_S * energy
        other = np.sqrt(other2)
        own = (other2 + MUON_MASS**2 - mass**2) / (2 * other)
        k = float(two_body_momentum(other, MUON_MASS, mass))
        spread = k * np.sqrt(max(0.0, energy**2 - MUON_MASS**2)) / other
        return own * (SQRT_S - energy) / other + sign * spread

    def integrand(plus, minus):
        # (q - p+)^2 = (p- + k)^2 and the other way round
        d = (S - 2 * SQRT_S * plus, S - 2 * SQRT_S * minus)
        return trace(S, d, (MUON_MASS**2, mass**2))

    highest = (S + MUON_MASS**2 - (MUON_MASS + mass) ** 2) / (2 * SQRT_S) * (1 - 1e-12)
    ends = (lambda e: limit(e, -1)), (lambda e: limit(e, 1))
    integral, _ = dblquad(integrand, MUON_MASS, highest, *ends, epsrel=1e-5)
    electric = (4 * np.pi * ALPHA) ** 2
    return FB_PER_GEV2 * (electric / S**2 * S / 2 * 2 / 3 * integral / (32 * np.pi**3) / (2 * S))


@pytest.mark.parametrize("mass", [0.1, 0.5, 3.0, 8.7])
def test_rate_agrees_with_an_integration_in_other_variables(mass):
    found = integrate(SignalGenerator(mass), SQRT_S, seed=5, precision=1e-3)
    assert_agreement((dalitz_integral(mass), 0.0), found, 1e-3)


@pytest.mark.parametrize("mass", [0.5, 8.0])
def test_rate_with_radiation_is_the_convolution_of_two_radiators(mass):
    generator = SignalGenerator(mass)
    energies = np.linspace(mass + 2 * MUON_MASS, SQRT_S, 25)[1:]
    rates = [integrate(generator, energy, seed=5)[0] for energy in energies]
    # photons along the beams leave s (1 - z1) (1 - z2); under u = z^b the density is flat
    b = radiation.exponent(S, ELECTRON_MASS)
    z = ((np.arange(2000) + 0.5) / 2000) ** (1 / b)
    density = radiation.hard_spectrum(z, b)
    left = SQRT_S * np.sqrt(np.outer(1 - z, 1 - z))
    rate = np.interp(left, energies, rates, left=0.0) * np.outer(density, density)
    expected = radiation.SOFT_AND_VIRTUAL * rate.mean()
    radiated, _ = integrate(SignalGenerator(mass, radiates=True), SQRT_S, seed=6)
    assert radiated == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("radiates", [False, True])
@pytest.mark.parametrize("mass", [0.1, 0.9, 4.0, 8.7])
def test_no_weight_exceeds_the_maximum(mass, radiates):
    rng = np.random.default_rng(4)
    sqrt_s = rng.normal(SQRT_S, 0.005, 300_000)
    generator = SignalGenerator(mass, radiates)
    weight = generator.generate(rng, sqrt_s).weight
    above = np.maximum(weight / generator.maximum(sqrt_s) - 1, 0.0)
    # after radiation, at the least mass: a few of a million, by a few percent
    assert above.mean() <= (1e-6 if radiates and mass == 0.1 else 0.0)


def test_beams_below_threshold_are_refused():
    with pytest.raises(InputError, match="too little for a Z' of"):
        sample(SignalGenerator(10.5), 3, 0)


def event(mass, sqrt_s, seed):
    rng = np.random.default_rng(seed)
    pair = rng.uniform(2 * MUON_MASS, sqrt_s - mass)
    k = on_shell(two_body_momentum(sqrt_s, pair, mass) * isotropic(rng, 1)[0], mass)
    half = two_body_momentum(pair, MUON_MASS, MUON_MASS) * isotropic(rng, 1)[0]
    frame = np.array([sqrt_s, 0, 0, 0]) - k
    minus, plus = (boosted(on_shell(sign * half, MUON_MASS), frame) for sign in (1, -1))
    return minus, plus, k


events = st.builds(event, st.floats(0.05, 9.5), st.floats(9.9, 10.7), st.integers(0, 2**32))


@given(events)
def test_closed_form_is_the_sum_over_helicities(momenta):
    minus, plus, k = momenta
    s, masses2 = mass2(sum(momenta)), (MUON_MASS**2, mass2(k))
    d = tuple(mass2(p + k) - MUON_MASS**2 for p in (minus, plus))
    j = pair_amplitudes(*momenta)
    h = -np.einsum("bc,bast,cdst->ad", METRIC, j, j.conj())
    total = trace(s, d, masses2)
    assert total == pytest.approx(-np.einsum("ab,ab->", METRIC, h).real, rel=1e-8)
    along = longitudinal(s, d, (minus[3], plus[3]), masses2)
    assert along == pytest.approx(h[3, 3].real, abs=1e-8 * total)
    assert -1e-9 * total <= along <= total * (1 + 1e-9)
    # averaged beam spins: a quarter of the trace of the electrons' Dirac matrices
    beam = np.sqrt(s) / 2 * np.array([[1, 0, 0, 1], [1, 0, 0, -1.0]])
    lepton = np.einsum("ij,ajk,kl,bli->ab", slash(beam[1]), GAMMA, slash(beam[0]), GAMMA) / 4
    contracted = np.einsum("ab,ac,bd,cd->", lepton, METRIC, METRIC, h).real
    assert contracted == pytest.approx(s / 2 * (total - along), rel=1e-8)
