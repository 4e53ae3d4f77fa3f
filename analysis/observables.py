"""Observables of a muon pair: what features and window variables are chosen from.

Each is a named function of `MuonPairs` that declares how it is written, which power of GeV it
is, and which columns of the ntuples it reads besides the two momenta and the beams. A new one is
a function below with the decorator `observable`; a manifest can then name it. "Max" and "min" are
the muons of larger and smaller energy in the centre-of-mass system, where a star says that
momenta are taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from punzinet.analysis.kinematics import FEATURES
from punzinet.analysis.muon_pairs import MuonPairs
from punzinet.analysis.quantity import Dimension, Quantity
from punzinet.analysis.types import FloatArray


@dataclass(frozen=True)
class Observable:
    """A named function of muon pairs.

    Attributes:
        quantity: How it is written.
        compute: Function of n pairs that returns its (n,) values.
        columns: Columns of the ntuples that it reads besides momenta and beams.
    """

    quantity: Quantity
    compute: Callable[[MuonPairs], FloatArray]
    columns: tuple[str, ...]


#: All observables by name.
OBSERVABLES: dict[str, Observable] = {}


def observable(
    label: str,
    dimension: Dimension = 0,
    *,
    title: str | None = None,
    root: Quantity | None = None,
    columns: tuple[str, ...] = (),
) -> Callable[[Callable[[MuonPairs], FloatArray]], Callable[[MuonPairs], FloatArray]]:
    """Make a function an observable that has the function's name.

    Args:
        label: How figures write it.
        dimension: Power of GeV that it is: 0, 1 or 2.
        title: In words, if it is to be a window variable.
        root: The mass that it is the square of, if any.
        columns: Columns of the ntuples that it reads besides momenta and beams, from
            `MuonPairs.columns`. Each is read from the branch of its own name unless the dataset
            says otherwise under `branches`.
    """

    def register(compute: Callable[[MuonPairs], FloatArray]) -> Callable[[MuonPairs], FloatArray]:
        name = compute.__name__
        quantity = Quantity(name, label, dimension, title or name, root)
        OBSERVABLES[name] = Observable(quantity, compute, columns)
        return compute

    return register


def _ratio(numerator: Any, denominator: Any) -> FloatArray:
    """Divide; 0 where the denominator is."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    ratio: FloatArray = np.zeros(shape)
    np.divide(numerator, denominator, out=ratio, where=denominator != 0)
    return ratio


@observable(r"$p^*_{t,\mathrm{thrust}}(\mu)$", 1)
def pt_thrust(pairs: MuonPairs) -> FloatArray:
    """Transverse momentum of a muon to the thrust axis of the pair."""
    return pairs.kinematics.features[:, FEATURES.index("pt_thrust")]


@observable(r"$p^*_{t,\mu_\mathrm{min}}(\mu_\mathrm{max})$", 1)
def pt_mumin_mumax(pairs: MuonPairs) -> FloatArray:
    """Momentum of the larger muon transverse to the smaller one."""
    return pairs.kinematics.features[:, FEATURES.index("pt_mumin_mumax")]


@observable(r"$p^*_{l,\mu_\mathrm{min}}(\mu_\mathrm{max})$", 1)
def pl_mumin_mumax(pairs: MuonPairs) -> FloatArray:
    """Momentum of the larger muon along the smaller one, signed."""
    return pairs.kinematics.features[:, FEATURES.index("pl_mumin_mumax")]


@observable(r"$p^*_t(\mu^+\mu^-)$", 1)
def pt_mumu(pairs: MuonPairs) -> FloatArray:
    """Momentum of the pair transverse to the beams."""
    return pairs.kinematics.features[:, FEATURES.index("pt_mumu")]


@observable(
    r"$M^2_\mathrm{rec}$",
    2,
    title="squared recoil mass",
    root=Quantity("m_recoil", r"$M_\mathrm{rec}$", 1, "recoil mass"),
)
def m2_recoil(pairs: MuonPairs) -> FloatArray:
    """Squared mass recoiling against the pair; it can be negative."""
    return pairs.kinematics.m2_recoil


@observable(r"$p^*_{t,\mu_\mathrm{max}}(\mu_\mathrm{min})$", 1)
def pt_mumax_mumin(pairs: MuonPairs) -> FloatArray:
    """Momentum of the smaller muon transverse to the larger one."""
    one, two = pairs.momenta
    return _ratio(one.cross(two).mag, pairs.largest.mag)


@observable(r"$p^*_{l,\mu_\mathrm{max}}(\mu_\mathrm{min})$", 1)
def pl_mumax_mumin(pairs: MuonPairs) -> FloatArray:
    """Momentum of the smaller muon along the larger one, signed."""
    one, two = pairs.momenta
    return _ratio(one.dot(two), pairs.largest.mag)


@observable(r"$p^*(\mu_\mathrm{max})$", 1)
def p_mumax(pairs: MuonPairs) -> FloatArray:
    """Momentum of the larger muon."""
    return np.asarray(pairs.largest.mag)


