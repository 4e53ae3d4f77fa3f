"""Checkpoints: a training that is interrupted anywhere continues to the same last bit.

A checkpoint is one safetensors file with all numbers, whose header says as JSON what they
belong to. Shuffles need no saving: they follow from seed and epoch.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from analysis.errors import InputError
from analysis.files import atomic_path
from analysis.training.state import StageState

FORMAT = "punzinet-checkpoint-1"


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
        header = {
            FORMAT: json.dumps(self.identity),
            "messages": json.dumps({name: s.messages for name, s in self.stages.items()}),
        }
        with atomic_path(path) as partial:
            partial.write_bytes(save(arrays, header))


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
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        saved = json.loads(header[FORMAT])
        messages = json.loads(header["messages"])
        stages = {
            name: StageState.from_arrays(
                {k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{name}/")},
                messages[name],
            )
            for name in messages
        }
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is not a checkpoint of this software ({error}); delete it and train from the "
            "beginning."
        ) from error
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
