"""The exceptions whose messages a user is meant to read."""

import difflib


class InputError(Exception):
    """Something outside this software is not as it must be.

    One sentence for the person at the keyboard: which file, tree, branch or setting, what was
    expected there, and what to do. The command line prints it without a traceback.
    """


class OutputError(InputError):
    """Something cannot be written: no input is to blame, so nothing may be done without it."""


class Interrupted(Exception):
    """Ctrl-C or a termination request; says what was saved and how to go on."""


def did_you_mean(name: str, known: list[str], otherwise: str) -> str:
    """What was probably meant by a name, or everything there is (``known are``)."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(near)}?" if near else f"{otherwise} {', '.join(known)}"
