"""The ledger: every finished job of a stage has a record, so that none is done twice.

A job is what a worker does at once: it reads a chunk of a file, or simulates a batch. Finished, it
leaves its record, which whoever started the workers collects, or a run after one that was killed. A
record counts only while everything its result depends on is as it was: that is its key. Under
``output/.ledger/<stage>`` there are, for each step of the stage, ``<step>.json`` with all jobs and
a folder with their records and failures. Nothing here imports coffea: `status` has to be quick.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter

from punzinet.analysis.io import files
from punzinet.analysis.io.files import InputError, Record
from punzinet.analysis.io.output import command_of

RECORD = ".safetensors"
FAILURE = ".failed.json"


class Job(NamedTuple):
    """What a worker does at once."""

    name: str  # a relative path without suffix, unique in its step
    key: str  # digest of everything that its result depends on
    dataset: str
    source: str  # the file, or whatever it is a part of
    entries: Annotated[int, Field(ge=0)]  # that it is responsible for
    payload: Any = None  # what the function that does it takes


_JOBS = TypeAdapter(list[Job])


@dataclass(frozen=True)
class Records:
    """Records and failures of the jobs of a step, in a folder."""

    folder: Path
    jobs: Sequence[Job] = ()

    def find(self, name: str, key: str) -> Record | None:
        """The record of a job; any other that has its name is removed."""
        path = self.path(name)
        record = files.read_record(path)
        if record and record.content.get("key") == key and "thin" not in record.content:
            return Record(record.content["result"], record.arrays)
        path.unlink(missing_ok=True)
        return None

    def read(self, job: Job) -> Record:
        """The record of a job; InputError if it could not be done, or its record is gone."""
        record = self.find(job.name, job.key)
        if record is None:
            raise InputError(
                self.failure(job)
                or f"The record of {job.name} in {self.folder} is gone or damaged; run the same "
                "command again."
            )
        return record

    def write(self, name: str, key: str, record: Record) -> None:
        """Leave the record of a job."""
        content = {"key": key, "result": record.content}
        files.write_record(self.path(name), Record(content, record.arrays))

    def fail(self, name: str, key: str, reason: str) -> None:
        """Leave what is wrong with the input of a job."""
        files.write_json(self.path(name, FAILURE), {"key": key, "reason": reason})

    def failure(self, job: Job) -> str | None:
        """What is wrong with the input of a job, if it failed; InputError if that is damaged."""
        path = self.path(job.name, FAILURE)
        if not files.is_file(path):
            return None
        said = files.read_json(path, f"punzinet {command_of(self.folder.parent.name)}")
        own = isinstance(said, dict) and said.get("key") == job.key
        return str(said.get("reason")) if own else None

    def unfinished(self) -> list[Job]:
        """Jobs without a record, by the headers of the records alone."""
        contents = (files.read_content(self.path(job.name)) or {} for job in self.jobs)
        both = zip(self.jobs, contents, strict=True)
        return [job for job, content in both if content.get("key") != job.key]

    def thin(self) -> None:
        """Throw the arrays of all records away: they still say what was done, and count no more."""
        for job in self.jobs:
            content = {"key": job.key, "result": self.read(job).content, "thin": True}
            files.write_record(self.path(job.name), Record(content, {}))

    def path(self, name: str, suffix: str = RECORD) -> Path:
        """Where the record of a job is, or its failure."""
        return self.folder / f"{name}{suffix}"


def plan_step(folder: Path, jobs: Sequence[Job]) -> Records:
    """Write down all jobs of a step beside its folder, and remove what other jobs left in it."""
    folder = folder.absolute()  # workers of a cluster may run in another one
    files.write_json(folder.with_name(f"{folder.name}.json"), {"works": [job[:5] for job in jobs]})
    names = {job.name for job in jobs}
    forget(folder, but=names)
    for parent in {Path(name).parent for name in names}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    return Records(folder, jobs)


def planned(folder: Path) -> list[str]:
    """Names of the jobs that a step had last, if that is known."""
    with suppress(InputError):
        return [job.name for job in _read_plan(folder)]
    return []


def _read_plan(folder: Path) -> list[Job]:
    path = folder.with_name(f"{folder.name}.json")
    with files.read_result(path, "jobs", f"punzinet {command_of(folder.parent.name)}") as content:
        return _JOBS.validate_python(content["works"])


def forget(folder: Path, but: Collection[str] = ()) -> None:
    """Remove records, of a step `but` those of some jobs, and all failures; plans are kept."""
    for path in [*folder.rglob(f"*{RECORD}"), *folder.rglob(f"*{FAILURE}")]:
        if str(path.relative_to(folder)).removesuffix(RECORD) not in but:
            path.unlink(missing_ok=True)


class Progress(NamedTuple):
    """How far a step of a stage is with one dataset."""

    step: str
    dataset: str
    chunks: int
    done: int  # chunks with a record
    entries: int
    entries_done: int
    failures: dict[str, str]  # what is wrong, by file


def read_progress(folder: Path) -> list[Progress]:
    """How far each step of a stage is with each dataset; InputError if a plan is damaged."""
    found = []
    for plan in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
        jobs = _read_plan(plan.with_suffix(""))
        for dataset in dict.fromkeys(job.dataset for job in jobs):
            own = [job for job in jobs if job.dataset == dataset]
            records = Records(folder / plan.stem, own)
            todo = records.unfinished()
            failures = {job.source: why for job in todo if (why := records.failure(job))}
            entries, missing = (sum(job.entries for job in some) for some in (own, todo))
            done = (len(own) - len(todo), entries, entries - missing)
            found.append(Progress(plan.stem, dataset, len(own), *done, failures))
    return found
