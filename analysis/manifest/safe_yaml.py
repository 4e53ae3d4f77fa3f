"""Reading YAML that a person wrote: safe, and no key may be given twice."""

import math
from pathlib import Path
from typing import Any, Final

import yaml

from punzinet.analysis.io.errors import InputError

MOST_VALUES: Final = 1_000_000
"""Values that a file may stand for: aliases let a few lines stand for more than any memory."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a mapping with the same key twice (plain YAML keeps the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping and check that no key hides another.

        Raises:
            yaml.constructor.ConstructorError: If a key stands twice; the mark names the line.
        """
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"`{key}` is given twice", key_node.start_mark
                )
            if isinstance(key, str | int | float):
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Read a YAML file without executing anything in it.

    Raises:
        InputError: If the file is absent, unreadable, not YAML, endless, or has a key twice; the
            line is named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"{path} is not there; name your manifest with --manifest (MANIFEST= for make)."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from error
    try:
        # A subclass of SafeLoader: it builds plain values only.
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506
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
    return content


def _count(content: Any, known: dict[int, float]) -> float:
    """Values that content stands for; infinitely many if it contains itself.

    Args:
        content: Nested mappings and lists.
        known: Counts by the identity of what has been counted already; added to.
    """
    if not isinstance(content, dict | list | tuple):
        return 1
    if id(content) not in known:
        known[id(content)] = math.inf
        inner = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_count(value, known) for value in inner)
    return known[id(content)]
