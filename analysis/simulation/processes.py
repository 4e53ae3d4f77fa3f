"""Which generators make up each process of the default data."""

from collections.abc import Sequence

from analysis.datasets import Simulated
from analysis.simulation.sampling import Generator
from analysis.simulation.signal import SignalGenerator
from analysis.types import FloatArray


def generators(process: Simulated, masses: FloatArray) -> Sequence[Generator]:
    """The generators whose events together are a process.

    Args:
        process: Its name in the manifest's `simulate`.
        masses: (H,) Z' masses, GeV, of which each is a generator of its own.
    """
    return [SignalGenerator(float(mass)) for mass in masses]
