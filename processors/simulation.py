"""Make the default data: chunks on all workers, then one ROOT file a dataset.

The result does not depend on the number of workers: every chunk has its own seed, and the
chunks are written in their order, whichever was ready first.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from coffea.processor.executor import ExecutorBase
from numpy.typing import NDArray

from punzinet.analysis.io.files import checksum, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.provenance import digest, git_commit, provenance, versions
from punzinet.analysis.io.records import Record
from punzinet.analysis.manifest.datasets import Dataset, Simulated
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.processes import generators
from punzinet.analysis.simulation.sampling import (
    EVENT,
    Chunk,
    Generator,
    Summary,
    integrate,
    pilot_chunks,
    produce,
)
from punzinet.analysis.simulation.settings import Scale
from punzinet.analysis.simulation.signal import SignalGenerator
from punzinet.analysis.types import FloatArray
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Ledger, Step, Work
from punzinet.processors.simulated_sample import Counts, Events, Sample, Task

ATTEMPTS = 3
"""How often a stratum is simulated again because its pilot run missed the largest weights."""


@dataclass(frozen=True)
class Simulation:
    """What all datasets share.

    Attributes:
        size: How much to simulate.
        detector: What sees the events.
        seed: Seed of everything.
        executor: What runs the chunks, one of coffea's.
        ledger: Where finished chunks are recorded.
    """

    size: Scale
    detector: Detector
    seed: int
    executor: ExecutorBase
    ledger: Ledger

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
        function = partial(_count, detector=self.detector, seed=self.seed)
        step = self._run("pilot", _alternating(pilots), function, "Exploring weights")
        counts = _counts([step])
        return [
            sample.production(counts, self.size.luminosity) if sample in pilots else sample
            for sample in samples
        ]

    def produce(self, samples: list[Sample]) -> tuple[list[Sample], list[Step]]:
        """Simulate all chunks, and again those strata that turn out to need more trials.

        Args:
            samples: All datasets and their chunks.

        Returns:
            The datasets with the chunks that count in the end, and the steps that hold them.
        """
        function = partial(_events, detector=self.detector, seed=self.seed)
        title = "Simulating events"
        steps = [self._run("events", _alternating(samples), function, title)]
        for attempt in range(1, ATTEMPTS + 1):
            counts = _counts(steps)
            samples = [sample.repeated(counts, self.size.luminosity) for sample in samples]
            tasks = [task for task in _alternating(samples) if task[0] not in counts]
            title = "Simulating again with more trials"
            steps.append(self._run(f"events-{attempt}", tasks, function, title))
        return samples, steps

    def cross_sections(self, masses: FloatArray) -> dict[str, dict[str, float]]:
        """Cross-section of the signal at (H,) masses without radiation, as JSON."""
        sqrt_s = self.detector.beams.sqrt_s
        function = partial(_integrate, sqrt_s=sqrt_s, seed=self.seed)
        works = [
            Work(f"{mass!r}", self._key([mass, sqrt_s]), "signal", f"{mass:g} GeV", 0, mass)
            for mass in masses.tolist()
        ]
        title = "Integrating cross-sections"
        step = self.ledger.run("cross-sections", works, function, self.executor, title=title)
        return {f"{work.payload:g}": step.read(work).content for work in works}

    def _run(self, step: str, tasks: list[Task], function: Any, title: str) -> Step:
        """Simulate chunks that have not been simulated yet.

        Args:
            step: Name of the step.
            tasks: The chunks.
            function: Makes the record of one of them.
            title: What the progress bar says.
        """
        detector = self.detector.settings.model_dump(mode="json")
        beams = self.detector.beams.model_dump(mode="json")
        works = [
            Work(
                f"{chunk.dataset}/{chunk.stratum}-{chunk.attempt}-{chunk.index}",
                self._key([asdict(chunk), _describe(generator), detector, beams]),
                chunk.dataset,
                f"stratum {chunk.stratum}, chunk {chunk.index}",
                chunk.trials,
                (chunk, generator),
            )
            for chunk, generator in tasks
        ]
        return self.ledger.run(step, works, function, self.executor, title=title, keep=_is_whole)

    def _key(self, content: Any) -> str:
        """Digest of everything that a piece of work depends on."""
        return digest([content, self.seed, git_commit(), versions()])


def _describe(generator: Generator | SignalGenerator) -> list[str | float]:
    """What tells a generator from any other of the same detector."""
    which = generator.mass if isinstance(generator, SignalGenerator) else generator.name
    return [type(generator).__name__, which]


def _count(task: Task, detector: Detector, seed: int) -> Record:
    """The record of a chunk of which only the counts matter."""
    _, summary = produce(*task, detector, seed)
    return Record(summary.to_json(), {})


def _events(task: Task, detector: Detector, seed: int) -> Record:
    """The record of a chunk with its events."""
    events, summary = produce(*task, detector, seed)
    return Record(summary.to_json(), {"events": events.view(np.uint8)})


def _integrate(mass: float, sqrt_s: float, seed: int) -> Record:
    """The record of a cross-section."""
    value, error = integrate(mass, sqrt_s, seed)
    return Record({"sigma_over_g2_fb": value, "error": error}, {})


def _is_whole(record: Record) -> bool:
    """Whether the events of a chunk are there, if it has any, and have not been thrown away."""
    return "events" in record.arrays or "events thrown away" not in record.content


def _counts(steps: Sequence[Step]) -> Counts:
    """Counts of all chunks of some steps."""
    return {
        work.payload[0]: Summary.from_json(step.read(work).content)
        for step in steps
        for work in step.works
    }


def _reader(steps: Sequence[Step]) -> Events:
    """A function that reads the events of a chunk of some steps."""
    places = {work.payload[0]: (step, work) for step in steps for work in step.works}

    def read(chunk: Chunk) -> NDArray[np.void]:
        step, work = places[chunk]
        return step.read(work).arrays["events"].view(EVENT)

    return read


def simulate(
    manifest: Manifest, scale: str, output: OutputFolder, execution: Execution
) -> list[Path]:
    """Simulate all datasets that ask for it, and write their ntuples and the record of them.

    Args:
        manifest: Datasets, masses, beams and settings of the simulation.
        scale: Which of the manifest's scales.
        output: Where everything lies.
        execution: Where chunks are simulated.

    Returns:
        All files that were written.

    Raises:
        InputError: If there is no such scale, or the output folder cannot be written to.
    """
    settings = manifest.simulation
    origin = provenance(manifest.digest, scale=scale, simulation=settings.model_dump(mode="json"))
    masses = manifest.hypotheses.mass
    record = {}
    with open_executor(execution) as executor:
        simulation = Simulation(
            settings.size(scale),
            Detector(settings.detector, manifest.beams),
            settings.seed,
            executor,
            Ledger(output.ledger("simulate")),
        )
        samples = [
            simulation.plan(dataset, dataset.simulate, masses)
            for dataset in manifest.datasets.values()
            if dataset.simulate
        ]
        samples = simulation.explore(samples)
        samples, steps = simulation.produce(samples)
        counts, events = _counts(steps), _reader(steps)
        for sample in samples:
            sample.collect(events, output, simulation.detector, identity=origin["settings"])
            ntuple = output.ntuple(sample.dataset.name)
            record[sample.dataset.name] = {
                **sample.record(counts, simulation.size),
                "checksum": checksum(ntuple, "sha256"),
            }
        write_json(output.simulation_record, {"provenance": origin, "datasets": record})
        written = [output.ntuple(sample.dataset.name) for sample in samples]
        written.append(output.simulation_record)
        if any(sample.dataset.is_signal for sample in samples):
            written.append(output.simulation / "cross_sections.json")
            write_json(written[-1], simulation.cross_sections(masses))
    for step in steps:
        step.thin("events thrown away")  # they are in the ntuples
    return written


def _alternating(samples: Sequence[Sample]) -> list[Task]:
    """All work, one piece of each dataset in turn.

    Workers that begin with different processes do not all compile the same code first.
    """
    turns = itertools.zip_longest(*(sample.work() for sample in samples))
    return [item for turn in turns for item in turn if item is not None]
