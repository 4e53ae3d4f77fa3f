"""How a stage reads its ntuples: which chunks there are, which are missing, and what that means.

Usually nothing may be missing. If the user allows it, normalisations are rescaled by the share
of a dataset that was processed, which has to be known exactly. So they are in a trial run, which
takes the first files or chunks of every dataset. This takes for granted that these are like the
others. Signal of several masses in one dataset is processed whole: nothing says how many events
of which mass its first files hold.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from coffea.processor.executor import ExecutorBase

from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors import datasets, preflight
from punzinet.processors.datasets import Chunk, ChunkProcessor, DatasetInfo
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.preflight import InputFile, MissingFile
from punzinet.processors.runner import run_processor


@dataclass(eq=False)
class Reading:
    """The ntuples of a stage, and what they are processed with."""

    manifest: Manifest  # says what there should be
    files: Sequence[InputFile]
    missing: Sequence[MissingFile]
    ledger: Path
    allow_missing: bool = False  # leave out files that are gone, and rescale what is left
    unblind: bool = False  # show all of the data
    nominal: Manifest | None = None  # has the datasets that the ones to be read are variations of
    #: How many ``files`` and ``chunks`` of every dataset a trial run takes, None for all.
    trial: Mapping[str, int | None] = field(default_factory=dict)
    executor: ExecutorBase = field(init=False)

    def chunks(self) -> list[Chunk]:
        """All chunks to process."""
        size = self.manifest.features.chunk_size
        found: list[Chunk] = []
        for name, own in itertools.groupby(self.files, attrgetter("dataset")):
            trial = {} if self.manifest.datasets[name].mixes_masses else self.trial
            files = itertools.islice((file for file in own if file.entries), trial.get("files"))
            chunks = (
                chunk
                for file in files
                for chunk in datasets.split(name, file.location, file.entries, size)
            )
            found += itertools.islice(chunks, trial.get("chunks"))
        return found

    def entries(self) -> Counter[str]:
        """Entries that are processed, by dataset."""
        entries = Counter[str]()
        for chunk in self.chunks():
            entries[chunk.dataset] += chunk.entries
        return entries

    def expected(self, dataset: str) -> int:
        """Entries that a dataset should have; InputError if those of a missing file are unknown."""
        entries = self.manifest.datasets[dataset].entries
        if isinstance(entries, int):
            return entries
        own = [file for file in self.files if file.dataset == dataset]
        gone = [file for file in self.missing if file.dataset == dataset]
        for file in (file for file in gone if file.entries is None):
            raise InputError(
                f"{file.reason} To go on without it, say under `datasets.{dataset}.entries` how "
                "many entries there should be: the normalisation of what is left depends on it."
            )
        there = sum(file.expected or file.entries for file in own)
        return there + sum(file.entries or 0 for file in gone)

    def shares(self) -> dict[str, float]:
        """Processed share of each dataset that is not processed whole.

        InputError if a share is unknown, zero, more than all, or different for each mass.
        """
        found, entries = {}, self.entries()
        for name, section in self.manifest.datasets.items():
            processed, expected = entries[name], self.expected(name)
            if processed == expected:
                continue
            if not 0 < processed < expected:
                raise InputError(
                    f"Dataset {name}: {processed} entries can be read of {expected} expected ones; "
                    "correct `files` or `entries`, or leave the dataset out."
                )
            if section.mixes_masses:
                raise InputError(
                    f"Dataset {name}: {expected - processed} entries are missing, and nothing says "
                    "of which generated mass they are; repair the files, or give the files of each "
                    "mass a dataset of their own with `mass`."
                )
            found[name] = processed / expected
        return found

    def describe(self) -> dict[str, DatasetInfo]:
        """What processors have to know of all datasets; InputError as for `shares`."""
        given = self.manifest, self.files, self.shares()
        return datasets.describe_datasets(*given, unblind=self.unblind, nominal=self.nominal)

    def process(
        self, processor: ChunkProcessor, step: str, title: str, only: Sequence[Chunk] | None = None
    ) -> dict[Chunk, Any]:
        """Run a processor over all chunks, or some, and return their results in their order.

        InputError if anything is wrong with the input.
        """
        return run_processor(
            processor, self.files, self.chunks() if only is None else only, self.executor,
            step=self.ledger / step, title=title,
        )  # fmt: skip

    def processed(self) -> dict[str, Any]:
        """What provenance says of shares that were processed, if there may be any."""
        shares = {"processed": self.shares()} if self.allow_missing or self.trial else {}
        return {**shares, **({"trial": dict(self.trial)} if self.trial else {})}


@contextmanager
def open_reading(
    manifest: Manifest, ledger: Path, execution: Execution, **options: Any
) -> Iterator[Reading]:
    """Look at the ntuples of a manifest, and start what processes them.

    The options are `allow_missing`, `unblind`, `nominal` and `trial` of a `Reading`. InputError if
    anything is wrong with a file, or with the executor.
    """
    files = preflight.preflight(manifest, allow_missing=options.get("allow_missing", False))
    reading = Reading(manifest, *files, ledger, **options)
    with open_executor(execution, reading.entries().total()) as reading.executor:
        yield reading
