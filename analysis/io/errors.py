"""The exceptions whose messages a user is meant to read."""


class InputError(Exception):
    """Something outside this software is not as it must be.

    The message is one sentence for the person at the keyboard: which file, tree,
    branch or setting, what was expected there, and what to do. The command line
    prints it without a traceback and exits non-zero.
    """


class OutputError(InputError):
    """Something cannot be written: the disk is full, or the folder is not writable.

    No input is to blame, so nothing may be done without it.
    """


class Interrupted(Exception):
    """Ctrl-C or a termination request, after everything was brought to safety.

    The message says what was saved and how to go on; the command line exits with 130.
    """
