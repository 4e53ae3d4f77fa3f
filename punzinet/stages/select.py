"""Histograms of the window variable behind the single cut."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from punzinet.stages.features import (
    DATA,
    FEATURES,
    NTUPLE_OPTIONS,
    check_unblind,
    ntuple_settings,
    say_cutflow,
    say_seen,
    say_trial,
)
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage
from punzinet.stages.train import TRAIN


def _also(context: Context) -> dict[str, Any]:
    """The network, and what is seen of data."""
    return {
        "network": context.options.network,
        **context.manifest.seen_of_data(unblind=context.options.unblind),
        **ntuple_settings(context),
    }


def _run(context: Context) -> Sequence[Path]:
    """Apply the single cut of the Punzi-net to all ntuples and fill histograms of the mass.

    Example: punzinet select --manifest my_manifest.yaml --workers 2

    Data is blinded; when the analysis is final: punzinet select --unblind
    """
    from punzinet.processors.runs.selection import run_selection

    output, options = context.output, context.options
    written = run_selection(
        context.manifest,
        output,
        context.execution,
        options.network,
        unblind=options.unblind,
        allow_missing=options.allow_missing,
        trial=context.trial,
    )
    say_cutflow(output.selection_cutflow, context.manifest)
    say_trial(output, "select")
    say_seen(context)
    console.print(f"select: histograms in {output.histograms}")
    return written


SELECT = Stage(
    name="select",
    run=_run,
    also=_also,
    after=(FEATURES, DATA, TRAIN),
    writes=("selection/histograms.root", "selection/cutflow.json"),
    options=("network", *NTUPLE_OPTIONS),
    kept=("network", *NTUPLE_OPTIONS),
    prepare=check_unblind,
)
