"""Checkpoints: a training that is interrupted anywhere continues to the same last bit.

A checkpoint is a record with all numbers, whose JSON says what they belong to: damage is found
out, so that no training goes on from wrong numbers. Shuffles need no saving: they follow from
seed and epoch.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.records import Record, read_record, write_record
from punzinet.analysis.training.state import StageState

FORMAT = "punzinet-checkpoint-2"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a training stands.

    Attributes:
        identity: What it depends on: settings and data, as JSON can express them.
        stages: State of each stage begun so far, by its name, in order.
    """

    identity: Mapping[str, Any]
    stages: dict[str, StageState]

    def write(self, path: Path) -> None:
        """Write it, atomically.

        Raises:
            InputError: If the folder cannot be written to.
        """
        arrays = {
            f"{name}/{key}": array
            for name, state in self.stages.items()
            for key, array in state.to_arrays().items()
        }
        content = {
            FORMAT: self.identity,
            "messages": {name: state.messages for name, state in self.stages.items()},
        }
        write_record(path, Record(content, arrays))


def read_checkpoint(path: Path, identity: Mapping[str, Any]) -> Checkpoint | None:
    """Read a checkpoint of the training that is about to be continued.

    Args:
        path: The file.
        identity: What this training depends on.

    Returns:
        None if there is no checkpoint.

    Raises:
        InputError: If it is damaged, or belongs to other settings or data.
    """
    if not path.exists():
        return None
    record = read_record(path)
    if record is None or FORMAT not in record.content:
        raise InputError(
            f"{path} is not a checkpoint of this software, or is damaged; train from the beginning "
            "with --restart."
        )
    saved, messages = record.content[FORMAT], record.content["messages"]
    stages = {
        name: StageState.from_arrays(
            {k.split("/", 1)[1]: v for k, v in record.arrays.items() if k.startswith(f"{name}/")},
            messages[name],
        )
        for name in messages
    }
    differences = [
        f"{key} was {old} and is now {new}" for key, old, new in _differences(saved, dict(identity))
    ]
    if differences:
        raise InputError(
            f"{path} belongs to another training: {'; '.join(differences)}. Change that back, or "
            "train from the beginning with --restart."
        )
    return Checkpoint(identity, stages)


def _differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Compare two JSON values; yield the dotted key of each difference and both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            inner = f"{key}.{name}" if key else name
            yield from _differences(old.get(name), new.get(name), inner)
    elif old != json.loads(json.dumps(new)):
        yield key, old, new
