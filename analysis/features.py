"""The two muons of an event: the four features of Table 1 (arXiv:2110.00810) and M²_rec."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import vector

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.types import FloatArray, IntArray

Momenta = Sequence[FloatArray]  # momentum components (px, py, pz) of n muons, (n,) each, in GeV


class DimuonKinematics(NamedTuple):
    """(n, 4) features (`FEATURES`, CMS, GeV) and (n,) squared recoil mass, GeV², maybe negative."""

    features: FloatArray
    m2_recoil: FloatArray


@njit(inline="always")
def _muon(momenta: Momenta, i: int) -> Any:
    px, py, pz = momenta
    return vector.obj(
        px=np.float64(px[i]), py=np.float64(py[i]), pz=np.float64(pz[i]), mass=MUON_MASS
    )


@njit(inline="always")
def _beam(total: FloatArray) -> Any:
    return vector.obj(E=total[0], px=total[1], py=total[2], pz=total[3])


@njit(inline="always")
def _ratio(numerator: float, denominator: float) -> float:
    """Divide; 0 with respect to a muon at rest, which has no direction."""
    return numerator / denominator if denominator != 0 else 0.0


@njit(inline="always")
def _table_1(mu1: Any, mu2: Any, beam: Any, electron: Any) -> tuple[float, ...]:
    """Compute the features and the squared recoil mass of one event."""
    velocity = beam.to_beta3()
    p1 = mu1.boostCM_of_beta3(velocity).to_Vector3D()
    p2 = mu2.boostCM_of_beta3(velocity).to_Vector3D()
    z_axis = electron.boostCM_of_beta3(velocity).to_Vector3D().unit()
    p_min = min(p1.mag, p2.mag)
    thrust = max((p1 + p2).mag, (p1 - p2).mag)
    return (
        _ratio(p1.cross(p2).mag, thrust),  # pt_thrust
        _ratio(p1.cross(p2).mag, p_min),  # pt_mumin_mumax
        _ratio(p1.dot(p2), p_min),  # pl_mumin_mumax
        (p1 + p2).cross(z_axis).mag,  # pt_mumu
        (beam - mu1 - mu2).mass2,  # m2_recoil
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _of_events(muons: Any, beams: FloatArray, direction: FloatArray) -> FloatArray:
    """`_table_1` of all events, (5, n), which have the same beams, or each its own.

    The compiler takes the same boost out of the loop and computes several events at once, in a
    seventh of the time: as long as arrays are indexed and not unpacked, and stored to at the end.
    """
    f = np.empty((5, len(muons[0][0])))
    electron = vector.obj(px=direction[0], py=direction[1], pz=direction[2], mass=0.0)
    if len(beams) == 1:
        beam = _beam(beams[0])
        for i in range(f.shape[1]):
            mu1, mu2 = _muon(muons[0], i), _muon(muons[1], i)
            f[0, i], f[1, i], f[2, i], f[3, i], f[4, i] = _table_1(mu1, mu2, beam, electron)
    else:
        for i in range(f.shape[1]):
            mu1, mu2, beam = _muon(muons[0], i), _muon(muons[1], i), _beam(beams[i])
            f[0, i], f[1, i], f[2, i], f[3, i], f[4, i] = _table_1(mu1, mu2, beam, electron)
    return f


def dimuon_kinematics(
    mu_plus: Momenta, mu_minus: Momenta, beam: FloatArray, electron_direction: FloatArray
) -> DimuonKinematics:
    """Compute the four features and the squared recoil mass of n events.

    Everything is given in one system, such as the laboratory: the momenta of the muons, which may
    be exchanged; the four-momentum (E, px, py, pz) of the colliding beams in GeV, (4,) or (n, 4);
    and the direction (3,) of the electron beam, which boosted to the CMS is the z axis there.
    Everything is computed in double precision; what is not finite stays so.
    """
    kind = np.float32 if np.result_type(*mu_plus, *mu_minus) == np.float32 else np.float64
    mu1, mu2 = (tuple(np.ascontiguousarray(p, kind) for p in mu) for mu in (mu_plus, mu_minus))
    given = np.atleast_2d(beam), electron_direction
    beams, axis = (np.ascontiguousarray(values, dtype=np.float64) for values in given)
    found = _of_events((mu1, mu2), beams, axis)
    return DimuonKinematics(found[:4].T, found[4])


@dataclass(frozen=True, eq=False)
class MuonPairs:
    """Muon pairs of n events, as arrays of `vector`; what observables share is computed once.

    What it is made of are the arguments of `dimuon_kinematics`, and further columns of the ntuples.
    """

    mu_plus: Momenta
    mu_minus: Momenta
    beam: FloatArray
    electron_direction: FloatArray
    columns: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.mu_plus[0])

    def __getitem__(self, rows: IntArray) -> "MuonPairs":
        """Some of the pairs, with everything to be computed anew."""
        plus, minus = ([values[rows] for values in muon] for muon in (self.mu_plus, self.mu_minus))
        beam = self.beam if self.beam.ndim == 1 else self.beam[rows]
        columns = {name: values[rows] for name, values in self.columns.items()}
        return replace(self, mu_plus=plus, mu_minus=minus, beam=beam, columns=columns)

    @cached_property
    def kinematics(self) -> DimuonKinematics:
        """What is computed in one loop."""
        return dimuon_kinematics(self.mu_plus, self.mu_minus, self.beam, self.electron_direction)

    @cached_property
    def z_axis(self) -> Any:
        """Unit vector of the electron beam in the CMS, (1,) or (n,)."""
        return self._in_cms([*self.electron_direction[:, np.newaxis]], 0.0).to_Vector3D().unit()

    @cached_property
    def muons(self) -> tuple[Any, Any]:
        """CMS four-momenta of the two muons, in the order in which they were given."""
        return self._in_cms(self.mu_plus, MUON_MASS), self._in_cms(self.mu_minus, MUON_MASS)

    @cached_property
    def momenta(self) -> tuple[Any, Any]:
        """CMS three-momenta of the two muons, likewise."""
        one, two = self.muons
        return one.to_Vector3D(), two.to_Vector3D()

    @cached_property
    def largest(self) -> Any:
        """CMS momentum of the muon of larger energy."""
        return _choose(self.muons[0].E >= self.muons[1].E, *self.momenta)

    @cached_property
    def smallest(self) -> Any:
        """CMS momentum of the muon of smaller energy."""
        return _choose(self.muons[0].E >= self.muons[1].E, *self.momenta[::-1])

    @cached_property
    def both(self) -> Any:
        """CMS momentum of the pair."""
        return self.momenta[0] + self.momenta[1]

    @cached_property
    def thrust_axis(self) -> Any:
        """Sum or difference of the two CMS momenta, whichever is longer."""
        apart = self.momenta[0] - self.momenta[1]
        return _choose(self.both.mag >= apart.mag, self.both, apart)

    def _in_cms(self, momenta: Momenta, mass: float) -> Any:
        """Four-momenta of particles of one mass, boosted from the system that is given."""
        energy, px, py, pz = np.atleast_2d(np.asarray(self.beam, dtype=np.float64)).T
        total = vector.array({"px": px, "py": py, "pz": pz, "E": energy})
        px, py, pz = (np.asarray(values, dtype=np.float64) for values in momenta)
        given: Any = vector.array({"px": px, "py": py, "pz": pz, "mass": np.full(len(px), mass)})
        return given.boostCM_of_p4(total)


def _choose(condition: Any, one: Any, other: Any) -> Any:
    chosen = {x: np.where(condition, getattr(one, x), getattr(other, x)) for x in "xyz"}
    return vector.array(chosen)
