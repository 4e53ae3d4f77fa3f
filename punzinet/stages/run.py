"""Running a stage: what has to come before, one run at a time, and what is left of it."""

import errno
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from punzinet.analysis.io import files
from punzinet.analysis.io.workers import rank_and_count
from punzinet.processors.ledger import forget
from punzinet.stages.features import say_trial
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage, out_of_date, reasons, refusal

LOG = logging.getLogger(__name__)
#: Says who holds the lock, while somebody does.
HOLDER = ".running.json"
AGAIN = "a stage before it runs again"
_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


def run_command(stage: Stage, context: Context) -> None:
    """Run the stages of a command that are not up to date.

    InputError if an earlier stage is out of date, another run is at work, or an input is wrong.
    """
    planned: set[str] = set()
    for part in stage.parts(context) if stage.parts else (stage,):
        part.prepare(context)
        if part.wanted(context.manifest):
            _run_part(part, context, planned)


def _run_part(stage: Stage, context: Context, planned: set[str]) -> None:
    """Run a stage, and before it those that are out of date, if it is asked for to run them.

    In a dry run those `planned` so far would have run by then.
    """
    found = out_of_date(stage, context)
    stale = [earlier for earlier in found if earlier.stage.name not in planned]
    # Of several processes that torchrun started all would run them.
    if stale and (not context.options.upstream or rank_and_count()[1] > 1):
        raise files.InputError(refusal(stage, stale, context))
    for earlier in stale:
        earlier.stage.prepare(earlier.context)
        its_own = earlier.context.with_options(force=False)
        _run_if_needed(earlier.stage, its_own, earlier.reasons or [AGAIN])
    _run_if_needed(stage, context, [AGAIN] if found else reasons(stage, context))
    if context.options.dry_run:
        planned |= {stage.name, *(earlier.stage.name for earlier in stale)}


def _run_if_needed(stage: Stage, context: Context, why: Sequence[str]) -> None:
    """Run a stage if there are reasons to."""
    force = context.options.force
    for name in ("features", "select"):
        if any(one.name == name != stage.command for one in stage.after):  # it says so itself
            say_trial(context.output, name)
    if not why and not force:
        console.print(f"{stage.name}: up to date")
        return
    if context.options.dry_run:
        for reason in why or ["--force asks for it"]:
            console.print(f"{stage.name}: would run because {reason}", soft_wrap=True)
        return
    for reason in why:
        LOG.info("%s runs: %s", stage.name, reason)
    _run(stage, context)


def _run(stage: Stage, context: Context) -> None:
    """Run a stage, which has the output folder to itself."""
    output = context.output
    if stage.together and rank_and_count()[0] > 0:
        # The first of the processes that torchrun started holds the lock and keeps the record.
        stage.run(context)
        return
    with lock(output.root.absolute(), stage.name):
        files.remove_partial_files(output.root)
        begun = stage.begin(output)
        if context.options.force:
            forget(output.ledger(stage.name))
        try:
            written = stage.run(context)
        except files.InputError as error:
            stage.fail(output, str(error))
            raise
        if written is not None:
            stage.finish(context, written, begun)


@contextmanager
def lock(folder: Path, stage: str) -> Iterator[None]:
    """Keep other runs out of an output folder while a stage runs; the folder is made if need be.

    The operating system lets the lock go when the process ends, however it ends. InputError if
    another run is at work there, or the folder cannot be written to.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in str(folder)):
        raise files.InputError(
            f"{str(folder)!a} is not in UTF-8; choose another folder by --output."
        )
    held = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except Timeout:
        who = "another run"
        with suppress(KeyError):
            who = "`punzinet {stage}` (process {pid} on {host})".format(**holder_of(folder))
        raise files.InputError(
            f"{who} is at work in {folder}; wait until it has ended, or choose another folder "
            "with --output (OUTPUT= for make)."
        ) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise files.OutputError(files.cannot_write(folder, error)) from error
        LOG.warning("The file system of %s has no locks: nothing keeps a second run out.", folder)
    try:
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "stage": stage}
        files.write_json(folder / HOLDER, holder)
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        held.release()


def holder_of(folder: Path) -> dict[str, Any]:
    """Who is at work in an output folder (process number, host, stage); empty if nobody is."""
    path = folder / ".lock"
    try:
        if path.exists():
            with FileLock(path, timeout=0):
                pass
    except Timeout:
        with suppress(files.InputError):
            holder = files.read_json(folder / HOLDER, "the same command")
            return holder if isinstance(holder, dict) else {}
    except OSError:
        pass
    return {}
