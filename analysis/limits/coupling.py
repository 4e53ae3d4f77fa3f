"""What else is known of the coupling g′ of a Z′ of L_μ − L_τ: published limits, and where it ends.

The Z′ couples with g′ to muons, taus and their neutrinos (He, Joshi, Lew and Volkas, PRD 43, R22).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator
from scipy.integrate import quad_vec

from punzinet.analysis.constants import MUON_MASS, TAU_MASS
from punzinet.analysis.io.files import InputError, read_yaml, reason
from punzinet.analysis.manifest.sections import Positive, Section
from punzinet.analysis.types import FloatArray

#: Limits that are shipped: no tables of these searches were to be had, only words of abstracts.
SHIPPED = tuple(sorted(Path(__file__).with_name("published").glob("*.yaml")))
#: Where the expansion in g′²/4π ends.
PERTURBATIVE = float(np.sqrt(4 * np.pi))
#: Measured minus predicted (g − 2)/2 of the muon, and its error: 116 592 059(22) · 10⁻¹¹
#: (arXiv:2308.06230), and 116 591 810(43) · 10⁻¹¹ of the Theory Initiative in 2020, which
#: published searches have in mind. With its prediction of 2025, 116 592 033(62) · 10⁻¹¹, the
#: difference is 26(66) · 10⁻¹¹ (arXiv:2505.21476): nothing to be explained, and no band.
MAGNETIC_MOMENT = 249e-11, 48e-11
BAND_SIGMAS = 2.0


class PublishedLimit(Section):
    """Upper limits that others have set, by mass."""

    source: str = Field(min_length=1)
    """where the numbers are from"""
    accuracy: str = ""
    """how well the numbers are known, if they are not those of a table"""
    label: str = Field(min_length=1, max_length=40)
    """how figures call them"""
    quantity: Literal["coupling", "cross_section"]
    """what they limit: g', or the cross-section times branching fraction in fb"""
    confidence_level: float = Field(gt=0.5, lt=1)
    """confidence level"""
    mass: tuple[Positive, ...] = Field(min_length=1)
    """masses in GeV, ascending"""
    limit: tuple[Positive, ...]
    """the limit at each of them"""

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        if len(self.mass) != len(self.limit):
            raise ValueError(f"there are {len(self.limit)} limits for {len(self.mass)} masses")
        if any(np.diff(self.mass) <= 0):
            raise ValueError("`mass` must ascend")
        return self


def read_published(paths: Sequence[Path]) -> list[PublishedLimit]:
    """Read YAML files of published limits; InputError if one is none."""
    found = []
    for path in paths:
        try:
            found.append(PublishedLimit.model_validate(read_yaml(path)))
        except ValidationError as error:
            raise InputError(
                f"{path} holds no published limits ({reason(error)}); it needs source, label, "
                "quantity (coupling or cross_section), confidence_level, and lists mass and limit."
            ) from error
    return found


def width_over_g2(mass: FloatArray) -> FloatArray:
    """Total width of the Z′ over g′² (H,) in GeV, at tree level, without decays to anything dark.

    g′² m/24π for either neutrino, which only has a left-handed state, and for each charged lepton
    g′² m/12π · (1 + 2r) √(1 − 4r), r = m_ℓ²/m², above its threshold.
    """
    width = 2 * mass / (24 * np.pi)
    for lepton in (MUON_MASS, TAU_MASS):
        r = np.minimum((lepton / mass) ** 2, 0.25)
        width = width + mass / (12 * np.pi) * (1 + 2 * r) * np.sqrt(1 - 4 * r)
    return width


def wide_coupling(mass: FloatArray, resolution: FloatArray) -> FloatArray:
    """g′ (H,) above which the Z′ is wider than the resolution (H,) of its mass in GeV."""
    return np.sqrt(resolution / width_over_g2(mass))


def magnetic_moment_over_g2(mass: FloatArray) -> FloatArray:
    """One-loop contribution of the Z′ to (g − 2)/2 of the muon over g′², (H,).

    1/8π² ∫₀¹ 2 m_μ² x² (1 − x) / (x² m_μ² + (1 − x) m²) dx (Baek, Deshpande, He and Ko,
    hep-ph/0104141).
    """
    ratio = (mass / MUON_MASS) ** 2

    def integrand(x: float) -> FloatArray:
        return 2 * x**2 * (1 - x) / (x**2 + (1 - x) * ratio)

    found, _ = quad_vec(integrand, 0, 1, epsrel=1e-9)
    return np.asarray(found / (8 * np.pi**2))


def magnetic_moment_band(mass: FloatArray) -> FloatArray:
    """Lower and upper g′ (2, H) with which the Z′ explains `MAGNETIC_MOMENT`, ± `BAND_SIGMAS`."""
    centre, error = MAGNETIC_MOMENT
    wanted = centre + BAND_SIGMAS * error * np.array([[-1.0], [1.0]])
    return np.asarray(np.sqrt(wanted / magnetic_moment_over_g2(mass)))