@observable(r"$p^*(\mu_\mathrm{min})$", 1)
def p_mumin(pairs: MuonPairs) -> FloatArray:
    """Momentum of the smaller muon."""
    return np.asarray(pairs.smallest.mag)


@observable(r"$p^*_t(\mu_\mathrm{max})$", 1)
def pt_mumax(pairs: MuonPairs) -> FloatArray:
    """Momentum of the larger muon transverse to the beams."""
    return np.asarray(pairs.largest.cross(pairs.z_axis).mag)


@observable(r"$p^*_t(\mu_\mathrm{min})$", 1)
def pt_mumin(pairs: MuonPairs) -> FloatArray:
    """Momentum of the smaller muon transverse to the beams."""
    return np.asarray(pairs.smallest.cross(pairs.z_axis).mag)


@observable(r"$|\cos\theta^*(\mu_\mathrm{max})|$")
def cos_mumax(pairs: MuonPairs) -> FloatArray:
    """Cosine of the larger muon's angle to the beams, without its sign."""
    return _ratio(np.abs(pairs.largest.dot(pairs.z_axis)), pairs.largest.mag)


@observable(r"$|\cos\theta^*(\mu_\mathrm{min})|$")
def cos_mumin(pairs: MuonPairs) -> FloatArray:
    """Cosine of the smaller muon's angle to the beams, without its sign."""
    return _ratio(np.abs(pairs.smallest.dot(pairs.z_axis)), pairs.smallest.mag)


@observable(r"$\cos\angle^*(\mu,\mu)$")
def cos_opening(pairs: MuonPairs) -> FloatArray:
    """Cosine of the angle between the muons."""
    one, two = pairs.momenta
    return _ratio(one.dot(two), one.mag * two.mag)


@observable(r"$\pi-|\Delta\phi^*(\mu,\mu)|$")
def acoplanarity(pairs: MuonPairs) -> FloatArray:
    """How far the muons are from back to back in the plane across the beams, radian."""
    # Components along z taken away.
    one, two = (p - pairs.z_axis * p.dot(pairs.z_axis) for p in pairs.momenta)
    cosine = _ratio(one.dot(two), one.mag * two.mag)
    return np.asarray(np.pi - np.arccos(cosine.clip(-1, 1)))


@observable(r"$p^*(\mu\mu)$", 1)
def p_mumu(pairs: MuonPairs) -> FloatArray:
    """Momentum of the pair."""
    return np.asarray(pairs.both.mag)


@observable(r"$|\cos\theta^*(\mu\mu)|$")
def cos_mumu(pairs: MuonPairs) -> FloatArray:
    """Cosine of the pair's angle to the beams, without its sign."""
    return _ratio(np.abs(pairs.both.dot(pairs.z_axis)), pairs.both.mag)


@observable(r"$m(\mu\mu)$", 1, title="dimuon mass")
def m_mumu(pairs: MuonPairs) -> FloatArray:
    """Invariant mass of the pair."""
    return np.asarray((pairs.muons[0] + pairs.muons[1]).mass)


@observable(r"thrust of $\mu\mu$")
def thrust(pairs: MuonPairs) -> FloatArray:
    """Share of the momenta along the thrust axis."""
    return _ratio(pairs.thrust_axis.mag, pairs.momenta[0].mag + pairs.momenta[1].mag)


@observable(r"$|\cos\theta^*_\mathrm{thrust}|$")
def cos_thrust(pairs: MuonPairs) -> FloatArray:
    """Cosine of the thrust axis' angle to the beams, without its sign."""
    return _ratio(np.abs(pairs.thrust_axis.dot(pairs.z_axis)), pairs.thrust_axis.mag)


@observable(r"$\Delta E^*/\Sigma E^*$")
def energy_asymmetry(pairs: MuonPairs) -> FloatArray:
    """Difference of the muons' energies over their sum."""
    one, two = pairs.muons
    e_max, e_min = np.maximum(one.E, two.E), np.minimum(one.E, two.E)
    return np.asarray((e_max - e_min) / (e_max + e_min))


@observable(r"$|\cos\theta_\mathrm{hel}(\mu)|$")
def cos_helicity(pairs: MuonPairs) -> FloatArray:
    """Cosine of the angle, in the rest frame of the pair, between a muon and the pair's flight.

    Without its sign, which depends on the charge.
    """
    one, two = pairs.muons
    at_rest = one.boostCM_of_p4(one + two).to_Vector3D()
    return _ratio(np.abs(at_rest.dot(pairs.both)), at_rest.mag * pairs.both.mag)


#: What the baselines rank: the features of the paper and what might have replaced them, as it
#: was when the ranking was made. The squared recoil mass is none of them: windows in it are what
#: separates hypotheses, and a classifier that knew it would choose masses.
CANDIDATES = tuple(name for name in OBSERVABLES if name not in {"m2_recoil", "cos_helicity"})
