"""Make the default data: batches on all workers, then one ROOT file a dataset.

The result does not depend on the number of workers: every batch has its own seed, and the
batches are written in their order, whichever was ready first.
"""

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from coffea.processor.executor import ExecutorBase

from punzinet.analysis.io.files import Record, checksum, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.provenance import digest, git_commit, provenance, versions
from punzinet.analysis.manifest.datasets import Dataset
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import Scale
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.events import Generator
from punzinet.analysis.simulation.generators import generators
from punzinet.analysis.simulation.generators.signal import SignalGenerator
from punzinet.analysis.simulation.ntuple import write_ntuple
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
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Job, Ledger, Records
from punzinet.processors.runner import run_jobs

ATTEMPTS: Final = 3
"""How often a stratum is simulated again because its pilot run missed the largest weights."""


@dataclass(frozen=True, eq=False)
class Stratum:
    """A generator of a dataset, with its batches in the order in which they are written."""

    dataset: Dataset
    generator: Generator
    batches: list[Batch]

    def total(self, counts: dict[Batch, Counts]) -> Counts:
        """Counts of all batches, added up in their order."""
        total = Counts()
        for batch in self.batches:
            total.add(counts[batch])
        return total

    def record(self, counts: Counts) -> dict[str, Any]:
        """What was simulated, as JSON."""
        if isinstance(self.generator, SignalGenerator):
            mass = self.generator.mass
            return {"mass": mass, "generated": counts.trials, "entries": counts.entries}
        return {
            "name": self.generator.name,
            "trials": counts.trials,
            "entries": counts.entries,
            "largest_expectation": counts.largest,
            "cross_section_fb": _with_error(*counts.cross_section()),
        }


def _with_error(value: float, error: float) -> dict[str, float]:
    """A measured number as JSON."""
    return {"value": float(value), "error": float(error)}


def _record(strata: Sequence[Stratum], counts: dict[Batch, Counts], size: Scale) -> dict[str, Any]:
    """What was simulated of the dataset that some strata make up, as JSON."""
    dataset = strata[0].dataset
    parts = [stratum.total(counts) for stratum in strata]
    total = Counts()
    for batch in (batch for stratum in strata for batch in stratum.batches):
        total.add(counts[batch])
    if dataset.is_signal:
        made: dict[str, Any] = {"generated": size.signal_events}
    else:
        values, errors = np.transpose([part.cross_section() for part in parts])
        section = _with_error(values.sum(), np.sqrt((errors**2).sum()))
        made = {"luminosity": size.luminosity, "cross_section_fb": section}
    steps = total.cutflow.items()
    return {
        "process": dataset.process,
        "entries": total.entries,
        **made,
        "cutflow": [{"step": step, "events": n, "weight": weight} for step, (n, weight) in steps],
        "strata": [stratum.record(part) for stratum, part in zip(strata, parts, strict=True)],
    }


@dataclass(frozen=True)
class _Simulation:
    """What all datasets share: manifest, detector, the executor and the records of batches."""

    manifest: Manifest
    detector: Detector
    executor: ExecutorBase
    ledger: Ledger

    def run(self, step: str, strata: Sequence[Stratum], title: str) -> Records:
        """Simulate batches that have not been simulated yet."""
        settings = self.manifest.simulation
        detector = settings.detector.model_dump(mode="json")
        jobs = [
            Job(
                f"{batch.dataset}/{batch.stratum}-{batch.attempt}-{batch.index}",
                self._key([asdict(batch), _describe(generator), detector]),
                batch.dataset,
                f"stratum {batch.stratum}, batch {batch.index}",
                batch.trials,
                (batch, generator),
            )
            for batch, generator in _alternating(strata)
        ]
        function = partial(
            _simulated, detector=self.detector, seed=settings.seed, with_events=step != "pilot"
        )
        return run_jobs(jobs, function, self.executor, self.ledger, step=step, title=title)

    def cross_sections(self) -> dict[str, dict[str, float]]:
        """Cross-section of the signal at all masses without radiation, as JSON."""
        sqrt_s = self.manifest.beams.sqrt_s
        function = partial(_integrated, sqrt_s=sqrt_s, seed=self.manifest.simulation.seed)
        jobs = [
            Job(f"{mass!r}", self._key([mass]), "signal", f"{mass:g} GeV", 0, mass)
            for mass in self.manifest.hypotheses.mass.tolist()
        ]
        title = "Integrating cross-sections"
        records = run_jobs(
            jobs, function, self.executor, self.ledger, step="cross-sections", title=title
        )
        return {f"{job.payload:g}": records.read(job).content for job in jobs}

    def _key(self, content: list[Any]) -> str:
        """Digest of everything that the result of a job depends on."""
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


