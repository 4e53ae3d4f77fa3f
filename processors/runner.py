"""Run processors on coffea's `Runner`, and other jobs on its executors, each job only once.

Finished jobs leave their results in the ledger, where an interrupted run finds them again; every
entry is accounted for. Files on servers are given several chances.
"""

import gc
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import numpy as np
from boost_histogram.serialization import from_uhi, to_uhi
from coffea.nanoevents import BaseSchema
from coffea.processor import CheckpointerABC, ProcessorABC, Runner
from coffea.processor.executor import ExecutorBase, WorkItem
from hist import Hist

from punzinet.analysis.io.files import Arrays, InputError, OutputError, Record
from punzinet.analysis.io.output import command_of, digest, git_commit, versions
from punzinet.processors.datasets import Chunk, ChunkProcessor, chunk_of
from punzinet.processors.executors import is_lost_worker, survive
from punzinet.processors.ledger import Job, Records, plan_step
from punzinet.processors.ntuples import opening
from punzinet.processors.ntuples.preflight import InputFile


def run_jobs(
    jobs: Sequence[Job], do: Callable[[Any], Record], executor: ExecutorBase, step: Path, title: str
) -> Records:
    """Do the jobs of a step, a folder of the ledger; the title is what the progress bar says.

    What does a job takes its payload and returns the record of what was done. InputError if workers
    die again and again, or the folder cannot be written to.
    """
    records = plan_step(step, jobs)
    for job in jobs:
        records.find(job.name, job.key)  # what is damaged does not count as done

    def attempt() -> None:
        if todo := records.unfinished():
            function = partial(_do, do=do, records=Records(records.folder))
            executor.copy(desc=title)(todo, function, {})

    survive(attempt, records, title)
    return records


def _do(job: Job, do: Callable[[Any], Record], records: Records) -> dict[str, Any]:
    """Do a job and leave its record, or what is wrong with its input."""
    try:
        records.write(job.name, job.key, do(job.payload))
    except OutputError:  # no fault of the input
        raise
    except InputError as error:
        records.fail(job.name, job.key, str(error))
    return {}


def run_processor(
    processor: ChunkProcessor,
    files: Sequence[InputFile],
    chunks: Iterable[Chunk],
    executor: ExecutorBase,
    *,
    step: Path,
    title: str,
    allow_missing: bool = False,
) -> tuple[dict[Chunk, Any], dict[Chunk, str]]:
    """Run a processor over chunks of files: the results by chunk in their order, and problems.

    The step is a folder of the ledger. Problems are what is wrong with the input of chunks if some
    may be missing. InputError if the input is wrong somewhere and nothing may be missing.
    """
    items, jobs = _plan(processor, files, chunks)
    records = plan_step(step, jobs)
    checkpointer = ChunkRecords(Records(records.folder))
    # Names alone would be taken for patterns.
    used = {branch for file in files for branch in file.columns.values()}
    run = partial(
        Runner(executor.copy(desc=title), schema=BaseSchema, checkpointer=checkpointer),
        processor_instance=ByChunk(processor),
        iteritems_options={"filter_name": used.__contains__},
    )
    gc.freeze()  # what is imported stays: collections need not look at it again and again

    def attempt() -> tuple[dict[Chunk, Any], dict[Chunk, str]]:
        found: dict[Chunk, Any] = {}
        problems: dict[Chunk, str] = {}
        for _, own in itertools.groupby(sorted(items, key=_place), key=_place):
            _process(run, {chunk: items[chunk] for chunk in own}, found, problems)
        return found, problems

    found, problems = survive(attempt, records, title)
    for chunk, problem in problems.items():
        if opening.is_remote(chunk.file) and not problem.endswith(" times."):
            problems[chunk] = f"{problem.rstrip('.')}; tried {opening.ATTEMPTS} times."
    places = {chunk.file for chunk in items}
    _check_unchanged([file for file in files if file.location in places], remote=not problems)
    found, problems = dict(sorted(found.items())), dict(sorted(problems.items()))
    if problems and not allow_missing:
        first, *others = dict.fromkeys(problems.values())
        are = "is 1 more problem" if len(others) == 1 else f"are {len(others)} more"
        command = f"punzinet {command_of(step.parent.name)}"
        more = f" There {are}: `punzinet status` lists what is wrong with the input of `{command}`."
        raise InputError(first + (more if others else ""))
    return found, problems


def _plan(
    processor: ChunkProcessor, files: Sequence[InputFile], chunks: Iterable[Chunk]
) -> tuple[dict[Chunk, WorkItem], list[Job]]:
    """Every chunk as coffea takes it, and as the ledger lists it."""
    by_place = {(file.dataset, file.location): file for file in files}
    software = {"commit": git_commit(), "versions": versions()}
    settings = {
        name: digest([processor.settings(dataset), type(processor).__name__, software])
        for name, dataset in processor.datasets.items()
    }
    items, jobs = {}, []
    for chunk in chunks:
        file = by_place[chunk.dataset, chunk.file]
        key = digest([settings[chunk.dataset], file.state, chunk.start, chunk.stop])
        name = f"{chunk.dataset}/{file.stem}-{chunk.start}-{chunk.stop}"
        uuid = UUID(file.uuid).bytes if file.uuid else b""
        where = (chunk.dataset, chunk.file, file.tree, chunk.start, chunk.stop)
        items[chunk] = WorkItem(*where, uuid, {"name": name, "key": key})
        jobs.append(Job(name, key, chunk.dataset, file.path, chunk.entries))
    return items, jobs


