"""Whether results are up to date with the manifest, asked of the whole chain, and why not."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from punzinet.stages.options import Context, Options
from punzinet.stages.stage import Stage, fingerprint

NOT_RUN = "it has not run to its end"
_ABSENT = object()
"""Where a setting is in one run only."""


class OutOfDate(NamedTuple):
    """A stage that has to run again; without reasons if only because of a stage before it."""

    stage: Stage
    context: Context
    reasons: list[str]


def reasons(stage: Stage, context: Context) -> list[str]:
    """Why a stage has to run, stages before it being as they are; nothing if it is up to date.

    Raises:
        InputError: If a record is damaged, or input files are not there.
    """
    if not stage.has_run(context.output):
        return [NOT_RUN]
    now = stage.inputs(context)
    recorded, then = stage.recorded(context.output)
    if recorded == fingerprint(now):
        return [f"{name} is gone or has changed" for name in stage.outputs_changed(context.output)]
    commands = {one.name: one.typed for one in stage.before(context)}
    try:
        found = differences(then, now, commands)
    except (AttributeError, TypeError, ValueError):  # the record is damaged
        found = []
    return found or ["what it depends on has changed"]


def out_of_date(stage: Stage, context: Context) -> list[OutOfDate]:
    """Stages before one that have to run again, in the order in which they have to.

    Each of them is asked with the options of its last run: what was a trial run or unblinded
    stays so. The network is that of the stage that asks.

    Raises:
        InputError: If a record is damaged, or input files are not there.
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


def refusal(stage: Stage, stale: list[OutOfDate], context: Context) -> str:
    """Say which stages have to run before one, why, and what to type."""
    causes, commands = [], []
    for one in stale:
        commands.append(f"`{one.stage.typed}{_options(one)}`")
        if one.reasons == [NOT_RUN]:
            causes.append(f"{commands[-1]} has not run in {context.output.root}")
        elif one.reasons:
            more = f" and {len(one.reasons) - 1} more" if len(one.reasons) > 1 else ""
            where = f"{commands[-1]} in {context.output.root}"
            causes.append(
                f"{where} is out of date with {context.options.manifest}: {one.reasons[0]}{more}"
            )
    *others, last = dict.fromkeys(commands)
    first = f"{', '.join(others)} and {last}" if others else last
    return f"{'; '.join(causes)}. Run {first} first, or `{stage.typed} --upstream`."


def _options(one: OutOfDate) -> str:
    """Options that are not the usual ones, as they are typed."""
    given = {name: getattr(one.context.options, name) for name in one.stage.kept}
    return "".join(
        f" --{name.replace('_', '-')}" if value is True else f" --{name.replace('_', '-')} {value}"
        for name, value in given.items()
        if value != getattr(Options, name)
    )


def differences(
    then: Mapping[str, Any], now: Mapping[str, Any], commands: Mapping[str, str]
) -> list[str]:
    """One line for each difference between `Stage.inputs` of two runs.

    Of the stages before it, `commands` says what to type.
    """
    then, now = (json.loads(json.dumps(one, default=str)) for one in (then, now))
    lines = list(_changes("version of punzinet", then.get("version"), now["version"]))
    lines += _changes("", then.get("settings", {}), now["settings"])
    old, new = then.get("after", {}), now["after"]
    again = dict.fromkeys(commands[name] for name in new if old.get(name) != new[name])
    lines += [f"`{command}` has run again" for command in again]
    old, new = ({name: state for name, *state in one.get("files", [])} for one in (then, now))
    lines += [f"input file {name} is new" for name in new if name not in old]
    lines += [f"input file {name} is not used any more" for name in old if name not in new]
    lines += [
        f"input file {name} has changed" for name in new if old.get(name, new[name]) != new[name]
    ]
    return lines


def _changes(key: str, then: Any, now: Any) -> Iterator[str]:
    """Lines about a setting and all settings in it."""
    if then == now:
        return
    if isinstance(then, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*then, *now]):
            inner = f"{key}.{name}" if key else name
            yield from _changes(inner, then.get(name, _ABSENT), now.get(name, _ABSENT))
    elif then is _ABSENT:
        yield f"`{key}` is new: {_shown(now)}"
    elif now is _ABSENT:
        yield f"`{key}` is gone: it was {_shown(then)}"
    else:
        yield f"`{key}` changed from {_shown(then)} to {_shown(now)}"


def _shown(value: Any) -> str:
    """A value as it stands in a manifest, shortened where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
