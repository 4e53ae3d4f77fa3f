"""Tables that commands end with."""

from pathlib import Path

from rich.table import Table

from punzinet.analysis.io.files import read_json
from punzinet.analysis.manifest.datasets import DATA, SIGNAL
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.cutflow import from_json


def cutflow_table(path: Path, manifest: Manifest) -> Table:
    """What became of the entries of all datasets.

    Args:
        path: Cutflow of a stage. Lines without entries stand there, and not in the table.
        manifest: Target luminosity and number of masses.

    Returns:
        For every dataset and step the entries, their share, and what they stand for: events of
        background at the target luminosity, or of signal the efficiency, averaged over masses;
        data has no other luminosity than its own.

    Raises:
        InputError: If the cutflow cannot be read.
    """
    table = Table("dataset", "step", title="Cutflow", title_justify="left")
    for heading in ("entries", "share", f"at {manifest.luminosity:g} fb⁻¹"):
        table.add_column(heading, justify="right", no_wrap=True)
    masses = len(manifest.hypotheses.mass)
    for name, dataset in read_json(path, "punzinet features")["datasets"].items():
        lines = from_json(dataset["cutflow"])
        total = max(next(iter(lines.values())).entries, 1)
        title = name
        for step, line in lines.items():
            if not line.entries:
                continue
            if dataset["process"] == SIGNAL:
                meaning = f"ε = {line.weight / masses:.3f}"
            elif dataset["process"] == DATA:
                meaning = ""
            else:
                meaning = f"{line.weight:,.0f}"
            table.add_row(title, step, f"{line.entries:,}", f"{line.entries / total:.1%}", meaning)
            title = ""
        table.add_section()
    return table
