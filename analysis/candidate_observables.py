"""Observables of a muon pair from which features can be chosen (Table 1 shows the best four).

All are functions of the two muon momenta in the centre-of-mass system (CMS). The squared recoil
mass is none of them: windows in it are what separates hypotheses, and a classifier that knew
it would choose masses. "Max" and "min" are the muons of larger and smaller energy there.
"""

from typing import Any

import numpy as np
import vector

from analysis.kinematics import FEATURES, Momenta, dimuon_kinematics
from analysis.simulation.constants import MUON_MASS
from analysis.types import FloatArray

#: Name of each observable, and how figures write it. The four features are the first ones.
OBSERVABLES = {
    "pt_thrust": r"$p^*_\mathrm{t,thrust}(\mu)$",
    "pt_mumin_mumax": r"$p^*_{\mathrm{t},\mu_\mathrm{min}}(\mu_\mathrm{max})$",
    "pl_mumin_mumax": r"$p^*_{\mathrm{l},\mu_\mathrm{min}}(\mu_\mathrm{max})$",
    "pt_mumu": r"$p^*_\mathrm{t}(\mu\mu)$",
    "pt_mumax_mumin": r"$p^*_{\mathrm{t},\mu_\mathrm{max}}(\mu_\mathrm{min})$",
    "pl_mumax_mumin": r"$p^*_{\mathrm{l},\mu_\mathrm{max}}(\mu_\mathrm{min})$",
    "p_mumax": r"$p^*(\mu_\mathrm{max})$",
    "p_mumin": r"$p^*(\mu_\mathrm{min})$",
    "pt_mumax": r"$p^*_\mathrm{t}(\mu_\mathrm{max})$",
    "pt_mumin": r"$p^*_\mathrm{t}(\mu_\mathrm{min})$",
    "cos_mumax": r"$|\cos\theta^*(\mu_\mathrm{max})|$",
    "cos_mumin": r"$|\cos\theta^*(\mu_\mathrm{min})|$",
    "cos_opening": r"$\cos\angle^*(\mu,\mu)$",
    "acoplanarity": r"$\pi-|\Delta\phi^*(\mu,\mu)|$",
    "p_mumu": r"$p^*(\mu\mu)$",
    "cos_mumu": r"$|\cos\theta^*(\mu\mu)|$",
    "m_mumu": r"$m(\mu\mu)$",
    "thrust": r"thrust of $\mu\mu$",
    "cos_thrust": r"$|\cos\theta^*_\mathrm{thrust}|$",
    "energy_asymmetry": r"$\Delta E^*/\Sigma E^*$",
}


def candidate_observables(
    mu_plus: Momenta, mu_minus: Momenta, beam: FloatArray, electron_direction: FloatArray
) -> FloatArray:
    """Compute all observables of every event.

    Args:
        mu_plus: Momentum of one muon in the laboratory, GeV.
        mu_minus: Momentum of the other.
        beam: Four-momentum (E, px, py, pz) of the beams in the laboratory, GeV: (4,) or (n, 4).
        electron_direction: (3,) direction of the electron beam in the laboratory.

    Returns:
        (n, O) `OBSERVABLES`, in GeV where they have a unit; cosines with an axis of no length
        are 0.
    """
    energy, px, py, pz = np.atleast_2d(np.asarray(beam, dtype=np.float64)).T
    total = vector.array({"px": px, "py": py, "pz": pz, "E": energy})
    one, two = (_muon(momenta).boostCM_of_p4(total) for momenta in (mu_plus, mu_minus))
    x, y, z = (np.full(1, value, dtype=np.float64) for value in electron_direction)
    axis: Any = vector.array({"px": x, "py": y, "pz": z, "mass": np.zeros(1)})
    z_axis = axis.boostCM_of_p4(total).to_Vector3D().unit()

    first = one.E >= two.E
    p1, p2 = one.to_Vector3D(), two.to_Vector3D()
    largest, smallest = _choose(first, p1, p2), _choose(first, p2, p1)
    e_max, e_min = np.maximum(one.E, two.E), np.minimum(one.E, two.E)
    both, apart = p1 + p2, p1 - p2
    thrust_axis = _choose(both.mag >= apart.mag, both, apart)
    crossed = p1.cross(p2).mag
    # In the plane across the beams: components along z taken away.
    across_1, across_2 = p1 - z_axis * p1.dot(z_axis), p2 - z_axis * p2.dot(z_axis)
    cos_azimuth = _ratio(across_1.dot(across_2), across_1.mag * across_2.mag)
    features = dimuon_kinematics(mu_plus, mu_minus, beam, electron_direction).features
    columns = {
        **dict(zip(FEATURES, features.T, strict=True)),
        "pt_mumax_mumin": _ratio(crossed, largest.mag),
        "pl_mumax_mumin": _ratio(p1.dot(p2), largest.mag),
        "p_mumax": largest.mag,
        "p_mumin": smallest.mag,
        "pt_mumax": largest.cross(z_axis).mag,
        "pt_mumin": smallest.cross(z_axis).mag,
        "cos_mumax": _ratio(np.abs(largest.dot(z_axis)), largest.mag),
        "cos_mumin": _ratio(np.abs(smallest.dot(z_axis)), smallest.mag),
        "cos_opening": _ratio(p1.dot(p2), p1.mag * p2.mag),
        "acoplanarity": np.pi - np.arccos(cos_azimuth.clip(-1, 1)),
        "p_mumu": both.mag,
        "cos_mumu": _ratio(np.abs(both.dot(z_axis)), both.mag),
        "m_mumu": (one + two).mass,
        "thrust": _ratio(thrust_axis.mag, p1.mag + p2.mag),
        "cos_thrust": _ratio(np.abs(thrust_axis.dot(z_axis)), thrust_axis.mag),
        "energy_asymmetry": (e_max - e_min) / (e_max + e_min),
    }
    return np.column_stack([columns[name] for name in OBSERVABLES])


def _muon(momenta: Momenta) -> Any:
    """Muon four-momenta in the laboratory from (px, py, pz)."""
    px, py, pz = (np.asarray(component, dtype=np.float64) for component in momenta)
    return vector.array({"px": px, "py": py, "pz": pz, "mass": np.full(len(px), MUON_MASS)})


def _choose(condition: Any, one: Any, other: Any) -> Any:
    """Momenta of `one` where a condition holds, of `other` elsewhere."""
    return vector.array(
        {name: np.where(condition, getattr(one, name), getattr(other, name)) for name in "xyz"}
    )


def _ratio(numerator: Any, denominator: Any) -> FloatArray:
    """Divide; 0 where the denominator is."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    ratio: FloatArray = np.zeros(shape)
    np.divide(numerator, denominator, out=ratio, where=denominator != 0)
    return ratio
