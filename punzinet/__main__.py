"""`python -m punzinet` is `punzinet`."""

import os
import signal
import sys
from importlib import import_module


def main() -> None:
    """Run a command; Ctrl-C while modules are imported leaves nothing to clean up."""

    def end(*_: object) -> None:
        sys.stderr.write("punzinet: interrupted; the same command goes on.\n")
        sys.stderr.flush()
        os._exit(130)

    signal.signal(signal.SIGINT, end)
    import_module("punzinet.cli").main()


if __name__ == "__main__":
    main()
