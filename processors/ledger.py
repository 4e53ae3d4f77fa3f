"""The ledger: every finished piece of work of a stage has a record, so that none is done twice.

Workers leave the record of a piece of work when it is finished, with all there is to say about
it; whoever started them collects the records. A stage that was killed goes on from the records
it left. A record counts only while everything its result depends on is as it was: that is its
key. Under ``output/.ledger/<stage>`` there are, for each step of the stage, ``plan.json`` with
all pieces of work and a folder with their records and failures.
"""

import gc
import logging
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Final

from coffea.processor.executor import ExecutorBase
from coffea.util import coffea_console
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.io.files import is_file, read_json, write_json
from punzinet.analysis.io.output import command_of
from punzinet.analysis.io.records import Record, read_content, read_record, write_record

LOG = logging.getLogger(__name__)
ROUNDS: Final = 4
"""How often work is handed out anew when workers died under it."""
_POLL_SECONDS: Final = 0.5
_RECORD: Final = ".safetensors"
_FAILURE: Final = ".failed.json"
_LOST_WORKERS: Final = frozenset(
    {"CommClosedError", "FutureCancelledError", "KilledWorker", "ManagerLost", "WorkerLost"}
)
"""Names of the exceptions with which Dask and Parsl say that workers are gone."""


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Attributes:
        name: Its name, unique in its step: a relative path without suffix.
        key: Digest of everything its result depends on.
        dataset: The dataset it belongs to.
        what: The file, or whatever it works on.
        entries: Entries it is responsible for.
        payload: What the function that does it takes.
    """

    name: str
    key: str
    dataset: str
    what: str
    entries: int
    payload: Any


@dataclass(frozen=True)
class _Recorder:
    """Does a piece of work and leaves its record, as coffea's executors call it.

    Attributes:
        function: Takes the payload and returns the record.
        folder: Where records go.
    """

    function: Callable[[Any], Record]
    folder: Path

    def __call__(self, work: Work) -> dict[str, str | None]:
        """Do the work; what is wrong with the input is handed back like a result.

        Raises:
            OutputError: If nothing can be written, which is no fault of the input.
        """
        try:
            record = self.function(work.payload)
            _pass_over_imports()
            content = {"key": work.key, "result": record.content}
            path = self.folder / f"{work.name}{_RECORD}"
            write_record(path, Record(content, record.arrays))
        except OutputError:
            raise
        except InputError as error:
            failure = {"key": work.key, "reason": str(error)}
            write_json(self.folder / f"{work.name}{_FAILURE}", failure)
            return {work.name: str(error)}
        return {work.name: None}


@cache
def _pass_over_imports() -> None:
    """Let garbage collection pass over what a process has loaded for its first piece of work.

    It would otherwise look again and again at two hundred thousand objects of libraries that are
    there to stay, which takes longer than reading a chunk.
    """
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Step:
    """One step of a stage, after it has run.

    Attributes:
        folder: Where its records lie.
        works: All its work.
        problems: What is wrong with the input, by name of the work that has no record.
    """

    folder: Path
    works: Sequence[Work]
    problems: Mapping[str, str]

    def read(self, work: Work) -> Record:
        """The record of a piece of work.

        Raises:
            InputError: If the work could not be done, or the record is not there any more.
        """
        if work.name in self.problems:
            raise InputError(self.problems[work.name])
        record = _read(self.folder, work)
        if record is None:
            raise InputError(
                f"The record of {work.name} in {self.folder} is gone or damaged; run the same "
                "command again."
            )
        return record

    def thin(self, note: str) -> None:
        """Throw the arrays of all records away.

        Args:
            note: Key under which the records say so.
        """
        for work in self.works:
            content = {"key": work.key, "result": {**self.read(work).content, note: True}}
            write_record(self.folder / f"{work.name}{_RECORD}", Record(content, {}))


class Ledger:
    """All records of a stage.

    Attributes:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        """Open the ledger of a stage.

        Args:
            folder: Where it lies; made when needed.
        """
        # Workers of a cluster may run in another folder.
        self.folder = folder.absolute()

    def forget(self) -> None:
        """Throw all records away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(
        self,
        step: str,
        works: Sequence[Work],
        function: Callable[[Any], Record],
        executor: ExecutorBase,
        *,
        title: str,
        keep: Callable[[Record], bool] = lambda _: True,
    ) -> Step:
        """Do what is missing of a step.

        Args:
            step: Name of the step.
            works: All its work, each under another name.
            function: Takes a payload and returns the record of what was done.
            executor: Where to do it, one of coffea's.
            title: What the progress bar says.
            keep: Whether the record of an earlier run still holds, given all it says.

        Returns:
            The step, with a record or a problem for every piece of work.

        Raises:
            InputError: If workers die again and again, or the folder cannot be written to.
        """
        folder = self.folder / step
        self._plan(step, works)
        todo = [work for work in works if not _is_done(folder, work, keep)]
        LOG.info("%s: %d of %d chunks are done already", title, len(works) - len(todo), len(works))
        for work in todo:
            LOG.debug("%s: %s", title, work.name)
        problems: dict[str, str] = {}
        reason = "records do not appear"
        for _ in range(ROUNDS):
            if not todo:
                break
            try:
                with _progress(folder, title, len(works)):
                    said, _ = executor(todo, _Recorder(function, folder), {})
                problems |= {name: what for name, what in said.items() if what is not None}
            except (Exception, CancelledError) as error:
                if not _is_lost_worker(error):
                    raise
                reason = next(iter(str(error).splitlines()), type(error).__name__)
            todo = [
                work
                for work in todo
                if work.name not in problems and not _is_done(folder, work, lambda _: True)
            ]
        if todo:
            raise InputError(
                f"{title}: worker processes die again and again ({reason}); {len(todo)} of "
                f"{len(works)} chunks are missing. The same command continues: with fewer "
                "--workers or a smaller `features.chunk_size` if memory runs out."
            )
        return Step(folder, works, problems)

    def _plan(self, step: str, works: Sequence[Work]) -> None:
        """Write down all work of a step, and remove what other work left."""
        folder = self.folder / step
        rows = [[work.name, work.key, work.dataset, work.what, work.entries] for work in works]
        write_json(self.folder / f"{step}.json", {"works": rows})
        names = {work.name for work in works}
        for path in [*folder.rglob(f"*{_RECORD}"), *folder.rglob(f"*{_FAILURE}")]:
            name = str(path.relative_to(folder)).removesuffix(_RECORD).removesuffix(_FAILURE)
            if name not in names or path.name.endswith(_FAILURE):
                path.unlink(missing_ok=True)
        for name in {str(Path(name).parent) for name in names}:
            (folder / name).mkdir(parents=True, exist_ok=True)


def _read(folder: Path, work: Work) -> Record | None:
    """The record of a piece of work, None if there is none of this very work."""
    record = read_record(folder / f"{work.name}{_RECORD}")
    if record is None or record.content.get("key") != work.key:
        return None
    return Record(record.content["result"], record.arrays)


def _is_done(folder: Path, work: Work, keep: Callable[[Record], bool]) -> bool:
    """Whether there is a good record; one that is not good is removed."""
    record = _read(folder, work)
    if record is not None and keep(record):
        return True
    (folder / f"{work.name}{_RECORD}").unlink(missing_ok=True)
    return False


def _is_lost_worker(error: BaseException) -> bool:
    """Whether an exception means that workers are gone, and not that something is wrong."""
    return (
        isinstance(error, BrokenExecutor | CancelledError)
        or type(error).__name__ in _LOST_WORKERS
        or "KilledWorker" in str(error)
    )


@contextmanager
def _progress(folder: Path, title: str, total: int) -> Iterator[None]:
    """Show how many records there are while this context lasts.

    Coffea's own bars differ from executor to executor, and one of them never fills; they are
    silenced, and so is the traceback that coffea prints of an exception it also raises.

    Args:
        folder: Where records appear.
        title: What the bar says.
        total: Number of records in the end.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    finished = threading.Event()
    printed = StringIO()
    quiet, coffea_console.quiet = coffea_console.quiet, True
    quietly = not LOG.isEnabledFor(logging.WARNING)
    with Progress(*columns, console=Console(file=sys.stderr), disable=quietly) as progress:
        bar = progress.add_task(title, total=total)

        def count() -> None:
            progress.update(bar, completed=sum(1 for _ in folder.rglob(f"[!.]*{_RECORD}")))

        def watch() -> None:
            while not finished.wait(_POLL_SECONDS):
                count()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            with redirect_stderr(printed):
                yield
        finally:
            finished.set()
            watcher.join()
            count()
            coffea_console.quiet = quiet


