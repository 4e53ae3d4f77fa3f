"""The default data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from punzinet.analysis.manifest.manifest import Manifest
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage


def _wanted(manifest: Manifest) -> bool:
    """Whether anything is simulated."""
    return any(dataset.simulate for dataset in manifest.datasets.values())


def _also(context: Context) -> dict[str, Any]:
    """What is simulated, and how much of it."""
    simulated = {d.name: d.simulate for d in context.manifest.datasets.values() if d.simulate}
    return {"datasets": simulated, "scale": context.options.scale}


def _prepare(context: Context) -> None:
    """Say so if there is nothing to do."""
    if not _wanted(context.manifest):
        console.print("simulate: nothing to do, every dataset has its own files")


def _run(context: Context) -> Sequence[Path]:
    """Make the default data: one ROOT file for every dataset with `simulate` in the manifest.

    Example: punzinet simulate --scale paper
    """
    from punzinet.processors.simulation import simulate

    output = context.output
    written = simulate(context.manifest, context.options.scale, output, context.execution)
    console.print(f"simulate: wrote {len(written)} files to {output.simulation_record.parent}")
    return written


SIMULATE = Stage(
    name="simulate",
    run=_run,
    reads=("beams", "hypotheses", "simulation"),
    also=_also,
    writes=("ntuples/simulation.json",),
    wanted=_wanted,
    prepare=_prepare,
)
