"""Trial runs: the first files or chunks of every dataset only.

What is left is scaled up by the share of entries that is processed, so that efficiencies and
event numbers keep their meaning, with larger errors. This takes for granted that the first files
of a dataset are like the others. Signal of several masses in one dataset is processed whole:
nothing says how many events of which mass its first files hold. Every result of a trial says so.
"""

from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from punzinet.analysis.io.files import read_result
from punzinet.analysis.io.output import OutputFolder

if TYPE_CHECKING:
    # Not at run time: the command line has to know of trials, and coffea is slow to import.
    from punzinet.processors.datasets import Chunk

Limit = Annotated[int, Field(strict=True, ge=1)]


@dataclass(frozen=True, config={"extra": "forbid"})
class Trial:
    """How much of every dataset is processed: so many of its files and chunks, None for all."""

    files: Limit | None = None
    chunks: Limit | None = None

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return self != Trial()

    def to_json(self) -> dict[str, dict[str, int | None]]:
        """What provenance says of them: nothing if there are none."""
        return {"trial": asdict(self)} if self else {}

    def take(self, chunks: Iterable["Chunk"]) -> list["Chunk"]:
        """The chunks that a trial run processes, of chunks in order of dataset and file."""
        taken: list[Chunk] = []
        for _, own in groupby(chunks, attrgetter("dataset")):
            files = islice(groupby(own, attrgetter("file")), self.files)
            taken += islice(chain.from_iterable(group for _, group in files), self.chunks)
        return taken


def processed_of(output: OutputFolder, stage: str = "features") -> dict[str, Any]:
    """What provenance of all that is made of a stage's results says if they are of a part only.

    That is the trial of features or select, and the processed share of datasets. InputError if what
    it left is damaged: then nobody knows whether it was a trial run.
    """
    path = output.completeness if stage == "features" else output.selection_cutflow
    if not path.exists():
        return {}
    with read_result(path, "counts and provenance", f"punzinet {stage}") as content:
        settings = content["provenance"]["settings"]
        shares = {name: float(share) for name, share in settings.get("processed", {}).items()}
        trial = Trial(**settings.get("trial", {}))
    return {**({"processed": shares} if shares else {}), **trial.to_json()}