def _place(chunk: Chunk) -> str:
    return urlsplit(chunk.file).scheme if opening.is_remote(chunk.file) else ""


def _process(
    run: Callable[..., Any],
    items: Mapping[Chunk, WorkItem],
    found: dict[Chunk, Any],
    problems: dict[Chunk, str],
) -> None:
    """Process chunks of files opened in the same way, on servers several times; add to `found`."""
    place = next(iter(items)).file
    tries = opening.ATTEMPTS if opening.is_remote(place) else 1
    for number in range(1, tries + 1):
        todo = [chunk for chunk in items if chunk not in found]
        if number > 1 and todo:
            opening.back_off(place, number - 1)
        while todo:
            try:
                how = opening.reading_options(place)
                out = run([items[chunk] for chunk in todo], uproot_options=how)
            except Exception as error:
                if is_lost_worker(error):
                    raise
                closed = _cannot_be_opened(todo, items)
                if number == tries and not closed:
                    raise
                problems |= closed
                todo = [chunk for chunk in todo if chunk not in closed] if closed else []
            else:
                found |= out["chunks"]
                problems |= out["problems"]
                break
    for chunk in problems.keys() & found.keys():
        del problems[chunk]


def _cannot_be_opened(chunks: Iterable[Chunk], items: Mapping[Chunk, WorkItem]) -> dict[Chunk, str]:
    """What is wrong with files that cannot be opened any more, by chunk."""
    problems: dict[Chunk, str] = {}
    for path, group in itertools.groupby(chunks, lambda chunk: chunk.file):
        own = list(group)
        try:
            _uuid_of(own[0].dataset, path, items[own[0]].treename)
        except InputError as error:
            problems |= dict.fromkeys(own, str(error))
    return problems


def _uuid_of(dataset: str, path: str, tree: str) -> str:
    """The UUID that a file has now; the tree has to be there."""

    def look() -> str:
        what = f"Dataset {dataset}: tree {tree} of {path} cannot be read"
        with opening.open_file(path, dataset) as file, opening.reading(what):
            _ = file[tree]
            return str(file.file.uuid)

    return opening.patiently(path, look)


def _check_unchanged(files: Sequence[InputFile], *, remote: bool) -> None:
    """Compare files with what `preflight` found, and also those on servers if `remote`."""
    for file in files:
        changed = opening.state_of(file.path) != file.state[:2]
        if remote and opening.is_remote(file.path):
            changed |= _uuid_of(file.dataset, file.path, file.tree) != file.uuid
        if changed:
            raise InputError(
                f"{file.path} changed while it was being read; run the same command again, and "
                "leave the file alone meanwhile."
            )


class ByChunk(ProcessorABC):  # type: ignore[misc]  # coffea has no types
    """A processor whose results stay apart by chunk, and so does what is wrong with the input."""

    def __init__(self, processor: ChunkProcessor) -> None:
        self.processor = processor

    def process(self, events: Any) -> dict[str, dict[Chunk, Any]]:
        """Process a chunk (called by coffea)."""
        try:
            return {"chunks": self.processor.process(events), "problems": {}}
        except InputError as error:
            return {"chunks": {}, "problems": {chunk_of(events.metadata): str(error)}}

    def postprocess(self, accumulator: dict[str, dict[Chunk, Any]]) -> dict[str, dict[Chunk, Any]]:
        """Leave everything as it is (called by coffea)."""
        return accumulator


class ChunkRecords(CheckpointerABC):  # type: ignore[misc]  # coffea has no types
    """Records of chunks, with name and key in their metadata, as coffea leaves and finds them."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def load(self, metadata: Any, processor_instance: ByChunk) -> dict[str, Any] | None:
        """The output of an earlier run, if it still holds (called by coffea)."""
        record = self._records.find(metadata["name"], metadata["key"])
        if record is None:
            return None
        result = _unpack(record.content["packed"], record.arrays)
        if not processor_instance.processor.still_holds(result):
            return None
        out = {"chunks": {chunk_of(metadata): result}, "problems": {}}
        return {"out": out, "processed": set()}

    def save(self, output: dict[str, Any], metadata: Any, _processor_instance: ByChunk) -> None:
        """Leave the output of a chunk, or what is wrong with it (called by coffea)."""
        about = metadata["name"], metadata["key"]
        for problem in output["out"]["problems"].values():
            self._records.fail(*about, problem)
        for result in output["out"]["chunks"].values():
            self._records.write(*about, _pack(result))


def _pack(result: Any) -> Record:
    arrays: Arrays = {}

    def put_aside(value: Any) -> dict[str, Any]:
        if isinstance(value, Hist):
            return {"hist": to_uhi(value)}
        arrays[str(len(arrays))] = np.asarray(value)
        return {"array": str(len(arrays) - 1)}

    return Record({"packed": json.dumps(result, default=put_aside)}, arrays)


def _unpack(packed: str, arrays: Arrays) -> Any:
    def take_back(value: dict[str, Any]) -> Any:
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return Hist(from_uhi(value["hist"])) if value.keys() == {"hist"} else value

    return json.loads(packed, object_hook=take_back)
