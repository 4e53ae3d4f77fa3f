"""`python -m punzinet` is `punzinet`."""

from punzinet.cli import main

main()
