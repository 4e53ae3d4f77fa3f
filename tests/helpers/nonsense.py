"""Values that nobody expects, put anywhere into something sensible."""

import contextlib
import copy
import functools
import math
import operator

from punzinet.analysis.io.files import InputError

NONSENSE = [
    None, True, -1, 0, 0.5, 1e308, 10**400, -(10**30), 10**30, math.inf, math.nan, "", "x", "../x",
    "/x", "x" * 5000, [], {}, [None], [[1]], {"a": [1]}, "<b>", "[/b]", "\0",
]  # fmt: skip


def leaves(content, key=()):
    """Keys of all values in nested mappings and lists, outer ones first."""
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    for name, value in inner:
        yield (*key, name)
        if isinstance(value, dict | list):
            yield from leaves(value, (*key, name))


def replaced(content, changes):
    """A copy with other values at some keys, as far as they are still there."""
    changed = copy.deepcopy(content)
    for key, value in changes:
        with contextlib.suppress(IndexError, KeyError, TypeError):
            # A copy as well: the next change may be inside of it.
            functools.reduce(operator.getitem, key[:-1], changed)[key[-1]] = copy.deepcopy(value)
    return changed


def attempt(function):
    """What a function returns, or the sentence it refuses its input with."""
    try:
        return function(), None
    except InputError as error:
        sentence = str(error)
    assert sentence.rstrip().endswith((".", ")"))
    assert len(sentence) > 20
    return None, sentence
