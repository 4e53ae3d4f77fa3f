"""Make the default data: batches on all workers, then one ROOT file a dataset.

Every batch has its own seed, and batches are written in their order, whichever was ready first.
"""

import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from coffea.processor.executor import ExecutorBase

from punzinet.analysis.io.files import Record, write_json
from punzinet.analysis.io.output import OutputFolder, digest, git_commit, provenance, versions
from punzinet.analysis.manifest.datasets import Dataset, Simulated
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import DetectorSettings, Scale
from punzinet.analysis.simulation import sampling
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.events import Generator
from punzinet.analysis.simulation.sampling import Batch, Counts, Events
from punzinet.analysis.simulation.signal import SignalGenerator
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Job, Records
from punzinet.processors.runner import run_jobs

#: How often a stratum is simulated again because its pilot run missed the largest weights.
ATTEMPTS: Final = 3
_MEASURED: Final = ("value", "error")


@dataclass(eq=False)
class Stratum:
    """A generator of a dataset, with its batches in the order in which they are written."""

    dataset: Dataset
    index: int  # of the generator within the dataset
    generator: Generator
    batches: list[Batch]
    varied: Detector | None = None  # what sees the events of a nominal dataset, if it is one

    def plan(self, trials: int, size: Scale, attempt: int = 0) -> None:
        """Have other batches."""
        self.batches = sampling.batches(self.dataset.name, self.index, trials, size, attempt)

    def record(self, counts: Counts) -> dict[str, Any]:
        """What was simulated, as JSON."""
        made, entries = counts.trials, counts.entries
        if isinstance(self.generator, SignalGenerator):
            return {"mass": self.generator.mass, "generated": made, "entries": entries}
        found = {"name": self.generator.name, "trials": made, "entries": entries}
        section = dict(zip(_MEASURED, counts.cross_section(), strict=True))
        return {**found, "largest_expectation": counts.largest, "cross_section_fb": section}


