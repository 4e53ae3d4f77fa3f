"""What tests of generators share: amplitudes from explicit Dirac matrices."""

import numpy as np
from four_vectors import mass2

from punzinet.analysis.constants import MUON_MASS

METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
ONE = np.eye(2)
UNIT = np.eye(4)
GAMMA = np.array([np.kron(PAULI[2], ONE), *(np.kron(1j * PAULI[1], s) for s in PAULI)])


def slash(p):
    return np.einsum("...a,aij->...ij", p @ METRIC, GAMMA)


def spinors(p, mass, *, antiparticle=False):
    """Both spin states, u or v, in the Dirac representation, (2, 4)."""
    small = np.einsum("k,kij->ij", p[1:], PAULI) / (p[0] + mass)
    parts = (small, ONE) if antiparticle else (ONE, small)
    return np.sqrt(p[0] + mass) * np.concatenate(parts).T


def currents(left, vertex, right):
    """All spin combinations of left-bar vertex^mu right, (2, 2, 4)."""
    return np.einsum("ai,mij,bj->abm", left.conj() @ GAMMA[0], vertex, right)


def propagator(p, mass):
    return (slash(p) + mass * UNIT) / (mass2(p) - mass**2)


def pair_amplitudes(minus, plus, boson):
    """Components of a boson (m), radiated by mu- mu+, and of their photon, and spins, (4, 4, 2, 2).

    Both diagrams, without couplings; a boson of negative energy is absorbed.
    """
    left = spinors(minus, MUON_MASS).conj() @ GAMMA[0]
    right = spinors(plus, MUON_MASS, antiparticle=True)
    inner = propagator(minus + boson, MUON_MASS), propagator(-plus - boson, MUON_MASS)
    tensor = np.einsum("mij,jk,nkl->mnil", GAMMA, inner[0], GAMMA)
    tensor = tensor + np.einsum("nij,jk,mkl->mnil", GAMMA, inner[1], GAMMA)
    return np.einsum("si,mnil,tl->mnst", left, tensor, right)
