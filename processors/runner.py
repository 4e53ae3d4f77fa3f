"""Run a processor over all chunks, on one of coffea's executors, and account for every entry.

What comes back is a result for each chunk, in an order that depends on the manifest alone.
Coffea would add results up in the order in which they happen to be ready, and sums of floating
point numbers depend on their order.
"""

import itertools
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import loky
from coffea.nanoevents import BaseSchema
from coffea.processor import FuturesExecutor, IterativeExecutor, ProcessorABC, Runner
from coffea.processor.executor import ExecutorBase, WorkItem

from analysis.errors import InputError
from processors.preflight import InputFile

Result = TypeVar("Result")


@dataclass(frozen=True, order=True)
class Chunk:
    """Consecutive entries of one file.

    Attributes:
        dataset: Name of the dataset.
        path: Path or URL of the file.
        start: First entry.
        stop: One past the last entry.
    """

    dataset: str
    path: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class ChunkProcessor(ProcessorABC, Generic[Result]):  # type: ignore[misc]  # coffea has no types
    """A coffea processor whose results stay apart, one for each chunk.

    An `InputError` is handed back like a result: an exception would reach the main process
    wrapped by coffea, with a traceback printed on the way.
    """

    def process(self, events: Any) -> dict[Chunk, "Outcome[Result]"]:
        """Process a chunk (called by coffea).

        Args:
            events: The chunk, whose columns are read on first use.
        """
        about = events.metadata
        chunk = Chunk(about["dataset"], about["filename"], about["entrystart"], about["entrystop"])
        try:
            return {chunk: Outcome(len(events), self.process_chunk(chunk, events), None)}
        except InputError as error:
            return {chunk: Outcome(0, None, str(error))}

    @abstractmethod
    def process_chunk(self, chunk: Chunk, events: Any) -> Result:
        """Turn the events of one chunk into its result."""

    def postprocess(self, accumulator: Any) -> Any:
        """Leave what was collected as it is (called by coffea)."""
        return accumulator


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What came of a chunk.

    Attributes:
        entries: Entries that were read.
        result: What the processor made of them.
        problem: What is wrong with the input, in which case there is no result.
    """

    entries: int
    result: Result | None
    problem: str | None


def make_executor(name: str, workers: int) -> ExecutorBase:
    """Pick one of coffea's executors.

    Args:
        name: ``iterative`` for this process, ``futures`` for one process a worker.
        workers: Number of worker processes.

    Raises:
        InputError: If there is no executor of that name.
    """
    # No retries: what fails here, fails for a reason that a second attempt does not remove.
    if name == "iterative":
        return IterativeExecutor(retries=0)
    if name == "futures":
        return FuturesExecutor(workers=workers, pool=_shared_pool, compression=None, retries=0)
    raise InputError(f"There is no executor {name!r}: choose iterative or futures.")


@contextmanager
def _shared_pool(max_workers: int) -> Iterator[Any]:
    """Worker processes that outlive a stage's step, but not an error or Ctrl-C.

    Args:
        max_workers: Number of processes.
    """
    pool = loky.get_reusable_executor(max_workers=max_workers)
    try:
        yield pool
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise


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
            Chunk(file.dataset, file.path, start, stop) for start, stop in itertools.pairwise(edges)
        ]
    return chunks


def run_processor(
    processor: ChunkProcessor[Result],
    files: Sequence[InputFile],
    executor: ExecutorBase,
    chunk_size: int,
    title: str,
) -> dict[Chunk, Result]:
    """Run a processor over all entries of some files.

    Args:
        processor: What to do with each chunk.
        files: The files, as `preflight` found them.
        executor: Where to do it.
        chunk_size: Largest number of entries of a chunk.
        title: What the progress bar says.

    Returns:
        The result of each chunk, sorted by dataset, file and entry.

    Raises:
        InputError: If the input is wrong somewhere, or entries are missing in the end.
    """
    by_path = {(file.dataset, file.path): file for file in files}
    chunks = plan_chunks(files, chunk_size)
    if not chunks:
        return {}
    items = [
        WorkItem(chunk.dataset, chunk.path, by_path[chunk.dataset, chunk.path].tree, chunk.start,
                 chunk.stop, b"")
        for chunk in chunks
    ]  # fmt: skip
    branches = sorted({branch for file in files for branch in file.columns.values()})
    runner = Runner(executor=executor.copy(desc=title), schema=BaseSchema)
    outcomes: Mapping[Chunk, Outcome[Result]] = runner(
        items,
        processor_instance=processor,
        # Every column is read once: uproot's cache of arrays would only hold memory.
        uproot_options={"array_cache": None, "object_cache": None},
        iteritems_options={"filter_name": branches},
    )
    return _account(chunks, outcomes)


def _account(
    chunks: Sequence[Chunk], outcomes: Mapping[Chunk, Outcome[Result]]
) -> dict[Chunk, Result]:
    """Make sure that every planned entry was read, exactly once.

    Args:
        chunks: All that was planned.
        outcomes: All that came back.

    Raises:
        InputError: With the first problem, or the list of what is missing.
    """
    results = {}
    missing = []
    for chunk in sorted(chunks):
        outcome = outcomes.get(chunk, Outcome(0, None, None))
        if outcome.problem is not None:
            raise InputError(outcome.problem)
        if outcome.result is None or outcome.entries != len(chunk):
            missing.append(
                f"{chunk.path} entries {chunk.start} to {chunk.stop} (read {outcome.entries})"
            )
            continue
        results[chunk] = outcome.result
    if missing:
        raise InputError(f"Not all entries were read; missing are: {'; '.join(missing)}.")
    return results
