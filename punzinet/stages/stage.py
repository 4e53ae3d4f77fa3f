"""A stage of the chain: its declaration, the record it leaves, and whether that still holds.

The record says what the result depends on (the settings that the stage reads, the results of the
stages before it, size and time of files from outside) and which files were written, with their
digests. The stage is up to date while all of that still holds. No file is ever removed that no
record names. Executor and number of workers are no dependency: they do not change a byte. Neither
is where a training runs and keeps its events, which changes rounding only.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from punzinet.analysis.io import files
from punzinet.analysis.io.output import OutputFolder, changes, digest, versions
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.stages.options import KEPT, Context, Options

NOT_RUN = "it has not run to its end"
Written = Sequence[Path]  # all files that a stage wrote
#: Bytes at the beginning of a ROOT file that hold its UUID, and where everything else lies.
_HEAD = 100


class StageRecord(BaseModel, extra="forbid"):
    """What a stage leaves when it has run to its end."""

    inputs: dict[str, Any]
    outputs: dict[str, str]  # digest of each file that it wrote
    options: dict[str, Any]
    started: str  # UTC
    seconds: float
    seal: str = ""  # digest of all this and the name of the stage

    @property
    def result(self) -> str:
        """Digest of what went in and what came out, on which later stages depend."""
        return digest([self.inputs, self.outputs])

    def sealed(self, name: str) -> str:
        """The seal of the record of a stage."""
        return digest([name, self.model_dump(exclude={"seal"})])


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the chain."""

    name: str  # in most cases that of its command
    #: Does the work and returns all files written; None in a process that only helps another. Its
    #: docstring is the help of the command.
    run: Callable[[Context], Written | None]
    reads: tuple[str, ...] = ()  # sections of the manifest that its result depends on
    #: What else its result depends on; takes precedence over sections.
    also: Callable[[Context], Mapping[str, Any]] = lambda _: {}
    after: tuple["Stage", ...] = ()  # stages whose results it reads
    shows: Callable[[Context], Iterable["Stage"]] = lambda _: ()  # and those it reads if there
    files: Callable[[Context], Sequence[str]] = lambda _: ()  # paths or URLs from outside
    writes: tuple[str, ...] = ()  # main results, below the output folder
    finds: str = ""  # pattern by which later stages find results: nothing else may match it
    #: Options that change its result; its record keeps them, to tell if it is up to date with them.
    options: tuple[str, ...] = ()
    further_options: tuple[str, ...] = ()  # of its command, which the record does not keep
    command: str = ""  # what runs it, if that is not its name
    together: bool = False  # whether processes that torchrun started share its work
    wanted: Callable[[Manifest], bool] = lambda _: True  # whether there is anything to do
    #: Checks its input, or prints, before it is asked whether it is up to date.
    prepare: Callable[[Context], None] = lambda _: None
    #: The stages that its command runs, if that is not this one alone.
    parts: Callable[[Context], Iterable["Stage"]] | None = None

    @property
    def typed(self) -> str:
        """The command that runs it, as a user types it."""
        return f"punzinet {self.command or self.name}"

    def before(self, context: Context) -> list["Stage"]:
        """Stages whose results it reads as things are."""
        shown = [stage for stage in self.shows(context) if stage.has_begun(context.output)]
        return [stage for stage in (*self.after, *shown) if stage.wanted(context.manifest)]

    def found(self, context: Context) -> set[Path]:
        """The files that these stages left; InputError if one of them has not run to its end."""
        output = context.output
        records = (stage.record(output) for stage in self.before(context))
        return {output.root / name for record in records for name in record.outputs}

    def has_run(self, output: OutputFolder) -> bool:
        """Whether its last run came to its end, whatever has changed since."""
        return self._path(output).is_file()

    def has_begun(self, output: OutputFolder) -> bool:
        """Whether there is any result of it, of a whole run or not."""
        return self.has_run(output) or any((output.root / name).exists() for name in self.writes)

    def record(self, output: OutputFolder, suffix: str = "json") -> StageRecord:
        """What its last run left; InputError if that is not there or damaged."""
        path = self._path(output, suffix)
        with files.read_result(path, "record of a stage", self.typed) as content:
            record = StageRecord.model_validate(content, strict=True)
        if record.seal != record.sealed(self.name):
            raise files.InputError(
                f"{path} has changed since `{self.typed}` wrote it; delete it and run that again."
            )
        return record

    def changed(self, output: OutputFolder, outputs: Mapping[str, str]) -> list[str]:
        """Files that are not as its record says; InputError if later stages would find others."""
        self._refuse_others(output, outputs)
        root = output.root
        return [name for name, then in outputs.items() if files.file_digest(root / name) != then]

    def _refuse_others(self, output: OutputFolder, outputs: Mapping[str, str]) -> None:
        found = output.root.glob(self.finds) if self.finds else ()
        if others := sorted({str(path.relative_to(output.root)) for path in found} - {*outputs}):
            more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
            raise files.InputError(
                f"{output.root / others[0]}{more} is no file of the last `{self.typed}`, and would "
                "be read as one: move it out of there, or delete it."
            )

    def check(self, output: OutputFolder) -> None:
        """InputError if it has not run to its end, or its results are not as it left them."""
        for name in self.changed(output, self.record(output).outputs):
            raise files.InputError(
                f"{output.root / name} is gone or has changed; run `{self.typed}` again."
            )

    def check_order(self, output: OutputFolder) -> None:
        """InputError if it has not run to its end, or a stage before it has run again since."""
        then = self.record(output).inputs["after"]
        before = [stage for stage in self.after if stage.name in then]
        for stage in before:
            stage.check_order(output)
        for stage in before:
            if stage.record(output).result != then[stage.name]:
                raise files.InputError(
                    f"In {output.root} `{stage.typed}` has run again since `{self.typed}`; run "
                    "that again, too."
                )

    def of_last_run(self, context: Context, *, network: bool = False) -> Context:
        """The same with the options of its last run; its network too only if `network` says so.

        Data that features have hidden since stays hidden.
        """
        if not self.has_run(context.output):
            return context
        kept = self.record(context.output).options
        given = {name: getattr(Options, name) for name in KEPT}
        given |= {name: kept[name] for name in self.options if name in kept}
        if not network:
            given["network"] = context.options.network
        asked = context.with_options(**given)
        data = [one for one in self.before(asked) if one.name == "data"]
        hidden = any(not one.record(context.output).options.get("unblind") for one in data
                     if one.has_run(context.output))  # fmt: skip
        return asked.with_options(unblind=False) if hidden else asked

    def inputs(self, context: Context) -> dict[str, Any]:
        """Everything that the result depends on: version, settings, stages before and files."""
        output = context.output
        settings = context.manifest.model_dump(mode="json", include=set(self.reads))
        before = (stage for stage in self.before(context) if stage.has_run(output))
        return {
            "version": versions()["punzinet"],
            "settings": {**settings, **self.also(context)},
            "after": {stage.name: stage.record(output).result for stage in before},
            "files": [_state(name) for name in self.files(context)],
        }

    def begin(self, output: OutputFolder) -> datetime:
        """Put the last record aside, lest a run cut off count as finished; InputError if it cannot.

        Nor may there be a link to elsewhere where it writes.
        """
        files.refuse_links(output.root, [".ledger", ".stages", *self.writes, *self._last(output)])
        try:
            output.stages.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                self._path(output).replace(self._path(output, "last"))
            self._path(output, "failed").unlink(missing_ok=True)
        except OSError as error:
            raise files.OutputError(files.cannot_write(output.root, error)) from error
        return datetime.now(UTC)

    def finish(self, context: Context, written: Written, begun: datetime) -> None:
        """Record that it ran to its end, and remove what only its last run wrote.

        InputError if there is something else that later stages would read.
        """
        output = context.output
        outputs = {
            str(path.relative_to(output.root)): files.file_digest(path) for path in sorted(written)
        }
        record = StageRecord(
            inputs=self.inputs(context),
            outputs=outputs,
            options={name: getattr(context.options, name) for name in self.options},
            started=begun.isoformat(" ", "seconds").removesuffix("+00:00"),
            seconds=round((datetime.now(UTC) - begun).total_seconds(), 1),
        )
        record.seal = record.sealed(self.name)
        for name, then in self._last(output).items():
            path = output.root / name
            if name not in record.outputs and files.file_digest(path) == then:
                with suppress(OSError):
                    path.unlink()
                    path.parent.rmdir()  # if there is nothing else
        files.write_json(self._path(output), record.model_dump())
        self._path(output, "last").unlink(missing_ok=True)
        self._refuse_others(output, outputs)

    def _last(self, output: OutputFolder) -> dict[str, str]:
        """What the last run wrote that came to its end, whatever has begun since, if known."""
        with suppress(files.InputError):
            return self.record(output, "json" if self.has_run(output) else "last").outputs
        return {}

    def fail(self, output: OutputFolder, reason: str) -> None:
        """Leave word of why a run did not come to its end, if that can be written."""
        with suppress(files.OutputError, OSError):
            files.write_json(self._path(output, "failed"), {"reason": reason})

    def failure(self, output: OutputFolder) -> list[str]:
        """Why its last run failed, in one sentence, if it did; InputError if that is damaged."""
        path = self._path(output, "failed")
        if not path.exists():
            return []
        with files.read_result(path, "reason of a failure", self.typed) as content:
            return [str(content["reason"])]

    def _path(self, output: OutputFolder, suffix: str = "json") -> Path:
        """Where its record lies, or why its last run failed."""
        return output.stages / f"{self.name}.{suffix}"


