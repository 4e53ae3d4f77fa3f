"""Running a stage: whether it has to, what has to come before, and what is left of it."""

import logging
import os
import shutil
from collections.abc import Sequence

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import remove_partial_files
from punzinet.processors.ntuples.trial import trial_of
from punzinet.stages.chain import OutOfDate, out_of_date, reasons, refusal
from punzinet.stages.console import console, say_trial
from punzinet.stages.lock import lock
from punzinet.stages.options import Context, Options
from punzinet.stages.stage import Stage

LOG = logging.getLogger(__name__)
AGAIN = "a stage before it runs again"


def run_command(stage: Stage, options: Options) -> None:
    """Run the stages of a command, as far as they are not up to date.

    Raises:
        InputError: If a stage that comes before is out of date, another run is at work in the
            output folder, or anything is wrong with an input.
    """
    context = Context(options)
    for part in stage.parts(context) if stage.parts else (stage,):
        _run_part(part, context)


def _run_part(stage: Stage, context: Context) -> None:
    """Run one stage of a command, and those before it if that is asked for."""
    stage.prepare(context)
    if not stage.wanted(context.manifest):
        return
    options = context.options
    try:
        stale = _stale(stage, context)
        why = [AGAIN] if stale else reasons(stage, context)
    except InputError as error:
        if not options.dry_run:
            raise
        console.print(f"{stage.name}: cannot run: {error}", markup=False)
        return
    for earlier in stale:
        if not options.dry_run:
            earlier.stage.prepare(earlier.context)
        its_own = earlier.context.with_options(force=False)
        _run_if_needed(earlier.stage, its_own, earlier.reasons or [AGAIN])
    _run_if_needed(stage, context, why)


def _stale(stage: Stage, context: Context) -> list[OutOfDate]:
    """Stages that have to run before one; nothing if all are up to date.

    Raises:
        InputError: If there are any and it is not asked for to run them.
    """
    stale = out_of_date(stage, context)
    # Of several processes that torchrun started all would run them.
    if stale and (not context.options.upstream or "RANK" in os.environ):
        raise InputError(refusal(stage, stale, context))
    return stale


def _run_if_needed(stage: Stage, context: Context, why: Sequence[str]) -> None:
    """Run a stage if there are reasons to; it then has the output folder to itself."""
    options, output = context.options, context.output
    if options.dry_run:
        why = ["--force asks for it", *why] if options.force else why
        console.print(f"{stage.name}: {'would run' if why else 'up to date'}")
        for reason in why:
            console.print(f"  because {reason}", markup=False)
        return
    for name in ("features", "select"):
        if any(one.name == name for one in stage.after) and (trial := trial_of(output, name)):
            say_trial(name, trial)
    if not why and not options.force:
        console.print(f"{stage.name}: up to date")
        return
    for reason in why:
        LOG.info("%s runs: %s", stage.name, reason)
    with lock(output.root.absolute(), stage.name):
        remove_partial_files(output.root)
        if options.force:
            shutil.rmtree(output.ledger(stage.name), ignore_errors=True)
        begun = stage.begin(output)
        try:
            written = stage.run(context)
        except InputError as error:
            stage.fail(output, str(error))
            raise
        if written is not None:
            stage.finish(context, written, begun)
