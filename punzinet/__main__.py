"""`python -m punzinet` is `punzinet`."""

import signal
from importlib import import_module

from punzinet.analysis.io.workers import end_interrupted


def main() -> None:
    """Run a command; Ctrl-C while modules are imported leaves nothing to clean up."""
    signal.signal(signal.SIGINT, end_interrupted)
    import_module("punzinet.cli").main()


if __name__ == "__main__":
    main()
