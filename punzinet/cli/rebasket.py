"""`punzinet rebasket`: ntuples with large baskets."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TaskID

from punzinet.cli.options import entries_progress, targets_of


def command(
    files: Annotated[list[str], typer.Argument(help="ROOT files, paths or URLs")],
    tree: Annotated[str, typer.Option(help="tree to copy")] = "variables",
    to: Annotated[
        Path | None,
        typer.Option("--to", help="file to write, or folder for several; by default this folder"),
    ] = None,
) -> None:
    """Copy ntuples with large baskets, to be read many times faster.

    basf2 writes baskets of 200 values, and reading waits for every one of them.
    It pays for files that are read more than twice. All columns of the tree are
    copied as they are; other objects of the file are not.

    Example: punzinet rebasket /data/taupair_*.root --to large
    """
    from punzinet.processors.rebasket import rebasket_file

    with entries_progress() as progress:
        for path, target in zip(files, targets_of(files, to, "rebasket"), strict=True):
            task = progress.add_task(Path(path).stem, total=None)

            def advance(done: int, entries: int, task: TaskID = task) -> None:
                progress.update(task, completed=done, total=entries)

            entries = rebasket_file(path, tree, target, advance)
            progress.console.print(f"rebasket: {target}: {entries} entries", markup=False)
