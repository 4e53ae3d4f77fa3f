"""Which generators make up each process of the default data.

Where one sampling density cannot serve a process, its phase space is cut into strata, each with
a generator and a number of trials of its own. The edges follow the detector: a photon that the
calorimeter sees is lost once in a thousand times, in a gap every third time, along a beam always.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from analysis.datasets import Simulated
from analysis.simulation.detector import Detector, polar_angle, transform
from analysis.simulation.mumugamma import HardestPhoton
from analysis.simulation.sampling import Generator
from analysis.simulation.signal import SignalGenerator
from analysis.simulation.taupair import TauPairGenerator
from analysis.types import FloatArray

PHOTON_FRACTIONS: Final = (0.05, 0.1, 0.2, 0.6, 1.0)
"""Edges of the hardest photon's energy over that of a beam, in radiative muon pairs.

Muon pairs without a photon above the first edge do not pass the preselection: of 12 million
generated, none did, which is less than 8 events in 50 fb^-1 (95 % confidence level).
"""
_MARGIN: Final = 1.0
"""Degrees by which strata reach beyond a gap: softer photons turn the hardest one a little."""


def generators(process: Simulated, masses: FloatArray, detector: Detector) -> Sequence[Generator]:
    """The generators whose events together are a process.

    Args:
        process: Its name in the manifest's `simulate`.
        masses: (H,) Z' masses, GeV, of which each is a generator of its own.
        detector: What sees the events.
    """
    match process:
        case "signal":
            return [SignalGenerator(float(mass)) for mass in masses]
        case "tautau":
            return [TauPairGenerator(detector.settings.muons.pion_misidentification)]
        case "mumugamma":
            return [
                HardestPhoton(f"photon {x[0]:g} to {x[1]:g}, {place}", x, y)
                for x in pairwise(PHOTON_FRACTIONS)
                for place, y in photon_regions(detector).items()
            ]
        case "eemumu":
            raise NotImplementedError


def photon_regions(detector: Detector) -> dict[str, tuple[float, float]]:
    """Regions of the photon direction with different chances to be lost.

    Args:
        detector: Its calorimeter has two gaps, which part barrel and end caps.

    Returns:
        Name and range of 1 - cos of the polar angle in the CMS, adjoining, from 0 to 2.
    """
    calorimeter = detector.settings.calorimeter
    first, last = calorimeter.polar_range
    forward, backward = sorted(calorimeter.gaps)
    edges = [
        0.0,
        first / 2,
        first - _MARGIN / 2,
        first + _MARGIN,
        forward[0] - _MARGIN,
        forward[1] + _MARGIN,
        backward[0] - _MARGIN,
        backward[1] + _MARGIN,
        last - _MARGIN,
        last + _MARGIN / 2,
        180.0 - (180.0 - last) / 2,
        180.0,
    ]
    names = [
        "deep in the forward hole",
        "in the forward hole",
        "at the edge of the forward hole",
        "in the forward end cap",
        "about the forward gap",
        "in the barrel",
        "about the backward gap",
        "in the backward end cap",
        "at the edge of the backward hole",
        "in the backward hole",
        "deep in the backward hole",
    ]
    angle = np.radians(edges)
    zero = np.zeros_like(angle)
    light = np.stack([zero + 1, zero, np.sin(angle), np.cos(angle)], axis=-1)
    opening = 1 - np.cos(polar_angle(transform(light, detector.from_laboratory)))
    opening[0], opening[-1] = 0.0, 2.0  # the crossing angle leaves the ends not quite there
    return dict(zip(names, pairwise(opening.tolist()), strict=True))
