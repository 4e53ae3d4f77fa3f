"""A stage of the chain: its declaration, and the record that it leaves when it has run.

The record says what the result depends on (the settings that the stage reads, the records of the
stages before it, size and time of files from outside) and what was written. The stage is up to
date while all of that still holds. Executor and number of workers are no dependency: they do not
change a byte. Neither is where a training runs and keeps its events: that changes its result by
rounding only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.io.files import cannot_write, is_file, read_json, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.provenance import digest, versions
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.stages.options import KEPT, Context, Options

#: Bytes at the beginning of a ROOT file that hold its UUID, and where everything else lies.
_HEAD = 100


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the chain.

    Attributes:
        name: What it is called, in most cases like the command that runs it.
        run: What it does: it returns all files that it wrote, or None in a process that only
            helps another one. What it says in its docstring is the help of the command.
        reads: Sections of the manifest that its result depends on.
        also: What else its result depends on; takes precedence over sections.
        after: Stages whose results it reads.
        shows: Stages whose results it reads if there are any.
        files: Files from outside that it reads, paths or URLs.
        writes: Main results, below the output folder.
        options: Its own options.
        kept: Those that its record keeps: with them later stages ask whether it is up to date.
        command: Command that runs it, if that is not its name.
        wanted: Whether a manifest gives it anything to do.
        prepare: What is checked or said before it is asked whether it is up to date.
        parts: The stages that its command runs, if that is not this one alone.
    """

    name: str
    run: Callable[[Context], Sequence[Path] | None]
    reads: tuple[str, ...] = ()
    also: Callable[[Context], Mapping[str, Any]] = lambda _: {}
    after: tuple["Stage", ...] = ()
    shows: Callable[[Context], Iterable["Stage"]] = lambda _: ()
    files: Callable[[Context], Sequence[str]] = lambda _: ()
    writes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    command: str = ""
    wanted: Callable[[Manifest], bool] = lambda _: True
    prepare: Callable[[Context], None] = lambda _: None
    parts: Callable[[Context], Iterable["Stage"]] | None = None

    @property
    def typed(self) -> str:
        """The command that runs it, as a user types it."""
        return f"punzinet {self.command or self.name}"

    def before(self, context: Context) -> list["Stage"]:
        """Stages whose results it reads as things are."""
        shown = [stage for stage in self.shows(context) if stage.has_begun(context.output)]
        return [stage for stage in (*self.after, *shown) if stage.wanted(context.manifest)]

    def has_run(self, output: OutputFolder) -> bool:
        """Whether its last run came to its end, whatever has changed since."""
        return self._record_path(output).is_file()

    def has_begun(self, output: OutputFolder) -> bool:
        """Whether there is any result of it, of a whole run or not."""
        return self.has_run(output) or any((output.root / name).exists() for name in self.writes)

    def of_last_run(self, context: Context, *, network: bool = False) -> Context:
        """The same context with the options of its last run that change its result.

        The network is that of its last run only if `network` says so.
        """
        if not self.has_run(context.output):
            return context
        kept = self._read_record(context.output).get("options")
        given = {name: getattr(Options, name) for name in KEPT}
        given["network"] = context.options.network
        if isinstance(kept, dict):
            names = [name for name in self.kept if name in kept]
            given |= {name: kept[name] for name in names if network or name != "network"}
        return context.with_options(**given)

    def inputs(self, context: Context) -> dict[str, Any]:
        """Everything that the result depends on: version, settings, stages before and files."""
        output = context.output
        settings = context.manifest.model_dump(mode="json", include=set(self.reads))
        return {
            "version": versions()["punzinet"],
            "settings": {**settings, **self.also(context)},
            "after": {
                stage.name: stage._read_record(output)["fingerprint"]
                for stage in self.before(context)
                if stage.has_run(output)
            },
            "files": [_state(name) for name in self.files(context)],
        }

    def outputs_changed(self, output: OutputFolder) -> list[str]:
        """Files that it wrote and that are gone or of another size."""
        return [
            name
            for name, size in self._read_record(output)["outputs"].items()
            if _size(output.root / name) != size
        ]

    def recorded(self, output: OutputFolder) -> tuple[str, dict[str, Any]]:
        """Fingerprint and inputs of its last run."""
        record = self._read_record(output)
        inputs = record.get("inputs")
        return record["fingerprint"], inputs if isinstance(inputs, dict) else {}

    def begin(self, output: OutputFolder) -> datetime:
        """Forget the last run, so that one that is cut off is never taken for finished.

        Raises:
            InputError: If the output folder cannot be written to.
        """
        try:
            output.stages.mkdir(parents=True, exist_ok=True)
            self._record_path(output).unlink(missing_ok=True)
            self._failure_path(output).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(cannot_write(output.root, error)) from error
        return datetime.now(UTC)

    def finish(self, context: Context, outputs: Iterable[Path], begun: datetime) -> None:
        """Record that it ran to its end."""
        root, inputs = context.output.root, self.inputs(context)
        record = {
            "fingerprint": fingerprint(inputs),
            "inputs": inputs,
            "outputs": {str(path.relative_to(root)): _size(path) for path in sorted(outputs)},
            "options": {name: getattr(context.options, name) for name in self.kept},
            "started": begun.isoformat(" ", "seconds").removesuffix("+00:00"),
            "seconds": round((datetime.now(UTC) - begun).total_seconds(), 1),
        }
        write_json(self._record_path(context.output), record)

    def fail(self, output: OutputFolder, reason: str) -> None:
        """Leave word of why a run did not come to its end, if that can be written."""
        with suppress(OutputError, OSError):
            write_json(self._failure_path(output), {"reason": reason})

    def failure(self, output: OutputFolder) -> list[str]:
        """Why its last run failed, in one sentence; nothing if it did not.

        Raises:
            InputError: If what is left of it is damaged.
        """
        path = self._failure_path(output)
        if not path.exists():
            return []
        content = read_json(path, self.typed)
        reason = content.get("reason") if isinstance(content, dict) else None
        if not isinstance(reason, str):
            raise InputError(f"{path} is damaged; delete it.")
        return [reason]

    def _record_path(self, output: OutputFolder) -> Path:
        """Where its record lies."""
        return output.stages / f"{self.name}.json"

    def _failure_path(self, output: OutputFolder) -> Path:
        """Where it lies why its last run failed."""
        return output.stages / f"{self.name}.failed"

    def _read_record(self, output: OutputFolder) -> dict[str, Any]:
        """Its record.

        Raises:
            InputError: If that is damaged.
        """
        path = self._record_path(output)
        record = read_json(path, self.typed)
        if not (
            isinstance(record, dict)
            and isinstance(record.get("fingerprint"), str)
            and isinstance(record.get("outputs"), dict)
        ):
            raise InputError(f"{path} is damaged; delete it and run `{self.typed}` again.")
        return record


def fingerprint(inputs: Mapping[str, Any]) -> str:
    """Digest of everything a result depends on."""
    return digest({**inputs, "after": list(inputs["after"].values())})


def _state(name: str) -> list[Any]:
    """Name, size, time and digest of the first bytes of a local file.

    The first bytes of a ROOT file hold its UUID: it tells the file from another one of the same
    size and time. A URL or a missing file is known by its name alone.
    """
    path = Path(name.removeprefix("file://"))
    if "://" in str(path) or not is_file(path):
        return [name]
    status, head = path.stat(), b""
    with suppress(OSError), path.open("rb") as file:  # the stage itself says what it cannot read
        head = file.read(_HEAD)
    return [name, status.st_size, status.st_mtime_ns, digest(head.hex())]


def _size(path: Path) -> int:
    """Size of a file in bytes, -1 where there is none."""
    return path.stat().st_size if path.is_file() else -1
