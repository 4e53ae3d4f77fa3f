"""`python -m processors.cli` is `punzinet`."""

from processors.cli import main

main()
