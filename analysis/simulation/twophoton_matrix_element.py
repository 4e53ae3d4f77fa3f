"""Matrix element of e+e- -> e+e- mu+mu- through two virtual photons, exact at tree level.

In the rest frame of the muon pair each electron is represented by three real polarisation
vectors, into whose outer products its tensor falls apart,

    L = Q^2 (y y + l l) + 4 m^2 n n,

with n along the electron's momentum as far as it is orthogonal to the photon's, l orthogonal to
n in the plane of electron and photon axis, and y normal to this plane: two helicities and the
flip that the mass allows (compare the density matrices of Budnev et al., Phys. Rep. 15 (1975)
181). The amplitudes of the pair are those of Compton scattering, crossed, for virtual photons:
no virtuality, scalar polarisation or correlation in azimuth is neglected.
"""

from math import hypot, sqrt
from typing import Final

import numpy as np

import punzinet.analysis.simulation.events as p4
from punzinet.analysis.constants import ELECTRON_MASS, MUON_MASS
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.simulation.events import Momentum, Pair, Vector
from punzinet.analysis.types import FloatArray

NO_FLIP: Final = 1e6 * ELECTRON_MASS**2  # GeV^2; electrons of more keep helicity to some 1e-6
ComplexArray = np.ndarray[tuple[int, ...], np.dtype[np.complexfloating]]
TwoMomenta = tuple[Momentum, Momentum]


@njit(cache=True)
def element_square(
    sqrt_s: float, pair: Momentum, virtualities: Pair, axis: Vector, muons: TwoMomenta
) -> float:
    """Matrix element squared without couplings and photon propagators.

    The pair is in the CMS of the beams. The axis is the direction of the electron's photon in the
    rest frame of the pair, the muons are mu- and mu+ there with this axis as z.
    """
    mass = sqrt(p4.dot(pair, pair))
    energy = (mass**2 - virtualities[0] + virtualities[1]) / (2 * mass)
    momentum = sqrt(energy**2 + virtualities[0])
    photons = ((energy, 0.0, 0.0, momentum), (mass - energy, 0.0, 0.0, -momentum))
    beam = sqrt(sqrt_s**2 / 4 - ELECTRON_MASS**2)
    electron = p4.rotate_from(axis, p4.to_rest_frame((sqrt_s / 2, 0.0, 0.0, beam), pair))
    positron = p4.rotate_from(axis, p4.to_rest_frame((sqrt_s / 2, 0.0, 0.0, -beam), pair))
    first = _polarisation_vectors(electron, photons[0], photons[1], 1.0)
    second = _polarisation_vectors(positron, photons[1], photons[0], -1.0)
    # the flip of an electron's helicity is of order m^2/Q^2
    flips_1 = 3 if virtualities[0] < NO_FLIP else 2
    flips_2 = 3 if virtualities[1] < NO_FLIP else 2
    return pair_square(first[:flips_1], second[:flips_2], photons, muons)


@njit(cache=True)
def _polarisation_vectors(
    electron: Momentum, photon: Momentum, other: Momentum, towards: float
) -> FloatArray:
    """The polarisation vectors (3, 4) of the photon that an electron radiates: Q y, Q l and 2m n.

    The last two are up to multiples of the photon's momentum, to which the amplitudes are blind.
    All momenta are in the rest frame of the pair with the photons along z, the electron's before
    it radiates; `towards` is -1 if its photon flies against z, else 1.
    """
    virtuality = -p4.dot(photon, photon)
    q, product = sqrt(virtuality), p4.dot(photon, other)
    root = sqrt(product**2 + virtuality * p4.dot(other, other))
    across = hypot(electron[1], electron[2])
    x, y = (electron[1] / across, electron[2] / across) if across > 0 else (1.0, 0.0)
    # electron times the scalar polarisation vector, and the length of its orthogonal part
    along = q / root * (p4.dot(electron, other) - product / 2)
    length = sqrt(ELECTRON_MASS**2 + virtuality / 4)
    # scalar vector minus photon / Q
    scalar = q / (abs(photon[3]) + photon[0])
    vectors = np.empty((3, 4))
    vectors[0] = (0.0, -q * y, q * x, 0.0)
    a, b = q * along / length, q * across / length
    vectors[1] = (b * scalar, a * x, a * y, -towards * b * scalar)
    a, b = 2 * ELECTRON_MASS * across / length, 2 * ELECTRON_MASS * along / length
    vectors[2] = (b * scalar, a * x, a * y, -towards * b * scalar)
    return vectors


