"""What stages say on the terminal."""

import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from punzinet.analysis.io.files import read_json
from punzinet.analysis.manifest.datasets import DATA, SIGNAL
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.ntuples.trial import Trial

#: Of several processes, started by torchrun, only the first says anything.
SILENT = os.environ.get("RANK", "0") != "0"
console = Console(highlight=False, quiet=SILENT)


def say_seen(manifest: Manifest, *, unblind: bool) -> None:
    """Say what is seen of data, if there is any."""
    if not manifest.has_data:
        return
    if unblind:
        console.print("[yellow]Unblinded[/yellow]: all of the data is seen.")
    else:
        console.print(f"Blinded: only {manifest.blinding} is seen; --unblind shows all.")


def say_trial(stage: str, trial: Trial) -> None:
    """Say that the results of a stage are those of a trial run."""
    given = {"--limit-files": trial.files, "--limit-chunks": trial.chunks}
    options = " ".join(f"{name} {value}" for name, value in given.items() if value is not None)
    console.print(
        f"[yellow]Trial run[/yellow]: `punzinet {stage}` processed only a part of the events "
        f"({options}) and scaled it up to all (signal of several "
        "masses in one dataset is taken whole); it is no result to quote.",
        soft_wrap=True,
    )


def cutflow_table(path: Path, manifest: Manifest) -> Table:
    """What became of the entries of all datasets, from the cutflow of a stage.

    For every dataset and step that has any entries, their number, their share, and what they stand
    for: events of background at the target luminosity, or of signal the efficiency, averaged over
    masses; data has no other luminosity than its own.

    Raises:
        InputError: If the cutflow cannot be read.
    """
    table = Table("dataset", "step", title="Cutflow", title_justify="left")
    for heading in ("entries", "share", f"at {manifest.luminosity:g} fb⁻¹"):
        table.add_column(heading, justify="right", no_wrap=True)
    masses = len(manifest.hypotheses.mass)
    for name, dataset in read_json(path, "punzinet features")["datasets"].items():
        lines = dataset["cutflow"]
        total = max(lines[0]["entries"], 1)
        title = name
        for line in lines:
            if not line["entries"]:
                continue
            if dataset["process"] == SIGNAL:
                meaning = f"ε = {line['weight'] / masses:.3f}"
            elif dataset["process"] == DATA:
                meaning = ""
            else:
                meaning = f"{line['weight']:,.0f}"
            share = f"{line['entries'] / total:.1%}"
            table.add_row(title, line["step"], f"{line['entries']:,}", share, meaning)
            title = ""
        table.add_section()
    return table