def _state(name: str) -> list[Any]:
    """Name, size, time and digest of the first bytes of a local file.

    The first bytes of a ROOT file hold its UUID: it tells the file from another one of the same
    size and time. A URL or a missing file is known by its name alone.
    """
    path = Path(name.removeprefix("file://"))
    if not files.is_file(path):
        return [name]
    status, head = path.stat(), b""
    with suppress(OSError), path.open("rb") as file:  # the stage itself says what it cannot read
        head = file.read(_HEAD)
    return [name, status.st_size, status.st_mtime_ns, digest(head.hex())]


class OutOfDate(NamedTuple):
    """A stage that has to run again; without reasons if only because of a stage before it."""

    stage: Stage
    context: Context
    reasons: list[str]

    @property
    def typed(self) -> str:
        """The command with the options that are not the usual ones, as a user types it."""
        typed = self.stage.typed
        for name in self.stage.options:
            if (value := getattr(self.context.options, name)) != getattr(Options, name):
                for one in value if isinstance(value, list) else [value]:
                    typed += f" --{name.replace('_', '-')}" + ("" if one is True else f" {one}")
        return f"`{typed}`"


def reasons(stage: Stage, context: Context) -> list[str]:
    """Why a stage has to run, stages before it being as they are; nothing if it is up to date.

    InputError if a record is damaged, or input files are not there.
    """
    output = context.output
    try:
        last = stage.record(output)
    except files.InputError:
        if stage.has_run(output):
            raise
        return [NOT_RUN]  # or another process of torchrun has just put its record aside
    now = stage.inputs(context)
    if digest(last.inputs) == digest(now):
        return [f"{name} is gone or has changed" for name in stage.changed(output, last.outputs)]
    commands = {one.name: one.typed for one in stage.before(context)}
    return differences(last.inputs, now, commands) or ["what it depends on has changed"]


