"""`python -m punzinet` is `punzinet`."""

from punzinet.processors.cli import main

main()
