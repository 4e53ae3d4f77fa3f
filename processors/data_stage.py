"""The features of data: measured ntuples, in the windows that the simulated ones have settled.

They go into a folder of their own. Whatever is measured, or may be seen of it, changes nothing
that networks are trained on.
"""

from pathlib import Path

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.inputs import take_inputs
from punzinet.processors.ledger import Ledger
from punzinet.processors.tensor_run import (
    TensorRun,
    provenance_of,
    remove_others,
    tensor_folder,
    write_counts,
)
from punzinet.processors.trial import Trial


def run_data(
    manifest: Manifest,
    output: OutputFolder,
    execution: Execution,
    *,
    unblind: bool = False,
    allow_missing: bool = False,
    trial: Trial | None = None,
) -> list[Path]:
    """Turn measured ntuples into features; what may not be seen is counted and not written.

    Args:
        manifest: What is analysed, and what is seen of data.
        output: Where the windows lie and results go.
        execution: Where chunks are processed.
        unblind: Whether everything may be seen.
        allow_missing: Go on without files and chunks that cannot be read.
        trial: How much of every dataset is processed; all of it if not given.

    Returns:
        All files written.

    Raises:
        InputError: If anything is wrong with the input; nothing is left half-written.
    """
    measured = manifest.only_data()
    windows = Windows.read(output.windows)
    inputs = take_inputs(measured, allow_missing=allow_missing, trial=trial)
    outdated = (output.data_completeness, output.data_cutflow)
    with tensor_folder(output.data_tensors, outdated) as folder, open_executor(execution) as pool:
        ledger = Ledger(output.ledger("data"))
        run = TensorRun(measured, ledger, pool, folder, allow_missing, windows, unblind)
        made = run.make(inputs)
        remove_others(folder, made.summaries.values())
    settings = provenance_of(manifest, made, "data", allow_missing)
    settings["settings"] |= manifest.seen_of_data(unblind=unblind)
    write_counts(made, settings, output.data_cutflow, output.data_completeness, allow_missing)
    tensors = sorted(output.data_tensors.glob("*/*.parquet"))
    return [*tensors, output.data_cutflow, output.data_completeness]
