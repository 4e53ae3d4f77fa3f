"""Run a processor over all chunks, on one of coffea's executors, and account for every entry.

Every chunk leaves a record (see `ledger`), which the results are read from in an order that
depends on the manifest alone. Coffea would add results up in the order in which they happen to be
ready, and sums of floating point numbers depend on their order.
"""

import itertools
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from coffea.nanoevents import BaseSchema, NanoEventsFactory
from coffea.processor import ProcessorABC
from coffea.processor.executor import ExecutorBase

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import command_of
from punzinet.analysis.io.provenance import digest, git_commit, versions
from punzinet.analysis.io.records import Record
from punzinet.processors.columns import IDENTITY, unreadable
from punzinet.processors.ledger import Ledger, Step, Work
from punzinet.processors.opening import is_remote, open_file, patiently, state_of
from punzinet.processors.preflight import InputFile

Result = TypeVar("Result")


@dataclass(frozen=True, order=True)
class Chunk:
    """Consecutive entries of one file.

    Attributes:
        dataset: Name of the dataset.
        path: Path or URL of the file.
        start: First entry.
        stop: One past the last entry.
        stem: Name for what is made of the file, unique in its dataset.
    """

    dataset: str
    path: str
    start: int
    stop: int
    stem: str = field(default="", compare=False)

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def name(self) -> str:
        """Name for what is made of the chunk, unique in its dataset."""
        return f"{self.stem}-{self.start}-{self.stop}"


class ChunkProcessor(ProcessorABC, Generic[Result]):  # type: ignore[misc]  # coffea has no types
    """A coffea processor whose results stay apart, one record for each chunk."""

    def process(self, events: Any) -> Record:
        """Process a chunk (as coffea calls it).

        Args:
            events: The chunk, whose columns are read on first use; its metadata hold `chunk`.
        """
        return self.pack(self.process_chunk(events.metadata["chunk"], events))

    @abstractmethod
    def process_chunk(self, chunk: Chunk, events: Any) -> Result:
        """Turn the events of one chunk into its result."""

    @abstractmethod
    def pack(self, result: Result) -> Record:
        """Express a result as a record."""

    @abstractmethod
    def unpack(self, record: Record) -> Result:
        """The result that `pack` made a record of."""

    @abstractmethod
    def settings(self, dataset: str) -> Any:
        """Everything but the file that a result of this dataset depends on, for its digest."""

    def reads(self, column: str) -> bool:
        """Whether it uses a column of all events, whatever the settings."""
        return column not in IDENTITY

    def still_holds(self, _record: Record) -> bool:
        """Whether everything a chunk left beside its record is still there."""
        return True

    def postprocess(self, accumulator: Any) -> Any:
        """Leave what was collected as it is (called by coffea)."""
        return accumulator


def events_of(root: Any, file: InputFile, chunk: Chunk, reads: Callable[[str], bool]) -> Any:
    """The events of a chunk, whose other columns are read on first use.

    To read several columns at once is faster, and takes fewer requests to a server, than to
    read one after the other. They are kept beside the events: coffea would copy each of them.

    Args:
        root: The open file.
        file: The file, as `preflight` found it.
        chunk: Which of its entries.
        reads: Whether a column is to be read at once.

    Raises:
        Unreadable: If the server of the file fails.
        InputError: If the file has fewer entries by now.
    """
    at_once = {branch for column, branch in file.columns.items() if reads(column)}
    try:
        columns = root[file.tree].arrays(
            filter_branch=lambda branch: branch.name in at_once,
            entry_start=chunk.start,
            entry_stop=chunk.stop,
            library="np",
        )
    except Exception as error:
        if is_remote(chunk.path):
            raise unreadable(chunk, f"tree {file.tree}", error) from error
        columns = {}  # whoever reads the column that fails can say which one it is
    events = NanoEventsFactory.from_root(
        file=root,
        treepath=file.tree,
        schemaclass=BaseSchema,
        metadata={"chunk": chunk, "root": root, "tree": file.tree, "columns": columns},
        mode="virtual",
        entry_start=chunk.start,
        entry_stop=chunk.stop,
        iteritems_options={"filter_name": sorted(file.columns.values())},
    ).events()
    if len(events) != len(chunk):
        raise InputError(
            f"{file.path} holds {len(events)} instead of {len(chunk)} entries from entry "
            f"{chunk.start} on; run the same command again."
        )
    return events


