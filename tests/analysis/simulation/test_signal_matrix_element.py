"""The closed form against the Feynman rules, written out in Dirac matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.simulation import lorentz
from punzinet.analysis.simulation.signal_matrix_element import longitudinal, trace

METRIC = np.diag([1.0, -1, -1, -1])
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
ZERO, ONE = np.zeros((2, 2)), np.eye(2)
GAMMA = np.array(
    [np.block([[ONE, ZERO], [ZERO, -ONE]])]
    + [np.block([[ZERO, sigma], [-sigma, ZERO]]) for sigma in PAULI]
)


def slash(p):
    return np.einsum("a,aij->ij", METRIC @ p, GAMMA)


def vertex(minus, plus, k, mass=MUON_MASS):
    """J^{ba} without the spinors of the muons: (b, a, 4, 4)."""
    d_minus = lorentz.mass2(minus + k) - mass**2
    d_plus = lorentz.mass2(plus + k) - mass**2
    first = (slash(minus + k) + mass * np.eye(4)) / d_minus
    second = (-slash(plus + k) + mass * np.eye(4)) / d_plus
    emitted = np.einsum("bij,jk,akl->bail", GAMMA, first, GAMMA)
    return emitted + np.einsum("aij,jk,bkl->bail", GAMMA, second, GAMMA)


def spinors(p, mass=MUON_MASS):
    """Columns u(p, spin) and v(p, spin): (4, 2) each."""
    cross = np.einsum("a,aij->ij", p[1:], PAULI) / (p[0] + mass)
    scale = np.sqrt(p[0] + mass)
    return scale * np.vstack([ONE, cross]), scale * np.vstack([cross, ONE])


def current(minus, plus, k):
    """J^{ba} for all spins of the muons: (b, a, spin of mu-, spin of mu+)."""
    bar = spinors(minus)[0].conj().T @ GAMMA[0]
    return np.einsum("si,baij,jt->bast", bar, vertex(minus, plus, k), spinors(plus)[1])


def tensor(minus, plus, k):
    """H^{aa'} summed over the spins of the muons and the polarisations of the Z'."""
    j = current(minus, plus, k)
    return -np.einsum("bc,bast,cdst->ad", METRIC, j, j.conj())


def event(mass, sqrt_s, seed):
    """Any point in phase space: (minus, plus, k)."""
    rng = np.random.default_rng(seed)
    pair = rng.uniform(2 * MUON_MASS, sqrt_s - mass)
    k = lorentz.on_shell(
        lorentz.two_body_momentum(sqrt_s, pair, mass) * lorentz.isotropic(rng, 1)[0], mass
    )
    half = lorentz.two_body_momentum(pair, MUON_MASS, MUON_MASS) * lorentz.isotropic(rng, 1)[0]
    frame = np.array([sqrt_s, 0, 0, 0]) - k
    minus = lorentz.from_rest_frame(lorentz.on_shell(half, MUON_MASS), frame)
    plus = lorentz.from_rest_frame(lorentz.on_shell(-half, MUON_MASS), frame)
    return minus, plus, k


def invariants(minus, plus, k):
    s = lorentz.mass2(minus + plus + k)
    d = tuple(lorentz.mass2(p + k) - MUON_MASS**2 for p in (minus, plus))
    return s, d


events = st.builds(event, st.floats(0.05, 9.5), st.floats(9.9, 10.7), st.integers(0, 2**32))


@given(events)
def test_both_currents_are_conserved(momenta) -> None:
    j = current(*momenta)
    for axis, q in ((0, momenta[2]), (1, sum(momenta))):
        scale = np.abs(q).max() * np.abs(j).max()
        contracted = np.einsum("b,b...->...", METRIC @ q, np.moveaxis(j, axis, 0))
        assert np.abs(contracted).max() < 1e-11 * scale


@settings(deadline=None)  # the first call compiles
@given(events)
def test_closed_form_is_the_sum_over_helicities(momenta) -> None:
    minus, plus, _ = momenta
    s, d = invariants(*momenta)
    masses = MUON_MASS**2, lorentz.mass2(momenta[2])
    h = tensor(*momenta)
    total = trace(s, d, masses)
    assert total == pytest.approx(-np.einsum("ab,ab->", METRIC, h).real, rel=1e-8)
    along = longitudinal(s, d, (minus[3], plus[3]), masses)
    assert along == pytest.approx(h[3, 3].real, abs=1e-8 * total)
    assert -1e-9 * total <= along <= total * (1 + 1e-9)
    # averaged beam spins: a quarter of the trace of the electrons' Dirac matrices
    beam = np.sqrt(s) / 2 * np.array([[1, 0, 0, 1], [1, 0, 0, -1.0]])
    lepton = np.einsum("ij,ajk,kl,bli->ab", slash(beam[1]), GAMMA, slash(beam[0]), GAMMA) / 4
    contracted = np.einsum("ab,ac,bd,cd->", lepton, METRIC, METRIC, h).real
    assert contracted == pytest.approx(s / 2 * (total - along), rel=1e-8)


def test_massless_limit_is_the_gluon_spectrum() -> None:
    # e+ e- -> q qbar g: (x1^2 + x2^2) / ((1 - x1) (1 - x2))  (Ellis, Gaillard, Ross 1976)
    s = 110.0
    for x1, x2 in ((0.9, 0.7), (0.55, 0.6), (0.99, 0.98)):
        value = trace(s, (s * (1 - x2), s * (1 - x1)), (0.0, 0.0))
        assert value == pytest.approx(8 * (x1**2 + x2**2) / ((1 - x1) * (1 - x2)))


def test_soft_limit_is_the_eikonal_factor() -> None:
    # trace of gamma* -> mu+ mu- alone: 4 (s + 2 m^2)
    errors = []
    for softness in (1e-2, 1e-3, 1e-4):
        mass = 0.3 * softness
        k = lorentz.on_shell(softness * np.array([0.5, 0.2, -0.7]), mass)
        pair = np.array([10.58, 0, 0, 0]) - k
        half = lorentz.two_body_momentum(
            np.sqrt(lorentz.mass2(pair)), MUON_MASS, MUON_MASS
        ) * np.array([0.6, 0.0, 0.8])
        minus = lorentz.from_rest_frame(lorentz.on_shell(half, MUON_MASS), pair)
        plus = lorentz.from_rest_frame(lorentz.on_shell(-half, MUON_MASS), pair)
        eikonal = minus / lorentz.dot(minus, k) - plus / lorentz.dot(plus, k)
        s = 10.58**2
        soft = -lorentz.mass2(eikonal) * 4 * (s + 2 * MUON_MASS**2)
        exact = trace(*invariants(minus, plus, k), (MUON_MASS**2, mass**2))
        errors.append(abs(exact / soft - 1))
    assert errors[0] < 2e-2
    assert errors[1] < errors[0] / 5
    assert errors[2] < errors[1] / 5
