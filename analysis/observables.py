"""Observables of a muon pair: what features and window variables are chosen from.

Each is a named function of `MuonPairs`. A new one is a function below with the decorator
`observable`; a manifest can then name it. "Max" and "min" are the muons of larger and smaller
energy in the CMS, where all momenta are taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from punzinet.analysis.types import FloatArray

if TYPE_CHECKING:  # not at run time: `vector` is slow to import, and figures need only names
    from punzinet.analysis.features import MuonPairs

Dimension = Literal[0, 1, 2]
"""A power of GeV."""

#: How figures and plain text write the powers of GeV.
UNITS = {0: ("", ""), 1: ("GeV", "GeV"), 2: ("GeV$^2$", "GeV²")}

#: The features of Table 1, in the order of the columns of `DimuonKinematics.features`.
FEATURES = ("pt_thrust", "pt_mumin_mumax", "pl_mumin_mumax", "pt_mumu")


@dataclass(frozen=True)
class Quantity:
    r"""How a feature or a window variable is written.

    Attributes:
        name: Its name in manifest, tensors and histograms.
        label: How figures write it, such as ``$p^*_t(\mu^+\mu^-)$``.
        dimension: Power of GeV that it is.
        title: In words, such as ``squared recoil mass``.
        root: The mass that this is the square of, None where it is no square.
    """

    name: str
    label: str
    dimension: Dimension
    title: str
    root: "Quantity | None" = None

    @property
    def unit(self) -> str:
        """Its unit as figures write it; empty for a pure number."""
        return UNITS[self.dimension][0]

    @property
    def plain_unit(self) -> str:
        """Its unit in plain text."""
        return UNITS[self.dimension][1]

    @property
    def symbol(self) -> str:
        """Its label for use within mathtext."""
        return self.label.strip("$")

    @property
    def file_name(self) -> str:
        """Its title as the name of a file."""
        return self.title.replace(" ", "_")

    @property
    def axis_label(self) -> str:
        """Label of an axis, with the unit where there is one."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    @property
    def mass(self) -> "Quantity":
        """The quantity as a mass: itself, or its root if it is a squared mass."""
        if self.dimension == 1:
            return self
        root, title = rf"$\sqrt{{{self.symbol}}}$", f"root of the {self.title}"
        return self.root or Quantity(f"root_{self.name}", root, 1, title)

    def signed_mass(self, values: FloatArray) -> FloatArray:
        """Values of the quantity as masses in GeV; the root of a square keeps the sign."""
        if self.dimension == 1:
            return values
        return np.copysign(np.sqrt(np.abs(values)), values)


Compute = Callable[["MuonPairs"], FloatArray]
"""Values (n,) of n muon pairs."""


@dataclass(frozen=True)
class Observable:
    """A function of muon pairs, and the columns of the ntuples that it reads in `columns`."""

    quantity: Quantity
    compute: Compute
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
) -> Callable[[Compute], Compute]:
    """Make a function an observable that has the function's name.

    Args:
        label: How figures write it.
        dimension: Power of GeV that it is.
        title: In words, if it is to be a window variable.
        root: The mass that it is the square of, if any.
        columns: What it reads from `MuonPairs.columns`: branches of the ntuples with these names,
            unless the dataset says otherwise under `branches`.
    """

    def register(compute: Compute) -> Compute:
        name = compute.__name__
        quantity = Quantity(name, label, dimension, title or name, root)
        OBSERVABLES[name] = Observable(quantity, compute, columns)
        return compute

    return register


def _ratio(numerator: Any, denominator: Any) -> FloatArray:
    """Divide; 0 where the denominator is."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    ratio = np.zeros(len(numerator))
    np.divide(numerator, denominator, out=ratio, where=denominator != 0)
    return ratio


def _cosine(one: Any, other: Any) -> FloatArray:
    """Cosine of the angle between two vectors; 0 where one has no direction."""
    return _ratio(one.dot(other), one.mag * other.mag)


@observable(r"$p^*_{t,\mathrm{thrust}}(\mu)$", 1)
def pt_thrust(pairs: "MuonPairs") -> FloatArray:
    """Transverse momentum of a muon to the thrust axis of the pair."""
    return pairs.kinematics.features[:, 0]


@observable(r"$p^*_{t,\mu_\mathrm{min}}(\mu_\mathrm{max})$", 1)
def pt_mumin_mumax(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the larger muon transverse to the smaller one."""
    return pairs.kinematics.features[:, 1]


