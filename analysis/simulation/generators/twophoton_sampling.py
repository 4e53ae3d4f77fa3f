"""Sampling of the photons of e+e- mu+mu-, and which events a detector may take for signal."""

from math import cos, exp, hypot, inf, log, pi, sin, sqrt
from typing import Final, NamedTuple

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ELECTRON_MASS
from punzinet.analysis.simulation.detector import EVERYWHERE, MISSED, NO_VETO, Veto, in_region
from punzinet.analysis.simulation.lorentz import Momentum, dot, transformed
from punzinet.analysis.types import FloatArray

COMPARABLE: Final = 3.0
"""Logarithm of the ratio of virtualities below which both are comparable."""
COMPARABLE_SHARE: Final = 0.1
"""Share of events drawn with comparable virtualities, where weights are largest."""
TINY: Final = 1e-30
"""Transverse momentum that stands for none, GeV."""
TRANSVERSE_SLACK: Final = 0.1
"""What bounds on the recoil's transverse momentum in the laboratory leave out, GeV."""

Pair = tuple[float, float]


class Reach(NamedTuple):
    """What an event must have to be possibly taken for signal.

    Attributes:
        pair_mass: least mass of the muon pair, GeV.
        transverse_mass: least transverse mass of the pair in the CMS, GeV.
        transverse: least transverse momentum of the pair in the CMS, GeV.
        recoil_slope: range of the recoil's momentum along the axis over that across it, in the
            laboratory (the cotangent of the polar angle).
        recoil_mass2: largest mass squared of the recoil, GeV^2.
        muon_slope: the same of both muons.
        muon_transverse: least transverse momentum of either muon in the laboratory, GeV.
        region: `MISSED` if both scattered electrons have to be, `SEEN` if not both, or
            `EVERYWHERE`.
        veto: the calorimeter that sees them.
    """

    pair_mass: float
    transverse_mass: float
    transverse: float = 0.0
    recoil_slope: Pair = (-inf, inf)
    recoil_mass2: float = inf
    muon_slope: Pair = (-inf, inf)
    muon_transverse: float = 0.0
    region: int = EVERYWHERE
    veto: Veto = NO_VETO


@njit(cache=True)
def scattered_electron(
    sqrt_s: float, y: float, virtuality: float, azimuth: float, towards: float
) -> tuple[Momentum, bool]:
    """Momentum of a scattered electron from the invariants of its photon.

    `towards` is +1 for the beam along z, -1 for the other.

    Returns:
        The momentum, and whether it exists.
    """
    energy = sqrt_s / 2
    beam2 = energy**2 - ELECTRON_MASS**2
    # products of the momentum with those of both beams
    with_own = ELECTRON_MASS**2 + virtuality / 2
    with_other = (1 - y) * (energy**2 + beam2)
    scattered = (with_own + with_other) / (2 * energy)
    along = (with_other - with_own) / (2 * sqrt(beam2))
    across2 = scattered**2 - ELECTRON_MASS**2 - along**2
    across = sqrt(max(across2, 0.0))
    p = (scattered, across * cos(azimuth), across * sin(azimuth), towards * along)
    return p, across2 > 0


@njit(cache=True)
def _power_at(slope: float, along: float, target: float) -> float:
    """Exponential of the rapidity at which slope cosh + along sinh takes a value.

    The coefficient of the sinh is the larger one; the value may be infinite.
    """
    root = sqrt(target**2 + along**2 - slope**2)
    # two forms of the same, of which one does not cancel
    below, above = (along - slope) / (root - target), (target + root) / (slope + along)
    return above if target > 0 else below


@njit(cache=True)
def _power_range(sqrt_s: float, transverse_mass: float, across: Pair, reach: Reach) -> Pair:
    """Range of the exponential of the pair's rapidity that leaves the recoil in reach.

    The recoil's momentum along the z axis of the laboratory falls with the rapidity, and its
    transverse momentum there is that of the pair, at most the one of the photons, and that of
    the boost, which is not quite along the axis.

    `across` is the transverse momentum of the pair in the CMS if the photons take no energy, GeV.

    Returns:
        Lower and upper end; the upper one below the lower one where there is nothing.
    """
    matrix = reach.veto.to_laboratory
    slope, along = matrix[0, 3], matrix[3, 3]
    # of the boost of the energy that the pair leaves, about 85 % of all
    x, y = 0.85 * sqrt_s * matrix[0, 1], 0.85 * sqrt_s * matrix[0, 2]
    most = max(hypot(x, y), hypot(x - across[0], y - across[1])) + TRANSVERSE_SLACK
    along_z = slope * sqrt_s - max(most * reach.recoil_slope[1], 0.0)
    low = _power_at(slope, along, along_z / transverse_mass)
    along_z = slope * sqrt_s - min(most * reach.recoil_slope[0], 0.0)
    high = _power_at(slope, along, along_z / transverse_mass)
    energy = (sqrt_s**2 + reach.pair_mass**2 - reach.recoil_mass2) / (2 * sqrt_s)
    if energy > transverse_mass:
        ratio = energy / transverse_mass
        least = ratio + sqrt(ratio**2 - 1)
        if low * least > 1:
            low = max(low, least)
    return low, high


