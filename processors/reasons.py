"""Why a stage has to run: what is different from its last run."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_COMMANDS = {"data": "features"}
"""Commands of the stages that have none of their own name."""
_ABSENT = object()
"""Where a setting is in one run only."""


def reasons(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Compare everything a stage depends on with what it was.

    Args:
        then: What it was: the software's `version`, `settings`, `after` (fingerprints of earlier
            stages by name) and `files` (states of input files).
        now: What it is.

    Returns:
        One line for each difference.
    """
    then, now = (json.loads(json.dumps(one, default=str)) for one in (then, now))
    lines = list(_changes("version of punzinet", then.get("version"), now["version"]))
    lines += _changes("", then.get("settings", {}), now["settings"])
    old, new = then.get("after", {}), now["after"]
    again = dict.fromkeys(command_of(name) for name in new if old.get(name) != new[name])
    lines += [f"`punzinet {command}` has run again" for command in again]
    old, new = ({name: state for name, *state in one.get("files", [])} for one in (then, now))
    lines += [f"input file {name} is new" for name in new if name not in old]
    lines += [f"input file {name} is not used any more" for name in old if name not in new]
    lines += [
        f"input file {name} has changed" for name in new if old.get(name, new[name]) != new[name]
    ]
    return lines


def command_of(stage: str) -> str:
    """The command that runs a stage."""
    return _COMMANDS.get(stage, stage)


def _changes(key: str, then: Any, now: Any) -> Iterator[str]:
    """Lines about a setting and all settings in it.

    Args:
        key: Its name, empty for all of them.
        then: Its value at the last run.
        now: Its value now.
    """
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