@dataclass(frozen=True)
class _ReadChunk(Generic[Result]):
    """Opens a file and lets a processor have a chunk of it.

    Attributes:
        processor: The processor.
    """

    processor: ChunkProcessor[Result]

    def __call__(self, payload: tuple[Chunk, InputFile]) -> Record:
        """Process one chunk; a file on a server is given several chances.

        Args:
            payload: The chunk and its file.

        Raises:
            InputError: If the input is wrong.
        """
        chunk, file = payload
        return patiently(chunk.path, lambda: self._process(chunk, file))

    def _process(self, chunk: Chunk, file: InputFile) -> Record:
        """Process one chunk.

        Raises:
            InputError: If the input is wrong.
        """
        with open_file(file.location, file.dataset) as root:
            # The tree itself is looked at again by coffea.
            if file.uuid and str(root.file.uuid) != file.uuid:
                raise InputError(
                    f"{file.path} is another file than when this run began; run the same command "
                    "again, and leave the file alone meanwhile."
                )
            events = events_of(root, file, chunk, self.processor.reads)
            record: Record = self.processor.process(events)
        return record


class Results(Mapping[Chunk, Result]):
    """Results by chunk, sorted by dataset, file and entry, and read when they are asked for.

    Attributes:
        problems: What is wrong with the input, by chunk that therefore has no result.
    """

    def __init__(self, processor: ChunkProcessor[Result], step: Step) -> None:
        """Collect the results of a step.

        Args:
            processor: Made them.
            step: The step, after it has run.
        """
        self._processor = processor
        self._step = step
        by_chunk = {work.payload[0]: work for work in step.works}
        self._works = {
            chunk: by_chunk[chunk]
            for chunk in sorted(by_chunk)
            if by_chunk[chunk].name not in step.problems
        }
        self.problems: dict[Chunk, str] = {
            chunk: step.problems[by_chunk[chunk].name]
            for chunk in sorted(by_chunk)
            if by_chunk[chunk].name in step.problems
        }

    def __getitem__(self, chunk: Chunk) -> Result:
        return self._processor.unpack(self._step.read(self._works[chunk]))

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self._works)

    def __len__(self) -> int:
        return len(self._works)


def plan_chunks(files: Sequence[InputFile], chunk_size: int) -> list[Chunk]:
    """Cut files into chunks of equal size, none of them above `chunk_size`.

    Args:
        files: The files.
        chunk_size: Largest number of entries of a chunk.
    """
    chunks = []
    for file in files:
        count = -(-file.entries // chunk_size)
        edges = [file.entries * i // count for i in range(count + 1)] if count else []
        chunks += [
            Chunk(file.dataset, file.path, start, stop, file.stem)
            for start, stop in itertools.pairwise(edges)
        ]
    return chunks


def run_processor(
    processor: ChunkProcessor[Result],
    files: Sequence[InputFile],
    chunks: Sequence[Chunk],
    executor: ExecutorBase,
    ledger: Ledger,
    *,
    step: str,
    title: str,
    allow_missing: bool = False,
) -> Results[Result]:
    """Run a processor over chunks.

    Args:
        processor: What to do with each chunk.
        files: The files, as `preflight` found them.
        chunks: The chunks, see `plan_chunks`.
        executor: Where to do it.
        ledger: Where records are left, and those of an earlier run are found.
        step: Name of this run in the ledger.
        title: What the progress bar says.
        allow_missing: Hand back the chunks that cannot be read, instead of raising.

    Returns:
        The result of each chunk.

    Raises:
        InputError: If the input is wrong somewhere and nothing may be missing.
    """
    by_path = {(file.dataset, file.path): file for file in files}
    software = {"commit": git_commit(), "versions": versions()}
    settings = {
        name: digest([processor.settings(name), software])
        for name in {file.dataset for file in files}
    }
    works = []
    for chunk in chunks:
        file = by_path[chunk.dataset, chunk.path]
        key = digest([settings[chunk.dataset], file.state, chunk.start, chunk.stop])
        name = f"{chunk.dataset}/{chunk.name}"
        works.append(Work(name, key, chunk.dataset, chunk.path, len(chunk), (chunk, file)))
    done = ledger.run(
        step, works, _ReadChunk(processor), executor, title=title, keep=processor.still_holds
    )
    results = Results(processor, done)
    changed = [file.path for file in files if state_of(file.path) != file.state[:2]]
    if changed:
        raise InputError(
            f"{changed[0]} changed while it was being read; run the same command again, and leave "
            "the file alone meanwhile."
        )
    if results.problems and not allow_missing:
        raise InputError(_refusal(results.problems, ledger.folder.name))
    return results


def _refusal(problems: Mapping[Chunk, str], stage: str) -> str:
    """Say what is wrong: the first problem, and how many more there are."""
    first, *others = dict.fromkeys(problems.values())
    if not others:
        return first
    return (
        f"{first} There {'is 1 more problem' if len(others) == 1 else f'are {len(others)} more'}: "
        f"`punzinet status` lists what is wrong with the input of `punzinet {command_of(stage)}`."
    )
