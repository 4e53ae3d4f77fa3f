"""Which generators make up each process of the default data."""

from collections.abc import Sequence

from punzinet.analysis.manifest.datasets import Simulated
from punzinet.analysis.simulation import mumugamma, twophoton
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.sampling import Generator
from punzinet.analysis.simulation.signal import SignalGenerator
from punzinet.analysis.simulation.taupair import TauPairGenerator
from punzinet.analysis.types import FloatArray


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
            return mumugamma.strata(detector)
        case "eemumu":
            return twophoton.strata(detector)
