"""Make the default data: chunks on all workers, then one ROOT file a dataset.

The result does not depend on the number of workers: every chunk has its own seed, and the
chunks are written in their order, whichever was ready first.
"""

import itertools
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from coffea.processor.executor import ExecutorBase

from analysis.datasets import Dataset, Simulated
from analysis.errors import InputError
from analysis.files import write_json
from analysis.manifest import Manifest
from analysis.output import OutputFolder
from analysis.provenance import provenance
from analysis.simulation.detector import Detector
from analysis.simulation.ntuple import create_ntuple
from analysis.simulation.processes import generators
from analysis.simulation.sampling import (
    Chunk,
    Generator,
    Summary,
    background_chunks,
    chunk_file,
    explore,
    integrate,
    needed_trials,
    pilot_chunks,
    produce,
    repeated,
)
from analysis.simulation.settings import Scale
from analysis.simulation.signal import SignalGenerator
from analysis.types import FloatArray

ATTEMPTS = 3
"""How often a stratum is simulated again because its pilot run missed the largest weights."""

Work = tuple[Chunk, Generator]
Counts = dict[Chunk, Summary]


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

    def work(self) -> list[Work]:
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
        self, folder: Path, output: OutputFolder, detector: Detector, identity: Any
    ) -> None:
        """Write the chunks that lie in `folder` to the dataset's ntuple.

        Args:
            folder: Where the workers left them.
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
                ntuple.append(np.load(chunk_file(folder, chunk)))

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


@dataclass(frozen=True)
class Simulation:
    """What all datasets share.

    Attributes:
        size: How much to simulate.
        detector: What sees the events.
        seed: Seed of everything.
        executor: What runs the chunks, one of coffea's.
    """

    size: Scale
    detector: Detector
    seed: int
    executor: ExecutorBase

    def plan(self, dataset: Dataset, process: Simulated, masses: FloatArray) -> Sample:
        """All chunks of a signal dataset, and those of the pilot run of a background.

        Args:
            dataset: What to make.
            process: Says which generators make it.
            masses: (H,) Z' masses, GeV.
        """
        strata = generators(process, masses, self.detector)
        chunks = []
        for i in range(len(strata)):
            if dataset.is_signal:
                chunks.append(Chunk(dataset.name, i, 0, self.size.signal_events))
            else:
                chunks += pilot_chunks(dataset.name, i, self.size.luminosity)
        return Sample(dataset, strata, chunks)

    def explore(self, samples: list[Sample]) -> list[Sample]:
        """Replace the pilot run of every background by as many trials as that finds necessary."""
        pilots = [sample for sample in samples if not sample.dataset.is_signal]
        function = partial(explore, detector=self.detector, seed=self.seed)
        work = _alternating(pilots)
        counts = _run(self.executor, "Exploring weights", work, function)
        return [
            sample.production(counts, self.size.luminosity) if sample in pilots else sample
            for sample in samples
        ]

    def produce(self, samples: list[Sample], folder: Path) -> tuple[list[Sample], Counts]:
        """Simulate all chunks, and again those strata that turn out to need more trials.

        Args:
            samples: All datasets and their chunks.
            folder: Where the events of the chunks are left.

        Returns:
            The datasets with the chunks that count in the end, and the counts of all chunks.
        """
        function = partial(produce, detector=self.detector, seed=self.seed, folder=folder)
        work = _alternating(samples)
        counts: Counts = _run(self.executor, "Simulating events", work, function)
        for _ in range(ATTEMPTS):
            samples = [sample.repeated(counts, self.size.luminosity) for sample in samples]
            work = [item for item in _alternating(samples) if item[0] not in counts]
            counts |= _run(self.executor, "Simulating again with more trials", work, function)
        return samples, counts

    def cross_sections(self, masses: FloatArray) -> dict[str, dict[str, float]]:
        """Cross-section of the signal at (H,) masses without radiation, as JSON."""
        function = partial(integrate, sqrt_s=self.detector.beams.sqrt_s, seed=self.seed)
        values = _run(self.executor, "Integrating cross-sections", masses.tolist(), function)
        return {
            f"{mass:g}": {"sigma_over_g2_fb": values[mass][0], "error": values[mass][1]}
            for mass in masses.tolist()
        }


def simulate(
    manifest: Manifest, scale: str, output: OutputFolder, executor: ExecutorBase
) -> list[Path]:
    """Simulate all datasets that ask for it, and write their ntuples and the record of them.

    Args:
        manifest: Datasets, masses, beams and settings of the simulation.
        scale: Which of the manifest's scales.
        output: Where everything lies.
        executor: What runs the chunks, one of coffea's.

    Returns:
        All files that were written.

    Raises:
        InputError: If there is no such scale, or the output folder cannot be written to.
    """
    settings = manifest.simulation
    simulation = Simulation(
        settings.size(scale), Detector(settings.detector, manifest.beams), settings.seed, executor
    )
    origin = provenance(manifest.digest, scale=scale, simulation=settings.model_dump(mode="json"))
    masses = manifest.hypotheses.mass
    record = {}
    with _chunk_folder(output) as folder:
        samples = [
            simulation.plan(dataset, dataset.simulate, masses)
            for dataset in manifest.datasets.values()
            if dataset.simulate
        ]
        samples = simulation.explore(samples)
        samples, counts = simulation.produce(samples, folder)
        for sample in samples:
            sample.collect(folder, output, simulation.detector, identity=origin["settings"])
            record[sample.dataset.name] = sample.record(counts, simulation.size)
    write_json(output.simulation_record, {"provenance": origin, "datasets": record})
    written = [output.ntuple(sample.dataset.name) for sample in samples]
    written.append(output.simulation_record)
    if any(sample.dataset.is_signal for sample in samples):
        written.append(output.simulation / "cross_sections.json")
        write_json(written[-1], simulation.cross_sections(masses))
    return written


def _alternating(samples: Sequence[Sample]) -> list[Work]:
    """All work, one piece of each dataset in turn.

    Workers that begin with different processes do not all compile the same code first.
    """
    turns = itertools.zip_longest(*(sample.work() for sample in samples))
    return [item for turn in turns for item in turn if item is not None]


def _run(executor: ExecutorBase, title: str, work: list[Any], function: Any) -> dict[Any, Any]:
    """Run a function over all work and merge what it returns.

    Args:
        executor: One of coffea's.
        title: What the progress bar says.
        work: What the function takes, one piece at a time.
        function: Returns a dictionary whose keys no other piece of work has.
    """
    if not work:
        return {}
    # Results are small, and uncompressed they spare the workers an import of coffea.
    run = executor.copy(desc=title, unit="chunks", compression=None)
    results, _ = run(work, function, {})
    merged: dict[Any, Any] = results
    return merged


@contextmanager
def _chunk_folder(output: OutputFolder) -> Iterator[Path]:
    """An empty folder for chunks beside the ntuples, removed at the end.

    Its name is always the same, so that what a killed run left behind is removed, too.

    Raises:
        InputError: If the folder cannot be made.
    """
    folder = output.simulation_record.parent / ".chunks"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"Cannot write to {folder.parent}: {error.strerror}. Make the folder writable, or "
            "choose another with --output (OUTPUT= for make)."
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
