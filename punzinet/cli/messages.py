"""How much the command line says: `--verbose`, `--quiet` and `--version`."""

import logging
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from punzinet.analysis.io.provenance import versions
from punzinet.cli.options import SILENT, console

OWN = ("punzinet",)
"""Packages whose messages are shown; those of libraries are theirs."""


def _show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"punzinet {versions()['punzinet']}")
        raise typer.Exit


def options(
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            help="say why a stage runs and what it goes on from; -vv: name every chunk",
        ),
    ] = 0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="say nothing but errors, and show no progress")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="print the version and end"
        ),
    ] = False,
) -> None:
    """Settle how much is said, before any command runs.

    Args:
        verbose: How often it was asked for.
        quiet: Whether only errors are wanted.
    """
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    level = logging.ERROR if quiet else levels[min(verbose, 2)]
    console.quiet = quiet or SILENT
    handler = RichHandler(console=Console(stderr=True), show_path=verbose > 1, show_time=False)
    for name in OWN:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