def _counts(steps: Sequence[Records]) -> dict[Batch, Counts]:
    """Counts of all batches of some steps."""
    return {
        job.payload[0]: Counts(**records.read(job).content)
        for records in steps
        for job in records.jobs
    }


def _alternating(strata: Sequence[Stratum]) -> list[tuple[Batch, Generator]]:
    """All batches with their generators, one of each dataset in turn.

    Workers that begin with different processes do not all compile the same code first.
    """
    rows = [
        [(batch, stratum.generator) for stratum in group for batch in stratum.batches]
        for _, group in itertools.groupby(strata, lambda stratum: stratum.dataset.name)
    ]
    turns = itertools.zip_longest(*rows)
    return [task for turn in turns for task in turn if task is not None]


def _plan(manifest: Manifest, size: Scale, detector: Detector) -> list[Stratum]:
    """All strata: signal with its events, backgrounds with a pilot run."""
    planned = []
    for dataset in manifest.datasets.values():
        if dataset.simulate is None:
            continue
        masses = manifest.hypotheses.mass
        for i, generator in enumerate(generators(dataset.simulate, masses, detector)):
            batches = [Batch(dataset.name, i, 0, size.signal_events)]
            if not dataset.is_signal:
                batches = pilot_batches(dataset.name, i, size.luminosity)
            planned.append(Stratum(dataset, generator, batches))
    return planned


def _produce(
    simulation: _Simulation, strata: list[Stratum], luminosity: float
) -> tuple[list[Stratum], list[Records]]:
    """Run the pilots, simulate all batches, and again those of strata that need more trials.

    Returns:
        The strata with the batches that count in the end, and the steps that hold them.
    """
    backgrounds = [stratum for stratum in strata if not stratum.dataset.is_signal]
    pilot = _counts([simulation.run("pilot", backgrounds, "Exploring weights")])
    for i, stratum in enumerate(strata):
        if stratum in backgrounds:
            name, index = stratum.dataset.name, stratum.batches[0].stratum
            trials = needed_trials(stratum.total(pilot), luminosity)
            batches = production_batches(name, index, trials, luminosity)
            strata[i] = replace(stratum, batches=batches)
    steps = [simulation.run("events", strata, "Simulating events")]
    for attempt in range(1, ATTEMPTS + 1):
        counts = _counts(steps)
        again = []
        for i, stratum in enumerate(strata):
            if stratum.dataset.is_signal:
                continue
            batches = enough_batches(stratum.batches, stratum.total(counts), luminosity)
            if batches is not stratum.batches:
                strata[i] = replace(stratum, batches=batches)
                again.append(strata[i])
        steps.append(
            simulation.run(f"events-{attempt}", again, "Simulating again with more trials")
        )
    return strata, steps


def _write_ntuple(
    strata: Sequence[Stratum],
    steps: Sequence[Records],
    path: Path,
    manifest: Manifest,
    identity: str,
) -> None:
    """Write the events of all batches of a dataset."""
    dataset = strata[0].dataset
    places = {job.payload[0]: (records, job) for records in steps for job in records.jobs}
    batches = (batch for stratum in strata for batch in stratum.batches)
    parts = (
        records.read(job).arrays["events"] for records, job in map(places.__getitem__, batches)
    )
    write_ntuple(
        path,
        f"{dataset.name} {identity}",
        zlib.crc32(dataset.name.encode()) >> 1,  # fits basf2's signed integer
        manifest.beams,
        (part.view(EVENT) for part in parts),
        signal=dataset.is_signal,
    )


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
    written = []
    with open_executor(execution) as executor:
        simulation = _Simulation(manifest, detector, executor, Ledger(output.ledger("simulate")))
        strata, steps = _produce(simulation, _plan(manifest, size, detector), size.luminosity)
        counts = _counts(steps)
        for name, group in itertools.groupby(strata, lambda stratum: stratum.dataset.name):
            own, ntuple = list(group), output.ntuple(name)
            _write_ntuple(own, steps, ntuple, manifest, str(origin["settings"]))
            record[name] = {
                **_record(own, counts, size),
                "checksum": checksum(ntuple, "sha256"),
            }
            written.append(ntuple)
        write_json(output.simulation_record, {"provenance": origin, "datasets": record})
        written.append(output.simulation_record)
        if any(stratum.dataset.is_signal for stratum in strata):
            written.append(output.simulation / "cross_sections.json")
            write_json(written[-1], simulation.cross_sections())
    for records in steps:
        records.thin()  # the events are in the ntuples
    return written
