"""Run a processor over all chunks on coffea's `Runner`, and account for every entry.

Chunks leave their results in the ledger, where an interrupted run finds them again. Files on
servers are given several chances.
"""

import gc
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from coffea.nanoevents import BaseSchema
from coffea.processor import Runner
from coffea.processor.executor import ExecutorBase, WorkItem

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import command_of
from punzinet.analysis.io.provenance import digest, git_commit, versions
from punzinet.processors.chunks import Chunk, ChunkProcessor
from punzinet.processors.ledger import (
    ChunkRecords,
    Ledger,
    Work,
    is_lost_worker,
    say_how_far,
    survive,
)
from punzinet.processors.ntuples.opening import (
    ATTEMPTS,
    Unreadable,
    back_off,
    is_remote,
    open_file,
    patiently,
    reading_options,
    reason,
    state_of,
)
from punzinet.processors.ntuples.preflight import InputFile


def run_processor(
    processor: ChunkProcessor,
    files: Sequence[InputFile],
    chunks: Iterable[Chunk],
    executor: ExecutorBase,
    ledger: Ledger,
    *,
    step: str,
    title: str,
    allow_missing: bool = False,
) -> tuple[dict[Chunk, Any], dict[Chunk, str]]:
    """Run a processor over chunks.

    Args:
        processor: What to do with each chunk, leaving results by chunk.
        files: The files, as `preflight` found them.
        chunks: The chunks.
        executor: Where to do it.
        ledger: Where records are left, and those of an earlier run are found.
        step: Name of this run in the ledger.
        title: What the progress bar says.
        allow_missing: Hand back what is wrong with chunks that cannot be read, instead of raising.

    Returns:
        The results, and what is wrong with the input, by chunk in their order.

    Raises:
        InputError: If the input is wrong somewhere and nothing may be missing.
    """
    items, works = _plan(processor, files, chunks)
    records = ChunkRecords(ledger.plan(step, works))
    say_how_far(title, works, records.missing(works))
    runner = Runner(executor.copy(desc=title), schema=BaseSchema, checkpointer=records)
    branches = sorted({branch for file in files for branch in file.columns.values()})
    run = _Run(runner, processor, branches)
    gc.freeze()  # what is imported stays: collections need not look at it again and again
    for own in _by_place(items):
        survive(partial(run.process, own), ledger.folder / step, works, title)
    problems = {chunk: run.problems[chunk] for chunk in sorted(run.problems)}
    used = {item.filename for item in items}
    _check_unchanged([file for file in files if file.location in used], remote=not problems)
    if problems and not allow_missing:
        raise InputError(_refusal(problems, ledger.folder.name))
    return {chunk: run.found[chunk] for chunk in sorted(run.found)}, problems


@dataclass(frozen=True)
class _Run:
    """What there is of a run so far.

    Attributes:
        runner: Coffea's runner.
        processor: What to do with each chunk.
        branches: All branches that are read.
        found: Results by chunk.
        problems: What is wrong with the input, by chunk.
    """

    runner: Runner
    processor: ChunkProcessor
    branches: list[str]
    found: dict[Chunk, Any] = field(default_factory=dict)
    problems: dict[Chunk, str] = field(default_factory=dict)

    def process(self, items: Sequence[WorkItem]) -> None:
        """Process chunks of files that are opened in the same way; several times on servers."""
        attempts = ATTEMPTS if is_remote(items[0].filename) else 1
        for number in range(attempts):
            todo = [item for item in items if _chunk(item) not in self.found]
            if number and todo:
                back_off(todo[0].filename, number - 1)
            self._process_once(todo, last=number == attempts - 1)
        for chunk, problem in self.problems.items():
            if is_remote(chunk.file) and not problem.endswith(" times."):
                self.problems[chunk] = f"{problem.rstrip('.')}; tried {ATTEMPTS} times."

    def _process_once(self, items: Sequence[WorkItem], *, last: bool) -> None:
        """Process chunks; those of files that cannot be opened any more are a problem."""
        while items:
            try:
                out = self.runner(
                    items,
                    self.processor,
                    uproot_options=reading_options(items[0].filename),
                    iteritems_options={"filter_name": self.branches},
                )
            except Exception as error:
                if is_lost_worker(error):
                    raise
                closed = _cannot_be_opened(items)
                if not closed:
                    if last:
                        raise
                    return
                self.problems.update(closed)
                items = [item for item in items if _chunk(item) not in closed]
            else:
                self.problems.update(out["problems"])
                self.found.update(out["chunks"])
                for chunk in out["chunks"]:
                    self.problems.pop(chunk, None)
                return


