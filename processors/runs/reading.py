"""How a stage reads its ntuples: again without what turns out to be unreadable, if it may be."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from coffea.processor.executor import ExecutorBase

from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.datasets import Chunk, ChunkProcessor, DatasetInfo, describe_datasets
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Ledger
from punzinet.processors.ntuples.inputs import Inputs
from punzinet.processors.ntuples.preflight import preflight
from punzinet.processors.ntuples.trial import Trial
from punzinet.processors.runner import run_processor

Result = TypeVar("Result")


class _UnreadableError(Exception):
    """Chunks turned out to be unreadable: what is wrong with each is its argument."""


@dataclass(eq=False)
class Reading:
    """The ntuples of a stage, and what they are processed with."""

    inputs: Inputs
    executor: ExecutorBase
    ledger: Ledger
    unblind: bool
    allow_missing: bool

    def repeat(self, work: Callable[[dict[str, DatasetInfo]], Result]) -> Result:
        """Do some work on the datasets, again without the chunks that it cannot read.

        They change the normalisation of what is left, so everything starts again; chunks whose
        result does not change are found in the ledger.
        """
        while True:
            inputs = self.inputs
            given = inputs.manifest, inputs.files, inputs.shares()
            try:
                return work(describe_datasets(*given, unblind=self.unblind))
            except _UnreadableError as lost:
                self.inputs = replace(inputs, lost={**inputs.lost, **lost.args[0]})

    def process(
        self, processor: ChunkProcessor, step: str, title: str, only: Sequence[Chunk] | None = None
    ) -> dict[Chunk, Any]:
        """Run a processor over all chunks, or some, and return their results in their order.

        Raises:
            InputError: If anything is wrong with the input, and nothing may be missing.
        """
        chunks = self.inputs.chunks() if only is None else only
        where = self.executor, self.ledger
        about = {"step": step, "title": title, "allow_missing": self.allow_missing}
        found, problems = run_processor(processor, self.inputs.files, chunks, *where, **about)
        if problems:
            raise _UnreadableError(problems)
        return found

    def processed(self) -> dict[str, Any]:
        """What provenance says of shares that were processed, if there may be any."""
        trial = self.inputs.trial
        shares = {"processed": self.inputs.shares()} if self.allow_missing or trial else {}
        return {**shares, **trial.to_json()}


@contextmanager
def open_reading(
    manifest: Manifest,
    ledger: Path,
    execution: Execution,
    *,
    unblind: bool = False,
    allow_missing: bool = False,
    trial: Trial | None = None,
) -> Iterator[Reading]:
    """Look at the ntuples of a manifest, and start what processes them.

    With `allow_missing` files and chunks that cannot be read are left out, a `trial` takes a part
    of every dataset: what is left is rescaled. Measured data is blinded unless `unblind` is set.

    Raises:
        InputError: If anything is wrong with a file, or with the executor.
    """
    looked_at = preflight(manifest, allow_missing=allow_missing)
    inputs = Inputs(manifest, *looked_at, trial or Trial())
    with open_executor(execution, inputs.processed.total()) as executor:
        yield Reading(inputs, executor, Ledger(ledger), unblind, allow_missing)
