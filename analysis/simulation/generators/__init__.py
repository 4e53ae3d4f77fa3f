"""Generators of all processes, in the centre-of-mass system of the beams."""

from collections.abc import Sequence

from punzinet.analysis.manifest.datasets import Simulated
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.events import Generator
from punzinet.analysis.simulation.generators import mumugamma, twophoton
from punzinet.analysis.simulation.generators.signal import SignalGenerator
from punzinet.analysis.simulation.generators.taupair import TauPairGenerator
from punzinet.analysis.types import FloatArray


def generators(process: Simulated, masses: FloatArray, detector: Detector) -> Sequence[Generator]:
    """The strata whose events together are a process; of the signal, one a Z' mass (GeV)."""
    match process:
        case "signal":
            return [SignalGenerator(float(mass)) for mass in masses]
        case "tautau":
            return [TauPairGenerator(detector.pion_misidentification)]
        case "mumugamma":
            return mumugamma.strata(detector)
        case "eemumu":
            return twophoton.strata(detector)
