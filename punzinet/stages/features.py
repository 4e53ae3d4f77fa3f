"""Windows and training tensors."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.stages.console import console, cutflow_table, say_trial
from punzinet.stages.options import Context
from punzinet.stages.simulate import SIMULATE
from punzinet.stages.stage import Stage

NTUPLE_OPTIONS = ("unblind", "allow_missing", "limit_files", "limit_chunks")
"""Options of every stage that reads ntuples."""


def check_unblind(context: Context) -> None:
    """Make sure that there is something to be unblinded.

    Raises:
        InputError: If there is not.
    """
    if context.options.unblind and not context.manifest.has_data:
        raise InputError(
            "--unblind: there is no data; give the manifest a dataset with `process: data`, or "
            "leave the option out."
        )


def ntuple_settings(context: Context) -> dict[str, Any]:
    """What the result of a stage that reads ntuples depends on beside the manifest."""
    missing = {"allow_missing": True} if context.options.allow_missing else {}
    return {**missing, **context.trial.to_json()}


def files_of(manifest: Manifest, context: Context) -> list[str]:
    """Input files from outside of the output folder.

    Raises:
        InputError: If one is not there, unless it may be missing.
    """
    return [
        file
        for dataset in manifest.datasets.values()
        if dataset.simulate is None
        for file in dataset.resolved_files(must_exist=not context.options.allow_missing)
    ]


def _also(context: Context) -> dict[str, Any]:
    """Other data, or seeing more of it, changes nothing here."""
    datasets = context.manifest.without_data().model_dump(mode="json", include={"datasets"})
    return {**datasets, **ntuple_settings(context)}


def _run(context: Context) -> Sequence[Path]:
    """Turn ntuples into mass windows and training tensors, and count every event.

    Example: punzinet features --manifest my_manifest.yaml --workers 2

    To try a new manifest: punzinet features --manifest my_manifest.yaml --limit-files 1
    """
    from punzinet.processors.features_stage import run_features

    output = context.output
    written = run_features(
        context.manifest,
        output,
        context.execution,
        allow_missing=context.options.allow_missing,
        trial=context.trial,
    )
    console.print(cutflow_table(output.features_cutflow, context.manifest))
    if context.trial:
        say_trial("features", context.trial)
    console.print(f"features: windows in {output.windows}, tensors in {output.tensors}")
    return written


def _parts(_context: Context) -> Iterable[Stage]:
    """Simulation first, then data."""
    from punzinet.stages.data import DATA

    return FEATURES, DATA


FEATURES = Stage(
    name="features",
    run=_run,
    reads=("beams", "luminosity", "corrections", "hypotheses", "features", "search"),
    also=_also,
    after=(SIMULATE,),
    files=lambda context: files_of(context.manifest.without_data(), context),
    writes=("windows.json", "tensors", "features/cutflow.json", "features/completeness.json"),
    options=NTUPLE_OPTIONS,
    kept=NTUPLE_OPTIONS,
    prepare=check_unblind,
    parts=_parts,
)
