"""Which generators make up each process of the default data."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from analysis.datasets import Simulated
from analysis.simulation import mumugamma
from analysis.simulation.detector import Detector, polar_angle, transform
from analysis.simulation.mumugamma import HardestPhoton
from analysis.simulation.mumugamma_sampling import MISSED
from analysis.simulation.sampling import Generator
from analysis.simulation.signal import SignalGenerator
from analysis.simulation.taupair import TauPairGenerator
from analysis.types import FloatArray

FRACTIONS: Final = (0.35, 0.7)
"""Energies of the hardest photon over that of a beam at which strata are cut."""
MARGIN: Final = 1.5
"""Degrees by which strata about a gap are wider than it: softer photons turn the hardest one."""


def generators(process: Simulated, masses: FloatArray, detector: Detector) -> Sequence[Generator]:
    """The generators whose events together are a process.

    Where one sampling density cannot serve a process, its phase space is cut into strata, each
    with a generator and a number of trials of its own.

    Args:
        process: Its name in the manifest's `simulate`.
        masses: (H,) Z' masses, GeV, of which each is a generator of its own.
        detector: What sees the events; strata follow its geometry.
    """
    match process:
        case "signal":
            return [SignalGenerator(float(mass)) for mass in masses]
        case "tautau":
            return [TauPairGenerator(detector.settings.muons.pion_misidentification)]
        case "mumugamma":
            strata = mumugamma.strata(detector)
            return [part for stratum in strata for part in finer(stratum, detector)]
        case "eemumu":
            raise NotImplementedError


def finer(stratum: HardestPhoton, detector: Detector) -> list[HardestPhoton]:
    """Cut a stratum of missed photons where the reason why they are missed changes.

    The largest weight decides how many trials a stratum needs. It is set by rare events, such as
    a photon aimed at the barrel that others turn into a hole, and is too large for photons that
    aim at the hole, which are a thousand times more frequent.

    Args:
        stratum: Muon pairs with the hardest photon in a range of energies and angles.
        detector: Its calorimeter has holes along the beams, and gaps.

    Returns:
        Strata that together are the same; just this one if its photons are seen.
    """
    if stratum.region != MISSED:
        return [stratum]
    calorimeter = detector.settings.calorimeter
    forward, backward = calorimeter.polar_range
    # half a degree about the holes, whose edges are where most of the recoils come from
    degrees = [forward / 3, forward - 0.5, forward + 0.5]
    degrees += [backward - 0.5, backward + 0.5, 180 - (180 - backward) / 2]
    degrees += [180 - (180 - backward) / 4]
    for first, last in calorimeter.gaps:
        degrees += [first - MARGIN, last + MARGIN]
    angle = np.radians(degrees)
    light = np.stack([np.ones_like(angle), 0 * angle, np.sin(angle), np.cos(angle)], axis=-1)
    cosine = np.cos(polar_angle(transform(light, detector.from_laboratory)))
    return [
        replace(
            stratum,
            name=f"{stratum.name}, {x[0]:.2f} < x < {x[1]:.2f}, {y[0]:.4f} < 1 - cos < {y[1]:.4f}",
            fraction=x,
            opening=y,
        )
        for x in pairwise(_cut(stratum.fraction, FRACTIONS))
        for y in pairwise(_cut(stratum.opening, (1 - cosine).tolist()))
    ]


def _cut(ends: tuple[float, float], edges: Sequence[float]) -> list[float]:
    """Both ends of a range, and between them the edges that lie inside, ascending."""
    return [ends[0], *sorted(edge for edge in edges if ends[0] < edge < ends[1]), ends[1]]
