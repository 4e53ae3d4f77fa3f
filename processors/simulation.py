"""Make the default data: batches on all workers, then one ROOT file a dataset.

The result does not depend on the number of workers: every batch has its own seed, and the
batches are written in their order, whichever was ready first.
"""

import itertools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from coffea.processor.executor import ExecutorBase
from numpy.typing import NDArray

from punzinet.analysis.io.files import checksum, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.provenance import digest, git_commit, provenance, versions
from punzinet.analysis.io.records import Record
from punzinet.analysis.manifest.datasets import Dataset
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.simulation import Scale
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.events import Generator
from punzinet.analysis.simulation.generators import generators
from punzinet.analysis.simulation.generators.signal import SignalGenerator
from punzinet.analysis.simulation.ntuple import create_ntuple
from punzinet.analysis.simulation.sampling import (
    EVENT,
    Batch,
    Counts,
    enough_batches,
    integrate,
    needed_trials,
    pilot_batches,
    production_batches,
    simulate_batch,
)
from punzinet.analysis.types import FloatArray
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Ledger, Step, Work

ATTEMPTS: Final = 3
"""How often a stratum is simulated again because its pilot run missed the largest weights."""


@dataclass(frozen=True, eq=False)
class SimulatedDataset:
    """A dataset that is to be simulated.

    Attributes:
        dataset: Its description in the manifest.
        strata: The generators that together make up its process.
        batches: In the order in which they are written.
    """

    dataset: Dataset
    strata: Sequence[Generator]
    batches: list[Batch]

    def rebatched(self, of_stratum: Callable[[int], list[Batch]]) -> "SimulatedDataset":
        """A background with other batches, those that a function gives for a stratum's index."""
        if self.dataset.is_signal:
            return self
        strata = range(len(self.strata))
        return replace(self, batches=[batch for i in strata for batch in of_stratum(i)])

    def of_stratum(self, stratum: int) -> list[Batch]:
        """The batches of one stratum."""
        return [batch for batch in self.batches if batch.stratum == stratum]

    def record(self, counts: dict[Batch, Counts], size: Scale) -> dict[str, Any]:
        """What was simulated, as JSON."""
        parts = [_sum(counts, self.of_stratum(i)) for i in range(len(self.strata))]
        total = _sum(counts, self.batches)
        if self.dataset.is_signal:
            made: dict[str, Any] = {"generated": size.signal_events}
        else:
            values, errors = np.transpose([part.cross_section() for part in parts])
            section = _with_error(values.sum(), np.sqrt((errors**2).sum()))
            made = {"luminosity": size.luminosity, "cross_section_fb": section}
        return {
            "process": self.dataset.process,
            "entries": total.entries,
            **made,
            "cutflow": [
                {"step": step, "events": events, "weight": weight}
                for step, (events, weight) in total.cutflow.items()
            ],
            "strata": [
                _stratum_record(generator, part)
                for generator, part in zip(self.strata, parts, strict=True)
            ],
        }


def _stratum_record(generator: Generator, counts: Counts) -> dict[str, Any]:
    """What was simulated with one generator, as JSON."""
    if isinstance(generator, SignalGenerator):
        return {"mass": generator.mass, "generated": counts.trials, "entries": counts.entries}
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


def _sum(counts: dict[Batch, Counts], batches: Sequence[Batch]) -> Counts:
    """Counts of some batches, added up in their order."""
    total = Counts()
    for batch in batches:
        total.add(counts[batch])
    return total


