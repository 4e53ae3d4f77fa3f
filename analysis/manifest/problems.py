"""What is wrong with a setting, in one sentence that says what the setting is for."""

from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails


def sentence(path: Path, problem: ErrorDetails, model: type[BaseModel]) -> str:
    """One sentence about one problem that pydantic found.

    Args:
        path: The file with the settings.
        problem: The problem.
        model: What the file should hold.
    """
    message = problem["msg"].removeprefix("Value error, ").rstrip(".")
    key = ".".join(str(part) for part in problem["loc"])
    if not key:
        return f"{path}: {message}."
    meaning = _meaning(problem["loc"], model)
    about = f" ({meaning})" if meaning else ""
    if problem["type"] == "missing":
        return f"{path}: `{key}`{about} is missing."
    if problem["type"] == "extra_forbidden":
        return f"{path}: `{key}` is not a setting; check its spelling."
    shown = repr(problem["input"])
    given = f", not {shown}" if len(shown) <= 60 and problem["type"] != "value_error" else ""
    return f"{path}: `{key}`{about}: {message[:1].lower()}{message[1:]}{given}."


def _meaning(location: tuple[int | str, ...], model: Any) -> str | None:
    """What the key at `location` is for, by the description of its field."""
    meaning = None
    for part in location:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            meaning = fields[part].description
            annotation = fields[part].annotation
            # Of a mapping, the keys are the user's; the values are what has fields.
            model = get_args(annotation)[-1] if get_origin(annotation) is dict else annotation
    return meaning