@njit(cache=True)
def _slash(v: Momentum, spinor: ComplexArray, out: ComplexArray) -> None:
    """Multiply a spinor (4,) by gamma.v, in the chiral representation, into `out`."""
    up, down = v[0] + v[3], v[0] - v[3]
    left, right = complex(v[1], -v[2]), complex(v[1], v[2])
    out[0] = down * spinor[2] - left * spinor[3]
    out[1] = up * spinor[3] - right * spinor[2]
    out[2] = up * spinor[0] + left * spinor[1]
    out[3] = down * spinor[1] + right * spinor[0]


@njit(cache=True)
def _bar_product(left: ComplexArray, right: ComplexArray) -> complex:
    """The invariant product of two spinors, left-bar right."""
    return complex(
        left[0].conjugate() * right[2]
        + left[1].conjugate() * right[3]
        + left[2].conjugate() * right[0]
        + left[3].conjugate() * right[1]
    )


@njit(cache=True)
def _spinors(p: Momentum, sign: float) -> ComplexArray:
    """Spin states (2, 4), by (p + m) from rest, u-bar u = 2m; sign +1 for mu-, -1 for mu+."""
    out = np.empty((2, 4), np.complex128)
    norm = 1 / sqrt(2 * (p[0] + MUON_MASS))
    for spin in range(2):
        rest = np.zeros(4, np.complex128)
        rest[spin], rest[2 + spin] = norm, sign * norm
        _slash(p, rest, out[spin])
        for i in range(4):
            out[spin, i] = sign * out[spin, i] + MUON_MASS * rest[i]
    return out


@njit(cache=True)
def pair_square(
    first: FloatArray, second: FloatArray, photons: TwoMomenta, muons: TwoMomenta
) -> float:
    """Square of the amplitude of gamma* gamma* -> mu+mu- without couplings.

    It is summed over the polarisation vectors of both photons, (n, 4) and (m, 4), and over spins.
    """
    negative, positive = muons
    # reversing both spins conjugates the amplitude, as the vectors are real: one state of mu-
    outgoing = _spinors(negative, 1.0)[0]
    incoming = _spinors(positive, -1.0)
    n, m = len(first), len(second)
    # spinors behind the vertex next to mu-, and with the propagator behind the one next to mu+
    near = np.empty((n + m, 4), np.complex128)
    far = np.empty((n + m, 2, 4), np.complex128)
    vertex = np.empty(4, np.complex128)
    for i in range(n + m):
        vector = first[i] if i < n else second[i - n]
        v = (vector[0], vector[1], vector[2], vector[3])
        _slash(v, outgoing, near[i])
        # a photon next to mu+ leaves the other one next to mu-
        inner = p4.minus(negative, photons[1] if i < n else photons[0])
        norm = 1 / (p4.dot(inner, inner) - MUON_MASS**2)
        for spin in range(2):
            _slash(v, incoming[spin], vertex)
            _slash(inner, vertex, far[i, spin])
            for k in range(4):
                far[i, spin, k] = norm * (far[i, spin, k] + MUON_MASS * vertex[k])
    total = 0.0
    for i in range(n):
        for j in range(n, n + m):
            for spin in range(2):
                amplitude = _bar_product(near[i], far[j, spin])
                amplitude += _bar_product(near[j], far[i, spin])
                total += amplitude.real**2 + amplitude.imag**2
    return 2 * total
