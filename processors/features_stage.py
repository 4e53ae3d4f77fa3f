"""The features stage: from simulated ntuples to windows and training tensors."""

from pathlib import Path

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
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


def run_features(
    manifest: Manifest,
    output: OutputFolder,
    execution: Execution,
    *,
    allow_missing: bool = False,
    trial: Trial | None = None,
) -> list[Path]:
    """Make windows and tensors; what an earlier run finished is not done again.

    Args:
        manifest: What is analysed.
        output: Where results go.
        execution: Where chunks are processed.
        allow_missing: Go on without files and chunks that cannot be read, and rescale.
        trial: How much of every dataset is processed, and rescaled; all of it if not given.

    Returns:
        All files written.

    Raises:
        InputError: If anything is wrong with the input; nothing is left half-written.
    """
    simulated = manifest.without_data()
    inputs = take_inputs(simulated, allow_missing=allow_missing, trial=trial)
    outdated = (output.completeness, output.features_cutflow, output.windows)
    with tensor_folder(output.tensors, outdated) as folder, open_executor(execution) as pool:
        run = TensorRun(simulated, Ledger(output.ledger("features")), pool, folder, allow_missing)
        made = run.make(inputs)
        remove_others(folder, made.summaries.values())
    settings = provenance_of(manifest, made, "features", allow_missing)
    made.windows.write(output.windows, settings)
    write_counts(made, settings, output.features_cutflow, output.completeness, allow_missing)
    tensors = sorted(output.tensors.glob("*/*.parquet"))
    return [output.windows, *tensors, output.features_cutflow, output.completeness]
