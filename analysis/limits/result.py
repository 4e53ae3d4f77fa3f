"""The expected upper limits of all hypotheses: the result, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json, write_json
from punzinet.analysis.limits.asymptotic import BANDS
from punzinet.analysis.manifest.hypotheses import is_training
from punzinet.analysis.types import BoolArray, FloatArray
from punzinet.analysis.windows import mass_index


@dataclass(frozen=True, eq=False)
class SelectionLimits:
    """Limits behind one selection, for each of H hypotheses.

    Attributes:
        network: Name of the network.
        efficiency: (H,) signal efficiency.
        background: (H,) expected background events, as the statistical model has them.
        effective_events: (H,) effective number of simulated events behind that.
        asymptotic: (H, 5) limits on the cross-section in fb at `BANDS` by the asymptotic
            formulas; infinite without efficiency.
        counting: (H, 5) the same by exact Poisson sums.
    """

    network: str
    efficiency: FloatArray
    background: FloatArray
    effective_events: FloatArray
    asymptotic: FloatArray
    counting: FloatArray


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits behind several selections.

    Attributes:
        mass: (H,) masses of the hypotheses in GeV.
        training: (H,) which of them the networks were trained on.
        luminosity: Target luminosity in fb^-1.
        confidence_level: Such as 0.9.
        sigma_over_g2: (H,) cross-section over g′² in fb; NaN where it is not known.
        selections: ``single`` (one cut) and, where there is a network for it, ``best`` (the
            best cut of each mass).
    """

    mass: FloatArray
    training: BoolArray
    luminosity: float
    confidence_level: float
    sigma_over_g2: FloatArray
    selections: dict[str, SelectionLimits]

    def coupling(self, cross_section: FloatArray) -> FloatArray:
        """Turn limits on the cross-section into limits on g′, for a branching fraction of 1.

        Args:
            cross_section: (H, …) in fb.

        Returns:
            Couplings of the same shape; NaN where σ/g′² is not known.
        """
        per_coupling = self.sigma_over_g2.reshape(-1, *(1,) * (cross_section.ndim - 1))
        return np.sqrt(cross_section / per_coupling)

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write limits.json; what is infinite or unknown there is null.

        Raises:
            InputError: If the folder cannot be written to.
        """
        content = {
            "provenance": dict(provenance),
            "luminosity": self.luminosity,
            "confidence_level": self.confidence_level,
            "bands": BANDS.tolist(),
            "hypotheses": [
                {
                    "mass": float(mass),
                    "role": "training" if training else "validation",
                    "sigma_over_g2_fb": _to_json(ratio),
                }
                for mass, training, ratio in zip(
                    self.mass, self.training, self.sigma_over_g2, strict=True
                )
            ],
            "selections": {
                name: {
                    "network": selection.network,
                    **{key: _to_json(getattr(selection, key)) for key in _COLUMNS},
                }
                for name, selection in self.selections.items()
            },
        }
        write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read limits.json.

        Raises:
            InputError: If the file is absent or does not hold limits.
        """
        content = read_json(path, "punzinet limits")
        try:
            rows = content["hypotheses"]
            return cls(
                mass=np.array([row["mass"] for row in rows], dtype=np.float64),
                training=np.array([is_training(row["role"]) for row in rows], dtype=bool),
                luminosity=float(content["luminosity"]),
                confidence_level=float(content["confidence_level"]),
                sigma_over_g2=np.array([row["sigma_over_g2_fb"] for row in rows], np.float64),
                selections={
                    name: SelectionLimits(
                        network=str(selection["network"]),
                        **{
                            key: _column(selection[key], (len(rows), *shape))
                            for key, shape in _COLUMNS.items()
                        },
                    )
                    for name, selection in content["selections"].items()
                },
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} does not hold the limits of this software ({error!r}); delete it and run "
                "`punzinet limits` again."
            ) from error


#: Columns of `SelectionLimits`, and their shape behind that of the hypotheses.
_COLUMNS: dict[str, tuple[int, ...]] = {
    "efficiency": (),
    "background": (),
    "effective_events": (),
    "asymptotic": (len(BANDS),),
    "counting": (len(BANDS),),
}


def _to_json(values: FloatArray) -> Any:
    """Nested lists of numbers, null for what is not finite."""
    nested = np.asarray(values, dtype=object)
    nested[~np.isfinite(values)] = None
    return nested.tolist()


def _column(values: Any, shape: tuple[int, ...]) -> FloatArray:
    """Read a column; null is infinite.

    Raises:
        ValueError: If it has not this shape.
    """
    column = np.array(values, dtype=np.float64)
    if column.shape != shape:
        raise ValueError(f"a column has the shape {column.shape} instead of {shape}")
    return np.where(np.isnan(column), np.inf, column)


def read_sigma_over_g2(path: Path, mass: FloatArray) -> FloatArray:
    """Read cross-sections over g′² and find those of the hypotheses by their mass.

    Args:
        path: JSON, ``{"0.5": {"sigma_over_g2_fb": 2.0e5}, …}`` with masses in GeV.
        mass: (H,) masses in GeV.

    Returns:
        (H,) in fb, NaN for masses that the file does not have.

    Raises:
        InputError: If the file cannot be read or holds something else.
    """
    content = read_json(path, "punzinet simulate")
    try:
        known = {float(key): _positive(row["sigma_over_g2_fb"]) for key, row in content.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not hold cross-sections by mass ({error!r}); it should read like "
            '{"0.5": {"sigma_over_g2_fb": 2.0e5}}.'
        ) from error
    if not known:
        return np.full(len(mass), np.nan)
    masses = np.array(sorted(known))
    found = mass_index(masses, mass)
    values = np.array([known[m] for m in masses])
    return np.where(found >= 0, values[found], np.nan)


def _positive(value: Any) -> float:
    """A cross-section as a number.

    Raises:
        ValueError: If it is not positive and finite.
    """
    number = float(value)
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{number:g} is no cross-section")
    return number
