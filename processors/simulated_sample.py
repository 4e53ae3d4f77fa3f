"""A dataset that is simulated: its chunks, the ntuple they make, and what is said of it."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import Dataset
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.ntuple import create_ntuple
from punzinet.analysis.simulation.sampling import (
    Chunk,
    Generator,
    Summary,
    background_chunks,
    needed_trials,
    repeated,
)
from punzinet.analysis.simulation.settings import Scale
from punzinet.analysis.simulation.signal import SignalGenerator

Task = tuple[Chunk, Generator]
Counts = dict[Chunk, Summary]
#: Reads the events of a chunk.
Events = Callable[[Chunk], NDArray[np.void]]


@dataclass(frozen=True, eq=False)
class Sample:
    """A dataset that is to be simulated.

    Attributes:
        dataset: Its description in the manifest.
        strata: The generators that together make up its process.
        chunks: All work, in the order in which it is written.
    """

    dataset: Dataset
    strata: Sequence[Generator]
    chunks: list[Chunk]

    def work(self) -> list[Task]:
        """Every chunk with its generator."""
        return [(chunk, self.strata[chunk.stratum]) for chunk in self.chunks]

    def production(self, pilot: Counts, luminosity: float) -> "Sample":
        """The sample with the chunks that its pilot run finds necessary.

        Args:
            pilot: Counts of the pilot run.
            luminosity: The luminosity of backgrounds, fb^-1.
        """
        chunks = []
        for stratum in range(len(self.strata)):
            trials = needed_trials(self.total(pilot, stratum), luminosity)
            chunks += background_chunks(self.dataset.name, stratum, trials, luminosity)
        return replace(self, chunks=chunks)

    def repeated(self, counts: Counts, luminosity: float) -> "Sample":
        """The sample with new chunks for every stratum that had too few trials.

        Args:
            counts: Counts of all chunks.
            luminosity: The luminosity of backgrounds, fb^-1.
        """
        if self.dataset.is_signal:
            return self
        chunks = []
        for stratum in range(len(self.strata)):
            own = [chunk for chunk in self.chunks if chunk.stratum == stratum]
            chunks += repeated(own, self.total(counts, stratum), luminosity)
        return replace(self, chunks=chunks)

    def total(self, counts: Counts, stratum: int | None = None) -> Summary:
        """Counts of all chunks, or of those of one stratum, added up in their order."""
        total = Summary()
        for chunk in self.chunks:
            if stratum is None or chunk.stratum == stratum:
                total.add(counts[chunk])
        return total

    def collect(
        self, events: Events, output: OutputFolder, detector: Detector, identity: Any
    ) -> None:
        """Write the events of all chunks to the dataset's ntuple.

        Args:
            events: Reads the events of a chunk.
            output: Where the ntuple lies.
            detector: The detector, which knows the beams.
            identity: What, with the dataset's name, tells this ntuple from any other.
        """
        name = self.dataset.name
        with create_ntuple(
            output.ntuple(name),
            f"{name} {identity}",
            zlib.crc32(name.encode()) >> 1,  # fits basf2's signed integer
            detector.beams,
            signal=self.dataset.is_signal,
        ) as ntuple:
            for chunk in self.chunks:
                ntuple.append(events(chunk))

    def record(self, counts: Counts, size: Scale) -> dict[str, Any]:
        """What was simulated, as JSON.

        Args:
            counts: Counts of all chunks.
            size: The size of the sample.
        """
        parts = [self.total(counts, stratum) for stratum in range(len(self.strata))]
        total = self.total(counts)
        normalisation: dict[str, Any]
        if self.dataset.is_signal:
            normalisation = {"generated": size.signal_events}
        else:
            values, errors = np.transpose([part.cross_section() for part in parts])
            normalisation = {
                "luminosity": size.luminosity,
                "cross_section_fb": _with_error(values.sum(), np.sqrt((errors**2).sum())),
            }
        return {
            "process": self.dataset.process,
            "entries": total.entries,
            **normalisation,
            "cutflow": [
                {"step": step, "events": events, "weight": weight}
                for step, (events, weight) in total.cutflow.items()
            ],
            "strata": [
                _stratum(generator, part)
                for generator, part in zip(self.strata, parts, strict=True)
            ],
        }


def _stratum(generator: Generator | SignalGenerator, counts: Summary) -> dict[str, Any]:
    """What was simulated with one generator, as JSON."""
    if isinstance(generator, SignalGenerator):
        return {
            "mass": generator.mass,
            "generated": counts.trials,
            "entries": counts.entries,
        }
    return {
        "name": generator.name,
        "trials": counts.trials,
        "entries": counts.entries,
        "largest_expectation": counts.largest,
        "cross_section_fb": _with_error(*counts.cross_section()),
    }


def _with_error(value: float, error: float) -> dict[str, float]:
    """A measured number as JSON."""
    return {"value": float(value), "error": float(error)}
