"""Features of data, in the windows that the simulation has settled.

A stage of its own, because networks depend on the features of what is simulated: neither other
data nor seeing more of it trains any of them again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from punzinet.stages.console import console, cutflow_table, say_seen
from punzinet.stages.features import FEATURES, NTUPLE_OPTIONS, files_of, ntuple_settings
from punzinet.stages.options import Context
from punzinet.stages.stage import Stage


def _also(context: Context) -> dict[str, Any]:
    """Measured datasets, and what may be seen of them."""
    manifest = context.manifest
    return {
        **manifest.only_data().model_dump(mode="json", include={"datasets"}),
        **manifest.seen_of_data(unblind=context.options.unblind),
        **ntuple_settings(context),
    }


def _run(context: Context) -> Sequence[Path]:
    """Turn measured ntuples into features; what may not be seen is counted and not written."""
    from punzinet.processors.features_stage import run_data

    output, unblind = context.output, context.options.unblind
    written = run_data(
        context.manifest,
        output,
        context.execution,
        unblind=unblind,
        allow_missing=context.options.allow_missing,
        trial=context.trial,
    )
    console.print(cutflow_table(output.data_cutflow, context.manifest))
    say_seen(context.manifest, unblind=unblind)
    console.print(f"data: features in {output.data_tensors}")
    return written


DATA = Stage(
    name="data",
    command="features",
    run=_run,
    reads=("beams", "features"),
    also=_also,
    after=(FEATURES,),
    files=lambda context: files_of(context.manifest.only_data(), context),
    writes=("data/tensors", "data/cutflow.json", "data/completeness.json"),
    options=NTUPLE_OPTIONS,
    kept=NTUPLE_OPTIONS,
    wanted=lambda manifest: manifest.has_data,
)
