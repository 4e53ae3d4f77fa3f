"""Reading settings that a person wrote in YAML, and saying in one sentence what is wrong."""

import math
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from punzinet.analysis.io.errors import InputError

MOST_VALUES: Final = 1_000_000
"""Values that a file may stand for: aliases let a few lines stand for more than any memory."""

Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(path: Path, model: type[Settings]) -> Settings:
    """Read settings from a YAML file, without executing anything in it.

    Raises:
        InputError: If it cannot be read, or something in it is wrong: one sentence for each
            problem, which says what the setting is for or names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # A subclass of SafeLoader: it builds plain values only.
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506
    except FileNotFoundError:
        raise InputError(
            f"{path} is not there; name your manifest with --manifest (MANIFEST= for make)."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: {error.problem}; correct the YAML.") from error
    # The last ones are what a tag such as !!bool does to a value that is none.
    except (
        yaml.YAMLError, RecursionError, ArithmeticError, AttributeError, LookupError, ValueError,
    ) as error:  # fmt: skip
        raise InputError(f"{path} is not valid YAML: {error}.") from error
    if _count(content, {}) > MOST_VALUES:
        raise InputError(
            f"{path} repeats itself without end, or stands for more than {MOST_VALUES} values, by "
            "its aliases (*); write out what they stand for."
        )
    if not isinstance(content, dict):
        raise InputError(f"{path} must be a mapping that holds at least `datasets`.")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "\n".join(_sentence(path, problem, model) for problem in error.errors())
        raise InputError(problems) from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a mapping with the same key twice (plain YAML keeps the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float):
                continue
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"`{key}` is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _count(content: Any, known: dict[int, float]) -> float:
    """Values that content stands for; infinitely many if it contains itself.

    Counts by the identity of what has been counted already are `known`, and added to.
    """
    if not isinstance(content, dict | list | tuple):
        return 1
    if id(content) not in known:
        known[id(content)] = math.inf
        inner = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_count(value, known) for value in inner)
    return known[id(content)]


def _sentence(path: Path, problem: ErrorDetails, model: type[BaseModel]) -> str:
    """One sentence about one problem that pydantic found, which says what the setting is for."""
    message = problem["msg"].removeprefix("Value error, ").rstrip(".")
    key = ".".join(str(part) for part in problem["loc"])
    if not key:
        return f"{path}: {message}."
    meaning = _meaning(problem["loc"], model)
    about = f"`{key}` ({' '.join(meaning.split())})" if meaning else f"`{key}`"
    if problem["type"] == "missing":
        return f"{path}: {about} is missing."
    if problem["type"] == "extra_forbidden":
        return f"{path}: `{key}` is not a setting; check its spelling."
    shown = repr(problem["input"])
    given = f", not {shown}" if len(shown) <= 60 and problem["type"] != "value_error" else ""
    return f"{path}: {about}: {message[:1].lower()}{message[1:]}{given}."


def _meaning(location: tuple[int | str, ...], model: Any) -> str | None:
    """What the key at `location` is for, by the description of its field."""
    meaning = None
    for part in location:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            meaning, model = fields[part].description, fields[part].annotation
            # Of a mapping, the keys are the user's; the values are what has fields.
            model = get_args(model)[-1] if get_origin(model) is dict else model
    return meaning