@dataclass(frozen=True)
class _Simulation:
    """What all datasets share: manifest, detector, the executor and the records of batches."""

    manifest: Manifest
    detector: Detector
    executor: ExecutorBase
    ledger: Ledger

    def run(self, step: str, datasets: Sequence[SimulatedDataset], title: str) -> Step:
        """Simulate batches that have not been simulated yet."""
        seed = self.manifest.simulation.seed
        settings = self.manifest.simulation.detector.model_dump(mode="json")
        works = [
            Work(
                f"{batch.dataset}/{batch.stratum}-{batch.attempt}-{batch.index}",
                self._key([asdict(batch), _describe(generator), settings]),
                batch.dataset,
                f"stratum {batch.stratum}, batch {batch.index}",
                batch.trials,
                (batch, generator),
            )
            for batch, generator in _alternating(datasets)
        ]
        function = partial(
            _simulated, detector=self.detector, seed=seed, with_events=step != "pilot"
        )
        return self.ledger.run(step, works, function, self.executor, title=title, keep=_is_whole)

    def cross_sections(self, masses: FloatArray) -> dict[str, dict[str, float]]:
        """Cross-section of the signal at (H,) masses without radiation, as JSON."""
        sqrt_s = self.detector.beams.sqrt_s
        function = partial(_integrated, sqrt_s=sqrt_s, seed=self.manifest.simulation.seed)
        works = [
            Work(f"{mass!r}", self._key([mass]), "signal", f"{mass:g} GeV", 0, mass)
            for mass in masses.tolist()
        ]
        title = "Integrating cross-sections"
        step = self.ledger.run("cross-sections", works, function, self.executor, title=title)
        return {f"{work.payload:g}": step.read(work).content for work in works}

    def _key(self, content: list[Any]) -> str:
        """Digest of everything that the result of some work depends on."""
        beams = self.manifest.beams.model_dump(mode="json")
        seed = self.manifest.simulation.seed
        return digest([content, beams, seed, git_commit(), versions()])


def _describe(generator: Generator) -> list[str | float]:
    """What tells a generator from any other of the same detector."""
    which = generator.mass if isinstance(generator, SignalGenerator) else generator.name
    return [type(generator).__name__, which]


def _simulated(
    task: tuple[Batch, Generator], detector: Detector, seed: int, with_events: bool
) -> Record:
    """The record of a batch; of a pilot run only the counts matter."""
    events, counts = simulate_batch(*task, detector, seed)
    return Record(asdict(counts), {"events": events.view(np.uint8)} if with_events else {})


def _integrated(mass: float, sqrt_s: float, seed: int) -> Record:
    """The record of a cross-section."""
    value, error = integrate(mass, sqrt_s, seed)
    return Record({"sigma_over_g2_fb": value, "error": error}, {})


def _is_whole(record: Record) -> bool:
    """Whether the events of a batch are there, if it has any, and have not been thrown away."""
    return "events" in record.arrays or "events thrown away" not in record.content


def _counts(steps: Sequence[Step]) -> dict[Batch, Counts]:
    """Counts of all batches of some steps."""
    return {
        work.payload[0]: Counts(**step.read(work).content) for step in steps for work in step.works
    }


def _alternating(datasets: Sequence[SimulatedDataset]) -> list[tuple[Batch, Generator]]:
    """All batches with their generators, one of each dataset in turn.

    Workers that begin with different processes do not all compile the same code first.
    """
    rows = ([(batch, one.strata[batch.stratum]) for batch in one.batches] for one in datasets)
    turns = itertools.zip_longest(*rows)
    return [task for turn in turns for task in turn if task is not None]


def _plan(manifest: Manifest, size: Scale, detector: Detector) -> list[SimulatedDataset]:
    """All batches of signal datasets, and those of the pilot run of backgrounds."""
    planned = []
    for dataset in manifest.datasets.values():
        if dataset.simulate is None:
            continue
        strata = generators(dataset.simulate, manifest.hypotheses.mass, detector)
        batches = [Batch(dataset.name, i, 0, size.signal_events) for i in range(len(strata))]
        one = SimulatedDataset(dataset, strata, batches)
        pilot = partial(pilot_batches, dataset.name, luminosity=size.luminosity)
        planned.append(one.rebatched(pilot))
    return planned