class _Simulation(NamedTuple):
    manifest: Manifest
    size: Scale
    detector: Detector
    executor: ExecutorBase
    ledger: Path

    @property
    def signal(self) -> list[SignalGenerator]:
        """Generators of the signal, by mass."""
        radiates = self.manifest.simulation.signal_radiation == "beams"
        return [SignalGenerator(m, radiates) for m in self.manifest.hypotheses.mass.tolist()]

    def strata(self) -> Iterator[Stratum]:
        """All strata: signal with its events, backgrounds with a pilot run."""
        pilot = sampling.pilot_trials(self.size.luminosity)
        for dataset in self.manifest.datasets.values():
            if dataset.simulate is None or dataset.variation_of is not None:
                continue
            made = sampling.generators(dataset.simulate, self.signal, self.detector)
            for i, generator in enumerate(made):
                own = [Batch(dataset.name, i, 0, self.size.signal_events)]
                explored = sampling.batches(dataset.name, i, pilot, self.size)
                yield Stratum(dataset, i, generator, own if dataset.is_signal else explored)

    def produce(self) -> tuple[list[Stratum], list[Records], dict[Batch, Counts]]:
        """Run the pilots, simulate all batches, and again those of strata that need more trials.

        The strata have the batches that count in the end, the steps and counts hold them.
        """
        strata = list(self.strata())
        again = [stratum for stratum in strata if not stratum.dataset.is_signal]
        pilot = _counts(self.run("pilot", again, "Exploring weights"))
        for process in _by_dataset(again):
            pilots = [_total([stratum], pilot) for stratum in process]
            needed = sampling.needed_trials(pilots, self.size)
            for stratum, trials in zip(process, needed, strict=True):
                stratum.plan(trials, self.size)
        steps = [self.run("events", strata, "Simulating events")]
        counts = _counts(steps[0])
        for attempt in range(1, ATTEMPTS + 1):
            more = {stratum: sampling.more_trials(_total([stratum], counts)) for stratum in again}
            again = [stratum for stratum, trials in more.items() if trials]
            for stratum in again:
                stratum.plan(more[stratum], self.size, attempt)
            step, title = f"events-{attempt}", "Simulating again with more trials"
            steps.append(self.run(step, again, title))
            counts |= _counts(steps[-1])
        return strata, steps, counts

    def vary(self, dataset: Dataset, strata: Iterable[Stratum]) -> tuple[list[Stratum], Records]:
        """See the events of all strata of a nominal dataset in another detector."""
        nominal = self.manifest.simulation.detector.model_dump()
        factors = (dataset.detector or DetectorSettings()).model_dump()
        settings = {name: nominal[name] * factor for name, factor in factors.items()}
        varied = Detector.varied(self.manifest.beams, DetectorSettings(**settings))
        own = [
            Stratum(dataset, one.index, one.generator, one.batches, varied)
            for one in strata if one.dataset.name == dataset.variation_of
        ]  # fmt: skip
        return own, self.run(f"variation-{dataset.name}", own, f"Varying {dataset.variation_of}")

    def run(self, step: str, strata: Sequence[Stratum], title: str) -> Records:
        """Simulate batches that have not been simulated yet, one of each dataset in turn.

        Workers that begin with different processes do not all compile the same code first.
        """
        settings = self.manifest.simulation
        detector, seed = settings.detector.model_dump(mode="json"), settings.seed
        groups = _by_dataset(strata)
        rows = [[(batch, one) for one in of for batch in one.batches] for of in groups]
        jobs = []
        for task in filter(None, chain.from_iterable(itertools.zip_longest(*rows))):
            batch, (generator, dataset) = task[0], (task[1].generator, task[1].dataset)
            which = generator if isinstance(generator, SignalGenerator) else generator.name
            varied = dataset.detector and dataset.detector.model_dump(mode="json")
            key = self.key([asdict(batch), [type(generator).__name__, which], detector, varied])
            name = f"{dataset.name}/{batch.stratum}-{batch.attempt}-{batch.index}"
            source = f"stratum {batch.stratum}, batch {batch.index}"
            payload = batch, generator, task[1].varied
            jobs.append(Job(name, key, dataset.name, source, batch.trials, payload))
        function = partial(_simulated, detector=self.detector, seed=seed, kept=step != "pilot")
        return run_jobs(jobs, function, self.executor, self.ledger / step, title)

    def cross_sections(self) -> dict[str, dict[str, float]]:
        """Cross-section of the signal at all masses, as JSON."""
        sqrt_s, seed = self.manifest.beams.sqrt_s, self.manifest.simulation.seed
        function = partial(_integrated, sqrt_s=sqrt_s, seed=seed)
        rows = [(repr(one.mass), self.key([one]), f"{one.mass:g} GeV", one) for one in self.signal]
        jobs = [Job(name, key, "signal", source, 0, one) for name, key, source, one in rows]
        step, title = self.ledger / "cross-sections", "Integrating cross-sections"
        records = run_jobs(jobs, function, self.executor, step, title)
        return {f"{job.payload.mass:g}": records.read(job).content for job in jobs}

    def totals(self) -> dict[str, dict[str, float]]:
        """Total cross-sections of the backgrounds that are simulated, in nb, as JSON."""
        sqrt_s, seed = self.manifest.beams.sqrt_s, self.manifest.simulation.seed
        found = {one.simulate for one in self.manifest.datasets.values() if not one.is_signal}
        names = sorted(filter(None, found))
        jobs = [Job(name, self.key(["total", name]), name, name, 0, name) for name in names]
        function = partial(_totalled, sqrt_s=sqrt_s, seed=seed)
        step, title = self.ledger / "totals", "Integrating backgrounds"
        records = run_jobs(jobs, function, self.executor, step, title)
        return {job.payload: records.read(job).content for job in jobs}

    def key(self, content: list[Any]) -> str:
        """Digest of everything that the result of a job depends on."""
        beams, seed = self.manifest.beams.model_dump(mode="json"), self.manifest.simulation.seed
        return digest([content, beams, seed, git_commit(), versions()])


def _by_dataset(strata: Sequence[Stratum]) -> list[list[Stratum]]:
    # Those of a dataset stand next to each other.
    return [list(own) for _, own in itertools.groupby(strata, lambda one: one.dataset.name)]


def _simulated(
    task: tuple[Batch, Generator, Detector | None], detector: Detector, seed: int, kept: bool
) -> Record:
    """The record of a batch, with its events if they are kept."""
    batch, generator, varied = task
    events, counts = sampling.simulate_batch(batch, generator, detector, seed, varied)
    return Record(asdict(counts), {"events": events.view(np.uint8)} if kept else {})


def _integrated(signal: SignalGenerator, sqrt_s: float, seed: int) -> Record:
    value, error = sampling.integrate(signal, sqrt_s, seed)
    return Record({"sigma_over_g2_fb": value, "error": error}, {})


def _totalled(process: Simulated, sqrt_s: float, seed: int) -> Record:
    measured = sampling.total_cross_section(process, sqrt_s, seed)
    return Record(dict(zip(_MEASURED, measured, strict=True)), {})


