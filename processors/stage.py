"""One stage of the chain: it re-runs only if something it depends on has changed.

A finished stage leaves a record of what it depended on (the settings it reads, the records
of the stages before it, size and time of files from outside) and of what it wrote. It is up
to date while all of that still holds. Executor and number of workers are no dependency: they
do not change a byte. Neither is where a training runs and keeps its events: that changes its
result by rounding only.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.io.files import cannot_write, is_file, read_json, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.provenance import digest, versions
from punzinet.processors.reasons import command_of, reasons

#: Bytes at the beginning of a ROOT file that hold its UUID, and where everything else lies.
_HEAD = 100


@dataclass
class Stage:
    """One stage of the chain and everything its result depends on.

    Attributes:
        name: The command that runs it.
        output: The folder all stages share.
        settings: What it reads from the manifest, as JSON can express it.
        after: Stages whose output it reads.
        files: Input files from outside, paths or URLs.
        begun: When this run of it began, None before that.
    """

    name: str
    output: OutputFolder
    settings: Any
    after: tuple[str, ...] = ()
    files: Sequence[str] = ()
    begun: datetime | None = field(default=None, init=False)

    def fingerprint(self) -> str:
        """Digest of everything the result depends on.

        Raises:
            InputError: If a stage that has to come before has not run.
        """
        inputs = self._inputs()
        return digest({**inputs, "after": list(inputs["after"].values())})

    def _inputs(self) -> dict[str, Any]:
        """Everything the result depends on.

        Raises:
            InputError: If a stage that has to come before has not run.
        """
        return {
            "version": versions()["punzinet"],
            "settings": self.settings,
            "after": {name: _read_record(self.output, name)["fingerprint"] for name in self.after},
            "files": [_state(name) for name in self.files],
        }

    def reasons(self) -> list[str]:
        """Why the stage has to run; nothing if it is up to date.

        Raises:
            InputError: If a stage that has to come before has not run.
        """
        inputs = self._inputs()
        if not _record_path(self.output, self.name).exists():
            return ["it has not run to its end"]
        record = _read_record(self.output, self.name)
        if record["fingerprint"] == self.fingerprint():
            return [
                f"{name} is gone or has changed"
                for name, size in record["outputs"].items()
                if _size(self.output.root / name) != size
            ]
        return reasons(record.get("inputs", {}), inputs) or ["what it depends on has changed"]

    def is_up_to_date(self) -> bool:
        """Whether the stage has run on exactly these inputs and all it wrote is still there."""
        return _record_path(self.output, self.name).exists() and not self.reasons()

    def begin(self) -> None:
        """Forget the last run, so that one that is cut off is never taken for finished.

        Raises:
            InputError: If the output folder cannot be written to.
        """
        path = _record_path(self.output, self.name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            _failure_path(self.output, self.name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(cannot_write(self.output.root, error)) from error
        self.begun = datetime.now(UTC)

    def fail(self, reason: str) -> None:
        """Leave word of why a run that has begun did not come to its end, if that can be written.

        Args:
            reason: The sentence that it ended with.
        """
        if not _record_path(self.output, self.name).exists():
            with suppress(OutputError, OSError):
                write_json(_failure_path(self.output, self.name), {"reason": reason})

    def finish(self, outputs: Iterable[Path]) -> None:
        """Record that the stage ran to its end.

        Args:
            outputs: Every file it wrote under the output folder.
        """
        root = self.output.root
        sizes = {str(path.relative_to(root)): _size(path) for path in sorted(outputs)}
        record: dict[str, Any] = {
            "fingerprint": self.fingerprint(),
            "inputs": self._inputs(),
            "outputs": sizes,
        }
        if self.begun is not None:
            record["started"] = self.begun.isoformat(" ", "seconds").removesuffix("+00:00")
            record["seconds"] = round((datetime.now(UTC) - self.begun).total_seconds(), 1)
        write_json(_record_path(self.output, self.name), record)


def is_finished(output: OutputFolder, name: str) -> bool:
    """Whether the last run of a stage came to its end, whatever has changed since."""
    return _record_path(output, name).is_file()


def failure_of(output: OutputFolder, name: str) -> list[str]:
    """Why the last run of a stage failed, in one sentence; nothing if it did not.

    Args:
        output: The folder all stages share.
        name: The stage.

    Raises:
        InputError: If what is left of it is damaged.
    """
    path = _failure_path(output, name)
    if not path.exists():
        return []
    content = read_json(path, f"punzinet {command_of(name)}")
    reason = content.get("reason") if isinstance(content, dict) else None
    if not isinstance(reason, str):
        raise InputError(f"{path} is damaged; delete it.")
    return [reason]


def _record_path(output: OutputFolder, name: str) -> Path:
    """Where the record of a stage lies."""
    return output.stages / f"{name}.json"


def _failure_path(output: OutputFolder, name: str) -> Path:
    """Where it lies why the last run of a stage failed."""
    return output.stages / f"{name}.failed"


def _read_record(output: OutputFolder, name: str) -> dict[str, Any]:
    """The record of a stage that has run.

    Raises:
        InputError: If it has not, or the record is damaged.
    """
    path, command = _record_path(output, name), command_of(name)
    if not path.exists():
        raise InputError(f"`punzinet {command}` has not run in {output.root}; run it first.")
    record = read_json(path, f"punzinet {command}")
    if not (
        isinstance(record, dict)
        and isinstance(record.get("fingerprint"), str)
        and isinstance(record.get("outputs"), dict)
    ):
        raise InputError(f"{path} is damaged; delete it and run `punzinet {command}` again.")
    return record


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
