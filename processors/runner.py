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
from punzinet.processors import opening
from punzinet.processors.datasets import NAME, Chunk, ChunkProcessor, as_json, chunk_of
from punzinet.processors.executors import is_lost_worker, survive
from punzinet.processors.ledger import Job, Records, plan_step
from punzinet.processors.preflight import InputFile


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
) -> dict[Chunk, Any]:
    """Run a processor over chunks of files, and return the results by chunk in their order.

    The step is a folder of the ledger. InputError if the input is wrong somewhere: the sentence is
    that of the first chunk, and all are in the ledger.
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
    places = {chunk[:2] for chunk in items}
    read = [file for file in files if (file.dataset, file.location) in places]

    def attempt() -> tuple[dict[Chunk, Any], dict[Chunk, str]]:
        found: dict[Chunk, Any] = {}
        problems: dict[Chunk, str] = {}
        for _, some in itertools.groupby(sorted(read, key=_scheme), key=_scheme):
            done, wrong = _process(run, list(some), items)
            found |= done
            problems |= wrong
        return found, problems

    found, problems = survive(attempt, records, title)
    _check_unchanged(read, remote=not problems)
    if problems:
        first, *others = dict.fromkeys(problems[chunk] for chunk in sorted(problems))
        are = "is 1 more problem" if len(others) == 1 else f"are {len(others)} more"
        command = f"punzinet {command_of(step.parent.name)}"
        more = f" There {are}: `punzinet status` lists what is wrong with the input of `{command}`."
        raise InputError(first + (more if others else ""))
    if lost := [job.name for chunk, job in zip(items, jobs, strict=True) if chunk not in found]:
        raise InputError(f"{title}: coffea left out {', '.join(lost)}; run the same command again.")
    return dict(sorted(found.items()))


def _plan(
    processor: ChunkProcessor, files: Sequence[InputFile], chunks: Iterable[Chunk]
) -> tuple[dict[Chunk, WorkItem], list[Job]]:
    """Every chunk as coffea takes it, and as the ledger lists it."""
    by_place = {(file.dataset, file.location): file for file in files}
    software = {"commit": git_commit(), "versions": versions()}
    settings = {
        name: digest([as_json(processor.settings(dataset)), type(processor).__name__, software])
        for name, dataset in processor.datasets.items()
    }
    items, jobs = {}, []
    for chunk in chunks:
        file = by_place[chunk.dataset, chunk.file]
        key = digest([settings[chunk.dataset], file.state, chunk.start, chunk.stop])
        name = f"{chunk.dataset}/{file.stem}-{chunk.start}-{chunk.stop}"
        uuid = UUID(file.uuid).bytes if file.uuid else b""
        where = (chunk.dataset, chunk.file, file.tree, chunk.start, chunk.stop)
        items[chunk] = WorkItem(*where, uuid, {NAME: name, "key": key})
        jobs.append(Job(name, key, chunk.dataset, file.path, chunk.entries))
    return items, jobs


def _scheme(file: InputFile) -> str:
    return urlsplit(file.path).scheme if opening.is_remote(file.path) else ""


def _process(
    run: Callable[..., Any], files: Sequence[InputFile], items: Mapping[Chunk, WorkItem]
) -> tuple[dict[Chunk, Any], dict[Chunk, str]]:
    """Process the chunks of files that are opened in the same way, on servers several times.

    The result is what was found in each, or what is wrong with it.
    """
    place, found, problems = files[0].path, dict[Chunk, Any](), dict[Chunk, str]()
    attempts = opening.ATTEMPTS if opening.is_remote(place) else 1
    own = {(file.dataset, file.location): file for file in files}
    todo = [chunk for chunk in items if chunk[:2] in own]
    for number in range(attempts):
        if number > 0:
            opening.back_off(place, number)
        how = opening.reading_options(place)
        try:
            out = run([items[chunk] for chunk in todo], uproot_options=how)
        except Exception as error:
            if is_lost_worker(error):
                raise
            closed = _cannot_be_opened(own)
            if not closed and number + 1 == attempts:
                raise
            problems = {chunk: closed[chunk[:2]] for chunk in todo if chunk[:2] in closed}
        else:
            found |= out["chunks"]
            problems = out["problems"]
            todo = [chunk for chunk in todo if chunk not in found]
            if not todo:
                break
    for chunk, problem in problems.items():
        if attempts > 1 and not problem.endswith(" times."):
            problems[chunk] = f"{problem.rstrip('.')}; tried {attempts} times."
    return found, problems


def _cannot_be_opened(files: Mapping[tuple[str, str], InputFile]) -> dict[tuple[str, str], str]:
    """What is wrong with files that cannot be opened any more, by dataset and place."""
    closed = {}
    for place, file in files.items():
        try:
            _uuid_of(file)
        except InputError as error:
            closed[place] = str(error)
    return closed


def _uuid_of(file: InputFile) -> str:
    """The UUID that a file has now; the tree has to be there."""

    def look() -> str:
        what = f"Dataset {file.dataset}: tree {file.tree} of {file.path} cannot be read"
        with opening.open_file(file.path, file.dataset) as opened, opening.reading(what):
            _ = opened[file.tree]
            return str(opened.file.uuid)

    return opening.patiently(file.path, look)


def _check_unchanged(files: Sequence[InputFile], *, remote: bool) -> None:
    """Compare files with what `preflight` found, and also those on servers if `remote`."""
    for file in files:
        changed = opening.state_of(file.path) != file.state[:2]
        if remote and opening.is_remote(file.path):
            changed |= _uuid_of(file) != file.uuid
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


class ChunkRecords(CheckpointerABC):  # type: ignore[misc]  # coffea has no types
    """Records of chunks, with name and key in their metadata, as coffea leaves and finds them."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def load(self, metadata: Any, processor_instance: ByChunk) -> dict[str, Any] | None:
        """The output of an earlier run, if it still holds (called by coffea)."""
        record = self._records.find(metadata[NAME], metadata["key"])
        if record is None:
            return None
        result = _unpack(record.content["packed"], record.arrays)
        if not processor_instance.processor.still_holds(result):
            return None
        out = {"chunks": {chunk_of(metadata): result}, "problems": {}}
        return {"out": out, "processed": set()}

    def save(self, output: dict[str, Any], metadata: Any, _processor_instance: ByChunk) -> None:
        """Leave the output of a chunk, or what is wrong with it (called by coffea)."""
        about = metadata[NAME], metadata["key"]
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
