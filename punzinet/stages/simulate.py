"""The default data: one ROOT file for every dataset that is to be simulated."""

from typing import Any

from punzinet.analysis.manifest.manifest import Manifest
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage, Written


def _simulated(manifest: Manifest) -> dict[str, Any]:
    """Process that each dataset is simulated as; of variations also of what, in which detector."""
    found: dict[str, Any] = {}
    for one in manifest.datasets.values():
        if one.simulate:
            more = {"simulate", "variation_of", "detector"}
            found[one.name] = one.model_dump(include=more) if one.variation_of else one.simulate
    return found


def _prepare(context: Context) -> None:
    if not _simulated(context.manifest):
        console.print("simulate: nothing to do, every dataset has its own files")


def _run(context: Context) -> Written:
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
    also=lambda on: {"datasets": _simulated(on.manifest), "scale": on.options.scale},
    writes=("ntuples/simulation.json", "simulation/cross_sections.json"),
    wanted=lambda manifest: bool(_simulated(manifest)),
    prepare=_prepare,
)
