"""The input of a stage: which chunks there are, which are missing, and what that means.

Usually nothing may be missing. If the user allows it, normalisations are rescaled by the share
of a dataset that was processed, which has to be known exactly.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from punzinet.analysis.io.errors import InputError
from punzinet.processors.datasets import Chunk, split
from punzinet.processors.ntuples.preflight import InputFile, MissingFile, expected_entries
from punzinet.processors.ntuples.trial import Trial

if TYPE_CHECKING:
    from punzinet.analysis.manifest.manifest import Manifest


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything a stage reads."""

    manifest: "Manifest"  # says what there should be
    files: Sequence[InputFile]
    missing: Sequence[MissingFile] = ()
    trial: Trial = field(default_factory=Trial)
    lost: Mapping[Chunk, str] = field(default_factory=dict)  # unreadable chunks of files, and why

    def chunks(self) -> list[Chunk]:
        """All chunks to process."""
        size = self.manifest.features.chunk_size
        by_file = (split(f.dataset, f.location, f.entries, size) for f in self.files)
        planned = list(itertools.chain.from_iterable(by_file))
        whole = {name for name, one in self.manifest.datasets.items() if one.mixes_masses}
        used = {chunk for chunk in planned if chunk.dataset in whole}
        used |= set(self.trial.take(chunk for chunk in planned if chunk not in used))
        return [chunk for chunk in planned if chunk in used and chunk not in self.lost]

    @cached_property
    def processed(self) -> Counter[str]:
        """Entries that are processed, by dataset."""
        entries = Counter[str]()
        for chunk in self.chunks():
            entries[chunk.dataset] += chunk.entries
        return entries

    def expected(self, dataset: str) -> int:
        """Entries that a dataset should have, by the manifest where it says so.

        Raises:
            InputError: If a file is missing and nothing says how many entries it has.
        """
        section = self.manifest.datasets[dataset]
        if isinstance(section.entries, int):
            return section.entries
        total = 0
        files: list[InputFile | MissingFile] = [*self.files, *self.missing]
        for file in (file for file in files if file.dataset == dataset):
            entries = expected_entries(section, file.path)
            if isinstance(file, InputFile):
                entries = entries or file.entries
            elif entries is None:
                raise InputError(
                    f"{file.problem} To go on without it, say under `datasets.{dataset}.entries` "
                    "how many entries there should be: the normalisation of what is left depends "
                    "on it."
                )
            total += entries
        return total

    def shares(self) -> dict[str, float]:
        """Processed share of each dataset that is not processed whole.

        Raises:
            InputError: If a share is unknown, zero, more than all, or different for each mass.
        """
        found = {}
        for name, section in self.manifest.datasets.items():
            processed, expected = self.processed[name], self.expected(name)
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

    def to_json(self) -> list[dict[str, Any]]:
        """All that is missing, and why."""
        rows: list[dict[str, Any]] = []
        for name, path, problem in self.missing:
            entries = expected_entries(self.manifest.datasets[name], path)
            rows.append({"dataset": name, "file": path, "entries": entries, "reason": problem})
        path_of = {file.location: file.path for file in self.files}
        for chunk, problem in sorted(self.lost.items()):
            where = {"file": path_of[chunk.file], "first": chunk.start, "entries": chunk.entries}
            rows.append({"dataset": chunk.dataset, **where, "reason": problem})
        return rows