def _counts(records: Records) -> dict[Batch, Counts]:
    return {job.payload[0]: Counts(**records.read(job).content) for job in records.jobs}


def _total(strata: Iterable[Stratum], counts: dict[Batch, Counts]) -> Counts:
    total = Counts()
    for batch in chain.from_iterable(stratum.batches for stratum in strata):
        total.add(counts[batch])
    return total


def _record(strata: Sequence[Stratum], counts: dict[Batch, Counts], size: Scale) -> dict[str, Any]:
    """What was simulated of the dataset that some strata make up, as JSON."""
    dataset, total = strata[0].dataset, _total(strata, counts)
    parts = [_total([stratum], counts) for stratum in strata]
    if dataset.is_signal:
        made: dict[str, Any] = {"generated": size.signal_events}
    else:
        values, errors = np.transpose([part.cross_section() for part in parts])
        section = float(values.sum()), float(np.sqrt((errors**2).sum()))
        made = {"luminosity": size.luminosity}
        made["cross_section_fb"] = dict(zip(_MEASURED, section, strict=True))
    steps = total.cutflow.items()
    cutflow = [{"step": step, "events": n, "weight": weight} for step, (n, weight) in steps]
    rows = [stratum.record(part) for stratum, part in zip(strata, parts, strict=True)]
    found = {"process": dataset.process, "entries": total.entries, **made}
    return {**found, "cutflow": cutflow, "strata": rows}


def _numbered(parts: Iterable[Events], entries: Sequence[int]) -> Iterator[Events]:
    """Varied events of batches with the numbers of nominal ones, of which each batch has so many.

    Those that are no nominal events follow with numbers that no other event has.
    """
    first, further = 0, sum(entries)
    for part, count in zip(parts, entries, strict=True):
        events, new = part.copy(), part["number"] < 0
        events["number"] = np.where(new, further + np.cumsum(new) - 1, first + part["number"])
        first, further = first + count, further + int(new.sum())
        yield events


def simulate(
    manifest: Manifest, scale: str, output: OutputFolder, execution: Execution
) -> list[Path]:
    """Simulate all datasets that ask for it at one scale; InputError if nothing can be written."""
    settings, size = manifest.simulation, manifest.simulation.scales[scale]
    detector = Detector.varied(manifest.beams, settings.detector)
    origin = provenance(manifest.digest, scale=scale, simulation=settings.model_dump(mode="json"))
    record, written = {}, []
    with open_executor(execution) as executor:
        simulation = _Simulation(manifest, size, detector, executor, output.ledger("simulate"))
        strata, steps, counts = simulation.produce()
        totals = simulation.totals()
        made = [(own, counts, steps) for own in _by_dataset(strata)]
        for dataset in manifest.part(varied=True).datasets.values():
            if dataset.simulate is not None:
                own, records = simulation.vary(dataset, strata)
                made.append((own, _counts(records), [records]))
                steps = [*steps, records]
        for own, of, where in made:
            dataset = own[0].dataset
            name, nominal = dataset.name, dataset.variation_of or dataset.name
            places = {job.payload[0]: (records, job) for records in where for job in records.jobs}
            parts = (places[batch] for stratum in own for batch in stratum.batches)
            events = (step.read(job).arrays["events"] for step, job in parts)
            production = zlib.crc32(nominal.encode()) >> 1  # fits basf2's signed integer
            title = f"{name} {origin['settings']}"
            if dataset.variation_of is None:
                arrays: Iterable[Events] = (array.view(sampling.EVENT) for array in events)
            else:
                title = f"{title} {dataset.detector}"
                entries = [counts[batch].entries for stratum in own for batch in stratum.batches]
                arrays = _numbered((array.view(sampling.VARIED) for array in events), entries)
            written.append(output.ntuple(name))
            about = written[-1], title, production, manifest.beams
            sampling.write_ntuple(*about, arrays, signal=dataset.is_signal)
            record[name] = _record(own, of, size)
            if not dataset.is_signal:
                record[name]["total_cross_section_nb"] = totals[str(dataset.simulate)]
        written.append(output.simulation_record)
        write_json(written[-1], {"provenance": origin, "datasets": record})
        if any(stratum.dataset.is_signal for stratum in strata):
            written.append(output.cross_sections)
            write_json(written[-1], simulation.cross_sections())
    for records in steps:
        records.thin()  # the events are in the ntuples
    return written
