"""The options of all stages, what a stage runs on, and the terminal that it talks to."""

import codecs
import os
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from rich.console import Console
from rich.text import Text
from typer import Option

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.workers import rank_and_count
from punzinet.analysis.manifest.manifest import Manifest, load_manifest

if TYPE_CHECKING:
    from punzinet.processors.executors import Execution

#: Only the first of the processes that torchrun started prints.
SILENT = rank_and_count()[0] > 0
#: How text is encoded for terminals that do not know all of its letters, see `in_plain_letters`.
PLAIN = "punzinet-plain"
_PLAIN_LETTERS = {"⁻": "^-", "¹": "1", "²": "^2", "±": "+-", "–": "-", "′": "'", "√": "sqrt"}
#: CPUs that this process may use, or all where the system does not say.
WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
#: Options of every stage.
SHARED = ("manifest", "output", "scale", "executor", "workers", "scheduler", "force", "dry_run",
          "upstream")  # fmt: skip
#: Options that change results; each stage keeps those of its own in its record.
KEPT = ("unblind", "allow_missing", "limit_files", "limit_chunks", "networks", "network",
        "inject", "compare")  # fmt: skip

Executor = StrEnum("Executor", "AUTO ITERATIVE FUTURES DASK PARSL")


def in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """Write σ as sigma, fb⁻¹ as fb^-1, and letters of other names by number: for `PLAIN`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error

    def plain(letter: str) -> str:
        words = unicodedata.name(letter, "?").split()
        known = words[-1].lower() if words[0] == "GREEK" else _PLAIN_LETTERS.get(letter, letter)
        return known.encode("ascii", "backslashreplace").decode()

    return "".join(map(plain, error.object[error.start : error.end])), error.end


codecs.register_error(PLAIN, in_plain_letters)


class Terminal(Console):
    """A console for terminals of any encoding; what nobody reads any more is of no consequence."""

    def render_str(self, text: str, **how: Any) -> Text:
        """Write in letters that the terminal has, before tables are laid out."""
        return super().render_str(text.encode(self.encoding, PLAIN).decode(self.encoding), **how)

    def on_broken_pipe(self) -> None:
        """Go on in silence: a stage finishes its work."""
        with suppress(SystemExit):
            super().on_broken_pipe()


# Without markup: folders and branches may have brackets in their names.
console = Terminal(highlight=False, markup=False, quiet=SILENT)


@dataclass(frozen=True)
class Options:
    """All options of all stages; each stage names those of its own."""

    # fmt: off
    manifest: Annotated[Path, Option(
        "--manifest", "-m", help="what is analysed, and with which settings"
    )] = Path("data_manifest.yaml")
    output: Annotated[Path, Option("--output", "-o", help="folder of all results")] = Path("output")
    scale: Annotated[str, Option(
        help="size of the default data: default, paper or one of `simulation.scales`")] = "default"
    executor: Annotated[Executor, Option(
        help="where chunks are processed. iterative: this process; futures: one process a worker; "
        "auto: the first for few events, else the second; dask, parsl: also on clusters",
    )] = Executor.AUTO
    workers: Annotated[int, Option(min=1, help="number of worker processes")] = WORKERS
    scheduler: Annotated[str | None, Option(
        help="running Dask cluster to join, tcp://host:8786, with --executor dask")] = None
    force: Annotated[bool, Option("--force", help="run even if nothing has changed")] = False
    dry_run: Annotated[bool, Option(
        "--dry-run", help="say whether the stage would run and why, and do nothing")] = False
    upstream: Annotated[bool, Option(
        "--upstream", help="run earlier stages that are out of date first")] = False
    network: Annotated[str, Option(help="network whose single cut is used")] = "punzi-00"
    unblind: Annotated[bool, Option(
        "--unblind", help="see all of the data, not only what `blinding` allows")] = False
    inject: Annotated[list[str] | None, Option(
        help="judge pseudo-data instead of data: none, or signal by mass and cross-section, such "
        "as 2.5:3fb; repeat it")] = None
    allow_missing: Annotated[bool, Option(
        "--allow-missing", help="go on without files that cannot be opened, and rescale")] = False
    limit_files: Annotated[int | None, Option(
        min=1, help="trial run: first files of every dataset, scaled up to all")] = None
    limit_chunks: Annotated[int | None, Option(
        min=1, help="trial run: first chunks of every dataset, scaled up to all")] = None
    networks: Annotated[int | None, Option(
        min=1, help="independent networks, by default as in the manifest (train: as before)"
    )] = None
    device: Annotated[str | None, Option(
        help="cpu, cuda or mps: where to train; the manifest's by default")] = None
    resume: Annotated[bool, Option(
        "--resume/--restart", help="continue an interrupted training, or throw it away")] = True
    studies: Annotated[bool, Option(
        "--studies", help="vary the recipe, one thing at a time, as well")] = False
    vary: Annotated[list[str] | None, Option(
        help="one of these variations, such as wide or seed; repeat it")] = None
    compare: Annotated[str | None, Option(
        help="output folder of another run, to be shown beside this one")] = None
    # fmt: on


class Context:
    """What a stage runs on: the options, the manifest and the output folder."""

    def __init__(self, options: Options, load: Callable[[], Manifest] | None = None) -> None:
        self.options = options
        self.output = OutputFolder(options.output)
        self._load = load or cache(
            lambda: load_manifest(options.manifest, self.output, options.scale)
        )

    @property
    def manifest(self) -> Manifest:
        """The manifest, read when it is first needed; InputError if anything is wrong with it."""
        return self._load()

    def with_options(self, **changes: Any) -> Self:
        """The same with other options."""
        return type(self)(replace(self.options, **changes), self._load)

    @property
    def trial(self) -> dict[str, dict[str, int | None]]:
        """How much of every dataset is processed, as provenance says it: nothing if that is all."""
        limits = {"files": self.options.limit_files, "chunks": self.options.limit_chunks}
        return {"trial": limits} if any(limits.values()) else {}

    @property
    def reading(self) -> dict[str, Any]:
        """What of the ntuples may be seen and left out, as `open_reading` takes it."""
        on = self.options
        return {"unblind": on.unblind, "allow_missing": on.allow_missing, **self.trial}

    @property
    def execution(self) -> "Execution":
        """Where chunks are processed."""
        from punzinet.processors.executors import Execution

        return Execution(self.options.executor, self.options.workers, self.options.scheduler)