def _produce(
    simulation: _Simulation, datasets: list[SimulatedDataset], luminosity: float
) -> tuple[list[SimulatedDataset], list[Step]]:
    """Run the pilots, simulate all batches, and again those of strata that need more trials.

    Returns:
        The datasets with the batches that count in the end, and the steps that hold them.
    """
    backgrounds = [one for one in datasets if not one.dataset.is_signal]
    pilot = _counts([simulation.run("pilot", backgrounds, "Exploring weights")])

    def production(one: SimulatedDataset, stratum: int) -> list[Batch]:
        """As many trials as the pilot run finds necessary."""
        trials = needed_trials(_sum(pilot, one.of_stratum(stratum)), luminosity)
        return production_batches(one.dataset.name, stratum, trials, luminosity)

    datasets = [one.rebatched(partial(production, one)) for one in datasets]
    steps = [simulation.run("events", datasets, "Simulating events")]

    def enough(one: SimulatedDataset, stratum: int) -> list[Batch]:
        """The same batches, or more trials."""
        own = one.of_stratum(stratum)
        return enough_batches(own, _sum(counts, own), luminosity)

    for attempt in range(1, ATTEMPTS + 1):
        counts = _counts(steps)
        datasets = [one.rebatched(partial(enough, one)) for one in datasets]
        new = [
            replace(one, batches=[batch for batch in one.batches if batch not in counts])
            for one in datasets
        ]
        title = "Simulating again with more trials"
        steps.append(simulation.run(f"events-{attempt}", new, title))
    return datasets, steps


def _write_ntuple(
    one: SimulatedDataset, steps: Sequence[Step], path: Path, manifest: Manifest, identity: str
) -> None:
    """Write the events of all batches of a dataset."""
    name = one.dataset.name
    places = {work.payload[0]: (step, work) for step in steps for work in step.works}

    def events(batch: Batch) -> NDArray[np.void]:
        """Read the record of a batch."""
        step, work = places[batch]
        return step.read(work).arrays["events"].view(EVENT)

    with create_ntuple(
        path,
        f"{name} {identity}",
        zlib.crc32(name.encode()) >> 1,  # fits basf2's signed integer
        manifest.beams,
        signal=one.dataset.is_signal,
    ) as ntuple:
        for batch in one.batches:
            ntuple.append(events(batch))


def simulate(
    manifest: Manifest, scale: str, output: OutputFolder, execution: Execution
) -> list[Path]:
    """Simulate all datasets that ask for it, and write their ntuples and the record of them.

    Args:
        manifest: Datasets, masses, beams and settings of the simulation.
        scale: Which of the manifest's scales.
        output: Where everything lies.
        execution: Where batches are simulated.

    Returns:
        All files that were written.

    Raises:
        InputError: If there is no such scale, or the output folder cannot be written to.
    """
    settings = manifest.simulation
    size = settings.size(scale)
    detector = Detector.varied(manifest.beams, settings.detector)
    origin = provenance(manifest.digest, scale=scale, simulation=settings.model_dump(mode="json"))
    record = {}
    with open_executor(execution) as executor:
        simulation = _Simulation(manifest, detector, executor, Ledger(output.ledger("simulate")))
        datasets = _plan(manifest, size, detector)
        datasets, steps = _produce(simulation, datasets, size.luminosity)
        counts = _counts(steps)
        written = []
        for one in datasets:
            ntuple = output.ntuple(one.dataset.name)
            _write_ntuple(one, steps, ntuple, manifest, str(origin["settings"]))
            record[one.dataset.name] = {
                **one.record(counts, size),
                "checksum": checksum(ntuple, "sha256"),
            }
            written.append(ntuple)
        write_json(output.simulation_record, {"provenance": origin, "datasets": record})
        written.append(output.simulation_record)
        if any(one.dataset.is_signal for one in datasets):
            written.append(output.simulation / "cross_sections.json")
            write_json(written[-1], simulation.cross_sections(manifest.hypotheses.mass))
    for step in steps:
        step.thin("events thrown away")  # they are in the ntuples
    return written
