"""YAML that says what a person means by it: nothing is executed, nothing read as something else."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from punzinet.analysis.io.files import InputError

MOST_VALUES = 1_000_000
"""Values that a file may stand for: aliases let a few lines stand for more than any memory."""


def read_yaml(path: Path) -> Any:
    """Read YAML without executing anything in it; InputError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        # A subclass of SafeLoader: it builds plain values only.
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
        size = sum(1 for _ in itertools.islice(leaves(content), MOST_VALUES))
    except FileNotFoundError:
        raise InputError(
            f"{path} is not there; name your manifest with --manifest (MANIFEST= for make)."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: {error.problem}; correct the YAML.") from error
    # RecursionError of a list in itself, the others of a tag such as !!bool for what is none.
    except (yaml.YAMLError, RecursionError, ArithmeticError, AttributeError, LookupError,
            ValueError) as error:  # fmt: skip
        raise InputError(f"{path} is not valid YAML: {error}.") from error
    if size == MOST_VALUES:
        why = "by its aliases (*); write out what they stand for"
        raise InputError(f"{path} stands for {MOST_VALUES} values or more, {why}.")
    return content


def leaves(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """All values of nested mappings and lists, or empty ones, with their dotted keys."""
    if not isinstance(content, dict | list | tuple) or not content:
        yield key, content
        return
    for name, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield from leaves(value, f"{key}.{name}" if key else str(name))


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses what reads as something else than a person means.

    These are a key that is given twice, of which plain YAML keeps the last, and numbers to base 8
    and 60, by a leading zero and by colons, as YAML 1.1 has them.
    """

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """Construct a number."""
        of = self.construct_yaml_int if node.tag.endswith(":int") else self.construct_yaml_float
        number = of(node)
        if re.match(r"[-+]?(0[0-7_]+$|.*:)", node.value):
            problem = f"`{node.value}` is read as {number} (a leading zero is base 8, a colon 60)"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return number

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[Any]()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # << gives way to keys beside it
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float):
                if {key, str(key)} & seen:
                    problem = f"`{key}` is given twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
                seen |= {key, str(key)}  # whoever takes numbers takes 2 and '2' for the same
        return super().construct_mapping(node, deep)


for _kind in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _StrictLoader.construct_number)
