"""Make the default data: batches on all workers, then one ROOT file a dataset.

Every batch has its own seed, and batches are written in their order, whichever was ready first.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
from coffea.processor.executor import ExecutorBase

from punzinet.analysis.io.files import Record, write_json
from punzinet.analysis.io.output import OutputFolder, digest, git_commit, provenance, versions
from punzinet.analysis.manifest.datasets import Dataset, Simulated
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import DetectorSettings, Scale, mass_name
from punzinet.analysis.simulation import sampling
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.events import Generator, Pair
from punzinet.analysis.simulation.sampling import Batch, Counts, Events
from punzinet.analysis.simulation.signal import SignalGenerator
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Job, Records
from punzinet.processors.runner import run_jobs

#: How often a stratum is simulated again because its pilot run missed the largest weights.
ATTEMPTS: Final = 3


@dataclass(eq=False)
class Stratum:
    """A generator of a dataset, and what its batches made, in the order in which it is written."""

    dataset: Dataset
    index: int  # of the generator within the dataset
    generator: Generator
    batches: list[Batch]
    varied: Detector | None = None  # what sees the events of a nominal dataset, if it is one
    records: Records = field(init=False)  # of the batches
    counts: Counts = field(init=False)  # of all batches together

    def plan(self, size: Scale, trials: int | None = None, attempt: int = 0) -> None:
        """Have other batches, those of a pilot run without trials."""
        self.batches = sampling.batches(self.dataset.name, self.index, size, trials, attempt)


@dataclass(frozen=True)
class _Simulation:
    manifest: Manifest
    size: Scale
    detector: Detector
    executor: ExecutorBase
    ledger: Path
    steps: list[Records] = field(default_factory=list)  # those that hold events

    @property
    def signal(self) -> list[SignalGenerator]:
        """Generators of the signal, by mass."""
        radiates = self.manifest.simulation.signal_radiation == "beams"
        masses = self.manifest.hypotheses.mass.tolist()
        return [SignalGenerator(mass, radiates, f"signal-{mass!r}") for mass in masses]

    def produce(self) -> dict[str, list[Stratum]]:
        """Run the pilots, simulate all batches, and again those of strata that need more trials."""
        strata = {}
        for name, dataset in self.manifest.part().datasets.items():
            if dataset.simulate is not None:
                made = sampling.generators(dataset.simulate, self.signal, self.detector)
                strata[name] = [
                    Stratum(dataset, i, generator, [Batch(name, i, 0, self.size.signal_events)])
                    for i, generator in enumerate(made)
                ]
        background = [own for own in strata.values() if not own[0].dataset.is_signal]
        for one in chain(*background):
            one.plan(self.size)
        self.run("pilot", background, "Exploring weights")
        for own in background:
            needed = sampling.needed_trials([one.counts for one in own], self.size)
            for one, trials in zip(own, needed, strict=True):
                one.plan(self.size, trials)
        self.run("events", strata.values(), "Simulating events")
        for attempt in range(1, ATTEMPTS + 1):
            again = [[one for one in own if sampling.more_trials(one.counts)] for own in background]
            for one in chain(*again):
                one.plan(self.size, sampling.more_trials(one.counts), attempt)
            self.run(f"events-{attempt}", again, "Simulating again with more trials")
        return strata

    def vary(self, dataset: Dataset, strata: Iterable[Stratum]) -> list[Stratum]:
        """See the events of the strata of its nominal dataset in another detector."""
        nominal = self.manifest.simulation.detector.model_dump()
        factors = (dataset.detector or DetectorSettings()).model_dump()
        settings = {name: nominal[name] * factor for name, factor in factors.items()}
        varied = Detector.varied(self.manifest.beams, DetectorSettings(**settings))
        own = [Stratum(dataset, one.index, one.generator, one.batches, varied) for one in strata]
        self.run(f"variation-{dataset.name}", [own], f"Varying {dataset.variation_of}")
        return own

    def run(self, step: str, strata: Iterable[Sequence[Stratum]], title: str) -> None:
        """Simulate batches that have not been simulated yet, one of each dataset in turn.

        Workers that begin with different processes do not all compile the same code first.
        """
        jobs = {one: [self._job(one, batch) for batch in one.batches] for one in chain(*strata)}
        rows = (chain(*(jobs[one] for one in own)) for own in strata)
        turns = chain(*zip_longest(*rows))
        seed, kept = self.manifest.simulation.seed, step != "pilot"
        function = partial(_simulated, detector=self.detector, seed=seed, kept=kept)
        every = [job for job in turns if job is not None]
        records = run_jobs(every, function, self.executor, self.ledger / step, title)
        for one, own in jobs.items():
            one.records, one.counts = Records(records.folder, own), Counts()
            for job in own:
                one.counts.add(Counts(**records.read(job).content))
        if kept:
            self.steps.append(records)

    def _job(self, stratum: Stratum, batch: Batch) -> Job:
        dataset, generator = stratum.dataset, stratum.generator
        varied = dataset.detector and dataset.detector.model_dump(mode="json")
        key = self.key(asdict(batch), dataset.simulate, generator.name, varied)
        name = f"{dataset.name}/{batch.stratum}-{batch.attempt}-{batch.index}"
        source = f"stratum {batch.stratum}, batch {batch.index}"
        payload = batch, generator, stratum.varied
        return Job(name, key, dataset.name, source, batch.trials, payload)

    def cross_sections(self) -> dict[str, dict[str, float]]:
        """Of backgrounds in nb, and of the signal over g'^2 in fb, by name, as JSON."""
        simulated = [one for one in self.manifest.part().datasets.values() if one.simulate]
        signal = self.signal if any(one.is_signal for one in simulated) else ()
        names = sorted({str(one.simulate) for one in simulated if not one.is_signal})
        jobs = [Job(name, self.key(name), name, name, 0, name) for name in names]
        jobs += [Job(one.name, self.key(one.name), "signal", one.name, 0, one) for one in signal]
        sqrt_s, seed = self.manifest.beams.sqrt_s, self.manifest.simulation.seed
        do, step = partial(_integrated, sqrt_s=sqrt_s, seed=seed), self.ledger / "cross-sections"
        records = run_jobs(jobs, do, self.executor, step, "Integrating cross-sections")
        return {job.name: records.read(job).content for job in jobs}

    def key(self, *content: Any) -> str:
        """Digest of everything that the result of a job depends on."""
        beams = self.manifest.beams.model_dump(mode="json")
        settings = self.manifest.simulation.model_dump(mode="json", exclude={"scales"})
        return digest([content, beams, settings, git_commit(), versions()])


