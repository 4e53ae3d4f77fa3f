"""Observables of a muon pair: what features and window variables are chosen from.

Each is a named function of `MuonPairs`, a row of the table below, which a manifest can name. "Max"
and "min" are the muons of larger and smaller energy in the CMS, where all momenta are taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from punzinet.analysis.types import FloatArray

if TYPE_CHECKING:  # not at run time: `vector` is slow to import, and figures need only names
    from punzinet.analysis.features import MuonPairs

Dimension = Literal[0, 1, 2]  # a power of GeV

#: The features of Table 1, in the order of the columns of `DimuonKinematics.features`.
FEATURES = ("pt_thrust", "pt_mumin_mumax", "pl_mumin_mumax", "pt_mumu")


@dataclass(frozen=True)
class Quantity:
    r"""How a feature or a window variable is written."""

    name: str  # in manifest, tensors and histograms
    label: str  # in figures, such as $p^*_t(\mu^+\mu^-)$
    dimension: Dimension
    title: str  # in words, such as "squared recoil mass"
    root: "Quantity | None" = None  # the mass that this is the square of, None if it is no square

    @property
    def unit(self) -> str:
        """Its unit as figures write it; empty for a pure number."""
        return ("", "GeV", "GeV$^2$")[self.dimension]

    @property
    def plain_unit(self) -> str:
        """Its unit in plain text."""
        return ("", "GeV", "GeV²")[self.dimension]

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


Compute = Callable[["MuonPairs"], FloatArray]  # values (n,) of n muon pairs


@dataclass(frozen=True)
class Observable:
    """A function of muon pairs."""

    quantity: Quantity
    compute: Compute


def _ratio(numerator: Any, denominator: Any) -> FloatArray:
    """Divide; 0 where the denominator is."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    ratio = np.zeros(len(numerator))
    np.divide(numerator, denominator, out=ratio, where=denominator != 0)
    return ratio


def _cosine(one: Any, other: Any) -> FloatArray:
    """Cosine of the angle between two vectors; 0 where one has no direction."""
    return _ratio(one.dot(other), one.mag * other.mag)


def _acoplanarity(pairs: "MuonPairs") -> FloatArray:
    """How far the muons are from back to back in the plane across the beams, radian."""
    one, two = (p - pairs.z_axis * p.dot(pairs.z_axis) for p in pairs.momenta)
    return np.asarray(np.pi - np.arccos(_cosine(one, two).clip(-1, 1)))


def _cos_helicity(pairs: "MuonPairs") -> FloatArray:
    """Cosine of the angle, in the rest frame of the pair, between a muon and the pair's flight."""
    one, two = pairs.muons
    return np.abs(_cosine(one.boostCM_of_p4(one + two).to_Vector3D(), pairs.both))


def _energy_asymmetry(pairs: "MuonPairs") -> FloatArray:
    one, two = (muon.E for muon in pairs.muons)
    return np.asarray(np.abs(one - two) / (one + two))


def _feature(column: int) -> Compute:
    return lambda pairs: pairs.kinematics.features[:, column]


_MIN, _MAX = r"\mu_\mathrm{min}", r"\mu_\mathrm{max}"
#: Label, power of GeV and function of each observable; what has a sign by the charge goes without.
_TABLE: dict[str, tuple[str, Dimension, Compute]] = {
    "pt_thrust": (r"$p^*_{t,\mathrm{thrust}}(\mu)$", 1, _feature(0)),
    "pt_mumin_mumax": (f"$p^*_{{t,{_MIN}}}({_MAX})$", 1, _feature(1)),
    "pl_mumin_mumax": (f"$p^*_{{l,{_MIN}}}({_MAX})$", 1, _feature(2)),
    "pt_mumu": (r"$p^*_t(\mu^+\mu^-)$", 1, _feature(3)),
    "m2_recoil": (r"$M^2_\mathrm{rec}$", 2, lambda p: p.kinematics.m2_recoil),
    "pt_mumax_mumin": (f"$p^*_{{t,{_MAX}}}({_MIN})$", 1,
     lambda p: _ratio(p.momenta[0].cross(p.momenta[1]).mag, p.largest.mag)),
    "pl_mumax_mumin": (f"$p^*_{{l,{_MAX}}}({_MIN})$", 1,
     lambda p: _ratio(p.momenta[0].dot(p.momenta[1]), p.largest.mag)),
    "p_mumax": (f"$p^*({_MAX})$", 1, lambda p: p.largest.mag),
    "p_mumin": (f"$p^*({_MIN})$", 1, lambda p: p.smallest.mag),
    "pt_mumax": (f"$p^*_t({_MAX})$", 1, lambda p: p.largest.cross(p.z_axis).mag),
    "pt_mumin": (f"$p^*_t({_MIN})$", 1, lambda p: p.smallest.cross(p.z_axis).mag),
    "cos_mumax": (rf"$|\cos\theta^*({_MAX})|$", 0, lambda p: np.abs(_cosine(p.largest, p.z_axis))),
    "cos_mumin": (rf"$|\cos\theta^*({_MIN})|$", 0, lambda p: np.abs(_cosine(p.smallest, p.z_axis))),
    "cos_opening": (r"$\cos\angle^*(\mu,\mu)$", 0, lambda p: _cosine(*p.momenta)),
    "acoplanarity": (r"$\pi-|\Delta\phi^*(\mu,\mu)|$", 0, _acoplanarity),
    "p_mumu": (r"$p^*(\mu\mu)$", 1, lambda p: p.both.mag),
    "cos_mumu": (r"$|\cos\theta^*(\mu\mu)|$", 0, lambda p: np.abs(_cosine(p.both, p.z_axis))),
    "m_mumu": (r"$m(\mu\mu)$", 1, lambda p: (p.muons[0] + p.muons[1]).mass),
    "thrust": (r"thrust of $\mu\mu$", 0,
     lambda p: _ratio(p.thrust_axis.mag, p.momenta[0].mag + p.momenta[1].mag)),
    "cos_thrust": (r"$|\cos\theta^*_\mathrm{thrust}|$", 0,
     lambda p: np.abs(_cosine(p.thrust_axis, p.z_axis))),
    "energy_asymmetry": (r"$\Delta E^*/\Sigma E^*$", 0, _energy_asymmetry),
    "cos_helicity": (r"$|\cos\theta_\mathrm{hel}(\mu)|$", 0, _cos_helicity),
}  # fmt: skip
_TITLES = {"m2_recoil": "squared recoil mass", "m_mumu": "dimuon mass"}
_ROOTS = {"m2_recoil": Quantity("m_recoil", r"$M_\mathrm{rec}$", 1, "recoil mass")}

#: All observables by name.
OBSERVABLES = {
    name: Observable(
        Quantity(name, label, dimension, _TITLES.get(name, name), _ROOTS.get(name)), compute
    )
    for name, (label, dimension, compute) in _TABLE.items()
}

#: What the baselines rank: the features of the paper and what might have replaced them, as it was
#: when the ranking was made. A classifier that knew the squared recoil mass would choose masses.
CANDIDATES = tuple(name for name in OBSERVABLES if name not in {"m2_recoil", "cos_helicity"})
