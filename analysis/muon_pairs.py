"""Muon pairs of many events, with what several observables of them need."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.kinematics import DimuonKinematics, Momenta, dimuon_kinematics
from punzinet.analysis.types import FloatArray, IntArray


class MuonPairs:
    """Muon pairs of n events; what several observables need is computed once, at first use.

    Attributes:
        columns: Further columns of the ntuples, (n,) each.
    """

    def __init__(
        self,
        mu_plus: Momenta,
        mu_minus: Momenta,
        beam: FloatArray,
        electron_direction: FloatArray,
        columns: Mapping[str, FloatArray] | None = None,
    ) -> None:
        """Take the arguments of `dimuon_kinematics`.

        Args:
            mu_plus: Momentum of one muon, GeV.
            mu_minus: Momentum of the other.
            beam: Four-momentum (E, px, py, pz) of the beams in the same system, GeV: (4,) or
                (n, 4).
            electron_direction: (3,) direction of the electron beam in that system.
            columns: Further columns that observables read.
        """
        self._given = mu_plus, mu_minus, beam, electron_direction
        self.columns = dict(columns or {})

    def __len__(self) -> int:
        return len(self._given[0][0])

    def __getitem__(self, rows: IntArray) -> "MuonPairs":
        """Some of the pairs, with everything to be computed anew."""
        (one, two, beam, direction), columns = self._given, self.columns
        return MuonPairs(
            (one[0][rows], one[1][rows], one[2][rows]),
            (two[0][rows], two[1][rows], two[2][rows]),
            beam if beam.ndim == 1 else beam[rows],
            direction,
            {name: values[rows] for name, values in columns.items()},
        )

    @cached_property
    def kinematics(self) -> DimuonKinematics:
        """The features of the paper and the squared recoil mass."""
        return dimuon_kinematics(*self._given)

    @cached_property
    def total(self) -> Any:
        """Four-momentum of the beams, (1,) or (n,)."""
        beam = np.atleast_2d(np.asarray(self._given[2], dtype=np.float64))
        energy, px, py, pz = beam.T
        return _vectors({"px": px, "py": py, "pz": pz, "E": energy})

    @cached_property
    def z_axis(self) -> Any:
        """Unit vector of the electron beam in the CMS, (1,) or (n,)."""
        x, y, z = (np.full(1, value, dtype=np.float64) for value in self._given[3])
        axis: Any = _vectors({"px": x, "py": y, "pz": z, "mass": np.zeros(1)})
        return axis.boostCM_of_p4(self.total).to_Vector3D().unit()

    @cached_property
    def muons(self) -> tuple[Any, Any]:
        """CMS four-momenta of the two muons, in the order in which they were given."""
        one, two = (_muon(momenta).boostCM_of_p4(self.total) for momenta in self._given[:2])
        return one, two

    @cached_property
    def momenta(self) -> tuple[Any, Any]:
        """CMS three-momenta of the two muons, in the order in which they were given."""
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


def _vectors(components: Mapping[str, FloatArray]) -> Any:
    """Arrays of vectors from their components, under the names that `vector` knows."""
    import vector  # noqa: PLC0415 - slow to import, and the features of the paper do without

    return vector.array(dict(components))


def _muon(momenta: Momenta) -> Any:
    """Muon four-momenta from (px, py, pz)."""
    px, py, pz = (np.asarray(component, dtype=np.float64) for component in momenta)
    return _vectors({"px": px, "py": py, "pz": pz, "mass": np.full(len(px), MUON_MASS)})


def _choose(condition: Any, one: Any, other: Any) -> Any:
    """Momenta of `one` where a condition holds, of `other` elsewhere."""
    return _vectors(
        {name: np.where(condition, getattr(one, name), getattr(other, name)) for name in "xyz"}
    )