@njit(cache=True)
def draw_photons(
    rng: np.random.Generator, sqrt_s: float, harder: int, virtuality: Pair, reach: Reach
) -> tuple[Pair, Pair, Pair, float]:
    """Draw both photons.

    With Q^2 given, y = q.p'/p.p' of either photon (p and p' the momenta of its own and of the
    other beam) is the share of the pair's energy along its own beam plus the other photon's
    Q^2/s. The shares are made of the transverse mass and the rapidity of the pair.

    The larger virtuality, the electron's (`harder` = 0) or the positron's (1), is within a range.

    Returns:
        Energy fractions y; virtualities; azimuths of the scattered electrons; the inverse density
        of the first four, zero if out of reach.
    """
    nothing = (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), 0.0
    s = sqrt_s**2
    # the least virtuality of a photon of y = 1/2 is a lower end that is never reached
    bottom = max(virtuality[0], 1e-3 * ELECTRON_MASS**2 * reach.pair_mass**4 / s**2)
    norm = log(min(virtuality[1], s) / bottom)
    hard = bottom * exp(norm * rng.random())
    volume = norm * hard

    # product of the shares: the transverse mass squared of the pair over s, from 1/(m^2 + a)^2
    # with a above the square of the transverse momentum that the harder photon brings, where
    # the mass of the pair vanishes
    shift = 1.5 * hard / s
    ends = 1 / (reach.transverse_mass**2 / s + shift), 1 / (1 + shift)
    product = 1 / (ends[1] + (ends[0] - ends[1]) * rng.random()) - shift
    volume *= (ends[0] - ends[1]) * (product + shift) ** 2

    # at any y the softer photon has more than this, and enough for the transverse momentum
    bottom = max(reach.transverse - sqrt(hard), 0.0) ** 2
    bottom = max(bottom, ELECTRON_MASS**2 * product**2)
    if bottom >= hard:
        return nothing
    norm = log(hard / bottom)
    near = min(norm, COMPARABLE)
    part = rng.random()
    reach_down = near if rng.random() < COMPARABLE_SHARE else norm
    soft = hard * exp(-reach_down * part)
    density = (1 - COMPARABLE_SHARE) / norm
    if soft > hard * exp(-near):
        density += COMPARABLE_SHARE / near
    volume *= soft / density

    azimuth = (2 * pi * rng.random(), 2 * pi * rng.random())
    q2 = (hard, soft) if harder == 0 else (soft, hard)
    first, second = sqrt(q2[0]), sqrt(q2[1])
    x = -first * cos(azimuth[0]) - second * cos(azimuth[1])
    y = -first * sin(azimuth[0]) - second * sin(azimuth[1])
    root = sqrt(product)
    low, high = _power_range(sqrt_s, sqrt_s * root, (x, y), reach)
    # neither photon takes more than all energy
    low = max(low, root / (1 - q2[0] / s))
    high = min(high, (1 - q2[1] / s) / root)
    if low >= high:
        return nothing
    norm = log(high / low)
    power = low * exp(norm * rng.random())
    volume *= norm
    fractions = (root * power + q2[1] / s, root / power + q2[0] / s)
    return fractions, q2, azimuth, volume


@njit(cache=True)
def _in_laboratory(p: Momentum, matrix: FloatArray) -> Pair:
    """Momentum along the axis over that across it, and the latter (GeV), in the laboratory."""
    _, x, y, z = transformed(p, matrix)
    across = sqrt(x**2 + y**2)
    return z / max(across, TINY), across


@njit(cache=True)
def pair_in_reach(sqrt_s: float, pair: Momentum, reach: Reach) -> bool:
    """Whether the recoil of a muon pair (CMS) may pass the preselection."""
    if dot(pair, pair) < reach.pair_mass**2 or hypot(pair[1], pair[2]) < reach.transverse:
        return False
    recoil = (sqrt_s - pair[0], -pair[1], -pair[2], -pair[3])
    if dot(recoil, recoil) > reach.recoil_mass2:
        return False
    slope, _ = _in_laboratory(recoil, reach.veto.to_laboratory)
    return reach.recoil_slope[0] <= slope <= reach.recoil_slope[1]


@njit(cache=True)
def electrons_in_reach(first: Momentum, second: Momentum, reach: Reach) -> bool:
    """Whether the calorimeter misses or sees the scattered electrons as it should."""
    if reach.region == EVERYWHERE:
        return True
    missed = in_region(first, MISSED, reach.veto) and in_region(second, MISSED, reach.veto)
    return missed == (reach.region == MISSED)


@njit(cache=True)
def muon_in_reach(muon: Momentum, reach: Reach) -> bool:
    """Whether a muon may pass acceptance and preselection."""
    slope, across = _in_laboratory(muon, reach.veto.to_laboratory)
    inside = reach.muon_slope[0] <= slope <= reach.muon_slope[1]
    return inside and across >= reach.muon_transverse