def out_of_date(stage: Stage, context: Context) -> list[OutOfDate]:
    """Stages before one that have to run again, in the order in which they have to.

    Each of them is asked with the options of its last run, so that a trial run stays one; the
    network is that of the stage that asks. InputError if a record is damaged, or files are missing.
    """
    found: dict[str, OutOfDate] = {}
    asked: set[str] = set()

    def ask(one: Stage, its_own: Context) -> None:
        for earlier in one.before(its_own):
            if earlier.name in asked:
                continue
            asked.add(earlier.name)
            last = earlier.of_last_run(its_own)
            ask(earlier, last)
            why = reasons(earlier, last)
            if why or any(other.name in found for other in earlier.before(last)):
                found[earlier.name] = OutOfDate(earlier, last, why)

    ask(stage, context)
    return list(found.values())


def refusal(stage: Stage, stale: Sequence[OutOfDate], context: Context) -> str:
    """Say which stages have to run before one, why, and what to type."""
    causes, folder, manifest = [], context.output.root, context.options.manifest
    for one in stale:
        if one.reasons == [NOT_RUN]:
            causes.append(f"{one.typed} has not run in {folder}")
        elif one.reasons:
            first, *others = one.reasons
            why = f"{first} and {len(others)} more" if others else first
            causes.append(f"{one.typed} in {folder} is out of date with {manifest}: {why}")
    *before, last = dict.fromkeys(one.typed for one in stale)
    commands = f"{', '.join(before)} and {last}" if before else last
    return f"{'; '.join(causes)}. Run {commands} first, or `{stage.typed} --upstream`."


def differences(
    then: Mapping[str, Any], now: Mapping[str, Any], commands: Mapping[str, str]
) -> list[str]:
    """One line for each difference between `Stage.inputs` of two runs.

    Of the stages before it, `commands` says what to type.
    """
    then, now = (json.loads(json.dumps(one, default=str)) for one in (then, now))
    old, new = then["after"], now["after"]
    again = dict.fromkeys(commands[name] for name in new if old.get(name) != new[name])
    lines = [
        *changes("version of punzinet", then["version"], now["version"]),
        *changes("", then["settings"], now["settings"]),
        *(f"`{command}` has run again" for command in again),
    ]
    old, new = ({name: state for name, *state in one["files"]} for one in (then, now))
    lines += [f"input file {name} is new" for name in new if name not in old]
    lines += [f"input file {name} is not used any more" for name in old if name not in new]
    changed = [name for name in new if name in old and old[name] != new[name]]
    return lines + [f"input file {name} has changed" for name in changed]