def _simulated(
    task: tuple[Batch, Generator, Detector | None], detector: Detector, seed: int, kept: bool
) -> Record:
    """The record of a batch, with its events if they are kept."""
    batch, generator, varied = task
    events, counts = sampling.simulate_batch(batch, generator, detector, seed, varied)
    return Record(asdict(counts), {"events": events.view(np.uint8)} if kept else {})


def _integrated(what: SignalGenerator | Simulated, sqrt_s: float, seed: int) -> Record:
    if isinstance(what, SignalGenerator):
        value, error = sampling.integrate(what, sqrt_s, seed)
        return Record({"sigma_over_g2_fb": value, "error": error}, {})
    return Record(_measured(sampling.total_cross_section(what, sqrt_s, seed)), {})


def _measured(value: Pair) -> dict[str, float]:
    return dict(zip(("value", "error"), value, strict=True))


def _record(strata: Sequence[Stratum], size: Scale) -> dict[str, Any]:
    """What was simulated of the dataset that some strata make up, as JSON."""
    dataset, total = strata[0].dataset, Counts()
    for stratum in strata:
        total.add(stratum.counts)
    if dataset.is_signal:
        made: dict[str, Any] = {"generated": size.signal_events}
    else:
        section = sampling.cross_section(stratum.counts for stratum in strata)
        made = {"luminosity": size.luminosity, "cross_section_fb": _measured(section)}
    steps = total.cutflow.items()
    cutflow = [{"step": step, "events": n, "weight": weight} for step, (n, weight) in steps]
    of = [(one.generator.name, one.counts) for one in strata]
    rows = [{"name": name, "trials": n.trials, "entries": n.entries} for name, n in of]
    found = {"process": dataset.process, "entries": total.entries, **made}
    return {**found, "cutflow": cutflow, "strata": rows}


def _events(strata: Sequence[Stratum]) -> Iterator[Events]:
    """Events of all batches, numbered as in the nominal dataset.

    Those that are no nominal events follow with numbers that no other event has.
    """
    first, further = 0, sum(stratum.counts.nominal for stratum in strata)
    for stratum in strata:
        for job in stratum.records.jobs:
            record = stratum.records.read(job)
            events = record.arrays["events"].view(sampling.EVENT).copy()
            new = events["number"] < 0
            events["number"] += first
            events["number"][new] = further + np.arange(new.sum())
            first, further = first + record.content["nominal"], further + int(new.sum())
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
        strata = simulation.produce()
        sections = simulation.cross_sections()
        variations = [one for one in manifest.part(varied=True).datasets.values() if one.simulate]
        varied = [simulation.vary(one, strata[str(one.variation_of)]) for one in variations]
        for own in [*strata.values(), *varied]:
            dataset = own[0].dataset
            name, nominal = dataset.name, dataset.variation_of or dataset.name
            production = zlib.crc32(nominal.encode()) >> 1  # fits basf2's signed integer
            title = f"{name} {origin['settings']}"
            if dataset.variation_of is not None:
                title = f"{title} {dataset.detector}"
            written.append(output.ntuple(name))
            about = written[-1], title, production, manifest.beams
            sampling.write_ntuple(*about, _events(own), signal=dataset.is_signal)
            record[name] = _record(own, size)
            if not dataset.is_signal:
                record[name]["total_cross_section_nb"] = sections[str(dataset.simulate)]
        written.append(output.simulation_record)
        write_json(written[-1], {"provenance": origin, "datasets": record})
        signal = [one for one in simulation.signal if one.name in sections]
        if signal:
            written.append(output.cross_sections)
            write_json(written[-1], {mass_name(one.mass): sections[one.name] for one in signal})
    for records in simulation.steps:
        records.thin()  # the events are in the ntuples
    return written