@observable(r"$p^*_{l,\mu_\mathrm{min}}(\mu_\mathrm{max})$", 1)
def pl_mumin_mumax(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the larger muon along the smaller one, signed."""
    return pairs.kinematics.features[:, 2]


@observable(r"$p^*_t(\mu^+\mu^-)$", 1)
def pt_mumu(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the pair transverse to the beams."""
    return pairs.kinematics.features[:, 3]


@observable(
    r"$M^2_\mathrm{rec}$",
    2,
    title="squared recoil mass",
    root=Quantity("m_recoil", r"$M_\mathrm{rec}$", 1, "recoil mass"),
)
def m2_recoil(pairs: "MuonPairs") -> FloatArray:
    """Squared mass recoiling against the pair; it can be negative."""
    return pairs.kinematics.m2_recoil


@observable(r"$p^*_{t,\mu_\mathrm{max}}(\mu_\mathrm{min})$", 1)
def pt_mumax_mumin(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the smaller muon transverse to the larger one."""
    one, two = pairs.momenta
    return _ratio(one.cross(two).mag, pairs.largest.mag)


@observable(r"$p^*_{l,\mu_\mathrm{max}}(\mu_\mathrm{min})$", 1)
def pl_mumax_mumin(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the smaller muon along the larger one, signed."""
    one, two = pairs.momenta
    return _ratio(one.dot(two), pairs.largest.mag)


@observable(r"$p^*(\mu_\mathrm{max})$", 1)
def p_mumax(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the larger muon."""
    return np.asarray(pairs.largest.mag)


@observable(r"$p^*(\mu_\mathrm{min})$", 1)
def p_mumin(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the smaller muon."""
    return np.asarray(pairs.smallest.mag)


@observable(r"$p^*_t(\mu_\mathrm{max})$", 1)
def pt_mumax(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the larger muon transverse to the beams."""
    return np.asarray(pairs.largest.cross(pairs.z_axis).mag)


@observable(r"$p^*_t(\mu_\mathrm{min})$", 1)
def pt_mumin(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the smaller muon transverse to the beams."""
    return np.asarray(pairs.smallest.cross(pairs.z_axis).mag)


@observable(r"$|\cos\theta^*(\mu_\mathrm{max})|$")
def cos_mumax(pairs: "MuonPairs") -> FloatArray:
    """Cosine of the larger muon's angle to the beams, without its sign."""
    return np.abs(_cosine(pairs.largest, pairs.z_axis))


@observable(r"$|\cos\theta^*(\mu_\mathrm{min})|$")
def cos_mumin(pairs: "MuonPairs") -> FloatArray:
    """Cosine of the smaller muon's angle to the beams, without its sign."""
    return np.abs(_cosine(pairs.smallest, pairs.z_axis))


@observable(r"$\cos\angle^*(\mu,\mu)$")
def cos_opening(pairs: "MuonPairs") -> FloatArray:
    """Cosine of the angle between the muons."""
    return _cosine(*pairs.momenta)


@observable(r"$\pi-|\Delta\phi^*(\mu,\mu)|$")
def acoplanarity(pairs: "MuonPairs") -> FloatArray:
    """How far the muons are from back to back in the plane across the beams, radian."""
    one, two = (p - pairs.z_axis * p.dot(pairs.z_axis) for p in pairs.momenta)
    return np.asarray(np.pi - np.arccos(_cosine(one, two).clip(-1, 1)))


@observable(r"$p^*(\mu\mu)$", 1)
def p_mumu(pairs: "MuonPairs") -> FloatArray:
    """Momentum of the pair."""
    return np.asarray(pairs.both.mag)


@observable(r"$|\cos\theta^*(\mu\mu)|$")
def cos_mumu(pairs: "MuonPairs") -> FloatArray:
    """Cosine of the pair's angle to the beams, without its sign."""
    return np.abs(_cosine(pairs.both, pairs.z_axis))


@observable(r"$m(\mu\mu)$", 1, title="dimuon mass")
def m_mumu(pairs: "MuonPairs") -> FloatArray:
    """Invariant mass of the pair."""
    return np.asarray((pairs.muons[0] + pairs.muons[1]).mass)


@observable(r"thrust of $\mu\mu$")
def thrust(pairs: "MuonPairs") -> FloatArray:
    """Share of the momenta along the thrust axis."""
    return _ratio(pairs.thrust_axis.mag, pairs.momenta[0].mag + pairs.momenta[1].mag)


@observable(r"$|\cos\theta^*_\mathrm{thrust}|$")
def cos_thrust(pairs: "MuonPairs") -> FloatArray:
    """Cosine of the thrust axis' angle to the beams, without its sign."""
    return np.abs(_cosine(pairs.thrust_axis, pairs.z_axis))


@observable(r"$\Delta E^*/\Sigma E^*$")
def energy_asymmetry(pairs: "MuonPairs") -> FloatArray:
    """Difference of the muons' energies over their sum."""
    one, two = pairs.muons
    return np.asarray(np.abs(one.E - two.E) / (one.E + two.E))


@observable(r"$|\cos\theta_\mathrm{hel}(\mu)|$")
def cos_helicity(pairs: "MuonPairs") -> FloatArray:
    """Cosine of the angle, in the rest frame of the pair, between a muon and the pair's flight.

    Without its sign, which depends on the charge.
    """
    one, two = pairs.muons
    return np.abs(_cosine(one.boostCM_of_p4(one + two).to_Vector3D(), pairs.both))


#: What the baselines rank: the features of the paper and what might have replaced them, as it
#: was when the ranking was made. A classifier that knew the squared recoil mass would choose
#: masses.
CANDIDATES = tuple(name for name in OBSERVABLES if name not in {"m2_recoil", "cos_helicity"})
