"""The input of a stage: which chunks there are, which are missing, and what that means.

Usually nothing may be missing. If the user allows it, normalisations are rescaled by the share
of a dataset that was processed, which has to be known exactly.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from punzinet.analysis.io.errors import InputError
from punzinet.processors.datasets import Chunk, split
from punzinet.processors.ntuples.preflight import (
    InputFile,
    MissingFile,
    expected_entries,
    preflight,
)
from punzinet.processors.ntuples.trial import Trial

if TYPE_CHECKING:
    from punzinet.analysis.manifest.manifest import Manifest


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything a stage reads."""

    manifest: "Manifest"  # says what there should be
    files: tuple[InputFile, ...]
    missing: tuple[MissingFile, ...] = ()
    trial: Trial = field(default_factory=Trial)
    lost: Mapping[Chunk, str] = field(default_factory=dict)  # unreadable chunks of files, and why

    def chunks(self) -> list[Chunk]:
        """All chunks to process."""
        size = self.manifest.features.chunk_size
        planned = [
            chunk
            for file in self.files
            for chunk in split(file.dataset, file.location, file.entries, size)
        ]
        whole = {name for name, one in self.manifest.datasets.items() if one.mixes_masses}
        limited = set(self.trial.take(chunk for chunk in planned if chunk.dataset not in whole))
        return [
            chunk
            for chunk in planned
            if chunk not in self.lost and (chunk.dataset in whole or chunk in limited)
        ]

    @cached_property
    def processed(self) -> Counter[str]:
        """Entries that are processed, by dataset."""
        entries: Counter[str] = Counter()
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
        total = sum(
            expected_entries(section, file.path) or file.entries
            for file in self.files
            if file.dataset == dataset
        )
        for gone in self.missing:
            if gone.dataset == dataset:
                if gone.entries is None:
                    raise InputError(
                        f"{gone.problem} To go on without it, say under `datasets.{dataset}."
                        "entries` how many entries there should be: the normalisation of what is "
                        "left depends on it."
                    )
                total += gone.entries
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

    def without(self, problems: Mapping[Chunk, str]) -> "Inputs":
        """The same input without chunks that turned out to be unreadable."""
        return replace(self, lost={**self.lost, **problems})

    def to_json(self) -> list[dict[str, Any]]:
        """All that is missing, and why."""
        path = {file.location: file.path for file in self.files}
        rows: list[dict[str, Any]] = [
            {"dataset": gone.dataset, "file": gone.path, "entries": gone.entries,
             "reason": gone.problem}
            for gone in self.missing
        ]  # fmt: skip
        return rows + [
            {"dataset": chunk.dataset, "file": path[chunk.file], "first": chunk.start,
             "entries": chunk.entries, "reason": why}
            for chunk, why in sorted(self.lost.items())
        ]  # fmt: skip


def take_inputs(manifest: "Manifest", *, allow_missing: bool, trial: Trial | None = None) -> Inputs:
    """Look at all input files.

    Raises:
        InputError: If anything is wrong with a file and nothing may be missing.
    """
    files, missing = preflight(manifest, allow_missing=allow_missing)
    return Inputs(manifest, tuple(files), tuple(missing), trial or Trial())