def _plan(
    processor: ChunkProcessor, files: Sequence[InputFile], chunks: Iterable[Chunk]
) -> tuple[list[WorkItem], list[Work]]:
    """Every chunk as coffea takes it, and as the ledger lists it."""
    by_place = {(file.dataset, file.location): file for file in files}
    software = {"commit": git_commit(), "versions": versions()}
    settings = {
        name: digest([processor.settings(dataset), type(processor).__name__, software])
        for name, dataset in processor.datasets.items()
    }
    items, works = [], []
    for chunk in chunks:
        file = by_place[chunk.dataset, chunk.file]
        key = digest([settings[chunk.dataset], file.state, chunk.start, chunk.stop])
        name = f"{chunk.dataset}/{file.stem}-{chunk.start}-{chunk.stop}"
        uuid = UUID(file.uuid).bytes if file.uuid else b""
        about = {"name": name, "key": key}
        where = (chunk.dataset, chunk.file, file.tree, chunk.start, chunk.stop)
        items.append(WorkItem(*where, uuid, about))
        works.append(Work(name, key, chunk.dataset, file.path, chunk.entries, None))
    return items, works


def _chunk(item: WorkItem) -> Chunk:
    """The chunk that coffea calls a work item."""
    return Chunk(item.dataset, item.filename, item.entrystart, item.entrystop)


def _by_place(items: Iterable[WorkItem]) -> list[list[WorkItem]]:
    """Chunks of files on disks, and of files on servers by their protocol."""
    places: dict[str, list[WorkItem]] = {}
    for item in items:
        scheme = urlsplit(item.filename).scheme if is_remote(item.filename) else ""
        places.setdefault(scheme, []).append(item)
    return list(places.values())


def _cannot_be_opened(items: Iterable[WorkItem]) -> dict[Chunk, str]:
    """What is wrong with files that cannot be opened any more, by chunk."""
    problems: dict[Chunk, str] = {}
    reasons: dict[str, str | None] = {}
    for item in items:
        if item.filename not in reasons:
            try:
                patiently(item.filename, partial(_open, item))
                reasons[item.filename] = None
            except InputError as error:
                reasons[item.filename] = str(error)
        if why := reasons[item.filename]:
            problems[_chunk(item)] = why
    return problems


def _open(item: WorkItem) -> None:
    """Open the file of a chunk, and look for its tree.

    Raises:
        Unreadable: If that fails.
    """
    with open_file(item.filename, item.dataset) as file:
        try:
            _ = file[item.treename]
        except Exception as error:
            raise Unreadable(
                f"Dataset {item.dataset}: tree {item.treename} of {item.filename} cannot be read "
                f"({reason(error)})."
            ) from error


def _uuid(file: InputFile) -> str:
    """UUID that a file on a server has now."""

    def read() -> str:
        with open_file(file.path, file.dataset) as root:
            return str(root.file.uuid)

    return patiently(file.path, read)


def _check_unchanged(files: Sequence[InputFile], *, remote: bool) -> None:
    """Compare files with what `preflight` found, and also those on servers if `remote`.

    Raises:
        InputError: If one has changed.
    """
    for file in files:
        changed = state_of(file.path) != file.state[:2]
        if changed or (remote and is_remote(file.path) and _uuid(file) != file.uuid):
            raise InputError(
                f"{file.path} changed while it was being read; run the same command again, and "
                "leave the file alone meanwhile."
            )


def _refusal(problems: Mapping[Chunk, str], stage: str) -> str:
    """Say what is wrong: the first problem, and how many more there are."""
    first, *others = dict.fromkeys(problems.values())
    if not others:
        return first
    return (
        f"{first} There {'is 1 more problem' if len(others) == 1 else f'are {len(others)} more'}: "
        f"`punzinet status` lists what is wrong with the input of `punzinet {command_of(stage)}`."
    )