@dataclass(frozen=True)
class Progressed:
    """How far a step of a stage is with one dataset.

    Attributes:
        step: Name of the step.
        dataset: Name of the dataset.
        chunks: Pieces of work.
        done: Those with a record.
        entries: Entries of all of them.
        entries_done: Entries of those with a record.
        failures: What is wrong, by file.
    """

    step: str
    dataset: str
    chunks: int
    done: int
    entries: int
    entries_done: int
    failures: dict[str, str]


def read_progress(folder: Path) -> list[Progressed]:
    """Find out how far a stage is, while it runs or afterwards.

    Args:
        folder: Its ledger.

    Returns:
        One item for each step and dataset; none if the stage has never run.

    Raises:
        InputError: If a plan is damaged.
    """
    found = []
    for plan in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
        content = read_json(plan, f"punzinet {command_of(folder.name)}")
        try:
            works = [_planned(*row) for row in content["works"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{plan} is damaged ({error!r}); delete it and run `punzinet "
                f"{command_of(folder.name)}` again."
            ) from error
        for dataset in dict.fromkeys(work.dataset for work in works):
            own = [work for work in works if work.dataset == dataset]
            found.append(_progress_of(folder / plan.stem, plan.stem, dataset, own))
    return found


def _planned(name: str, key: str, dataset: str, what: str, entries: int) -> Work:
    """A piece of work as a plan lists it.

    Raises:
        ValueError: If it is none.
    """
    if not all(isinstance(text, str) for text in (name, key, dataset, what)):
        raise ValueError(f"{[name, key, dataset, what]} is no piece of work")
    if type(entries) is not int or entries < 0:
        raise ValueError(f"{name} has {entries!r} entries")
    return Work(name, key, dataset, what, entries, None)


def _progress_of(folder: Path, step: str, dataset: str, works: Sequence[Work]) -> Progressed:
    """Count the records of one dataset."""
    done = []
    failures = {}
    for work in works:
        content = read_content(folder / f"{work.name}{_RECORD}")
        if content is not None and content.get("key") == work.key:
            done.append(work)
        elif is_file(path := folder / f"{work.name}{_FAILURE}"):
            failure = read_json(path, f"punzinet {command_of(folder.parent.name)}")
            if isinstance(failure, dict) and failure.get("key") == work.key:
                failures[work.what] = str(failure.get("reason"))
    return Progressed(
        step=step,
        dataset=dataset,
        chunks=len(works),
        done=len(done),
        entries=sum(work.entries for work in works),
        entries_done=sum(work.entries for work in done),
        failures=failures,
    )
