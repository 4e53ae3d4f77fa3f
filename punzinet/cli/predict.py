"""`punzinet predict`: the network's output for an ntuple, as a friend tree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest, load_manifest
from punzinet.cli.options import (
    MANIFEST,
    NETWORK,
    OUTPUT,
    ManifestOption,
    NetworkOption,
    OutputOption,
    entries_progress,
    targets_of,
)

if TYPE_CHECKING:
    from punzinet.analysis.manifest.datasets import Dataset


def command(
    files: Annotated[list[str], typer.Argument(help="ROOT files, paths or URLs")],
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    network: NetworkOption = NETWORK,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="dataset of the manifest that the files are like: its tree, branch names, frame "
            "and missing values; needed where datasets differ in these"
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="file to write, or folder for several; by default this folder"),
    ] = None,
) -> None:
    """Evaluate a network on ntuples and write its output as a friend tree `punzinet`.

    Files are read like a dataset of the manifest. Their friends have an entry
    for each of theirs, in the same order; `punzinet_selected` asks for nothing
    but the output: neither for one candidate an event, nor for opposite charges.

    Example: punzinet predict data.root --network punzi-00 --to data.punzinet.root
    """
    from punzinet.analysis.network import load_network
    from punzinet.processors.candidates import make_samples
    from punzinet.processors.prediction import predict_file
    from punzinet.processors.preflight import inspect_file

    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder)
    like = _like(settings, dataset)
    alone = settings.model_copy(update={"datasets": {like.name: like}})
    saved = load_network(folder.network(network))
    further = saved.search.columns
    inputs = [inspect_file(like, path, Path(path).stem, further) for path in files]
    targets = targets_of(files, to, "punzinet")
    with entries_progress() as progress:
        for file, target in zip(inputs, targets, strict=True):
            task = progress.add_task(file.stem, total=file.entries)

            def advance(entries: int, task: object = task) -> None:
                progress.advance(task, entries)  # type: ignore[arg-type]  # a TaskID

            done = predict_file(
                file, saved, make_samples(alone, [file])[like.name], target,
                chunk_size=settings.features.chunk_size, advance=advance,
            )  # fmt: skip
            missing = f", {done.undefined} without output (input is not a number)"
            progress.console.print(
                f"predict: {target}: {done.entries} entries, {done.selected} selected"
                f"{missing if done.undefined else ''}",
                markup=False,
            )


def _like(manifest: Manifest, name: str | None) -> "Dataset":
    """The dataset that says how files are read.

    Raises:
        InputError: If there is none of that name, or datasets are read in several ways and none
            is named.
    """
    if name is None:
        name, *others = manifest.datasets
        reading = _reading(manifest.datasets[name])
        for other in others:
            for setting, value in _reading(manifest.datasets[other]).items():
                if value != reading[setting]:
                    raise InputError(
                        f"Datasets {name} and {other} differ in `{setting}`: say with --dataset "
                        "which of them the files are like."
                    )
    if name not in manifest.datasets:
        raise InputError(f"--dataset {name}: the manifest only has {', '.join(manifest.datasets)}.")
    # Of whatever mass the events are, nothing needs to know.
    return manifest.datasets[name].model_copy(update={"mass": 1.0})


def _reading(dataset: "Dataset") -> dict[str, Any]:
    """The settings of a dataset that say how momenta, beams and columns are read."""
    branches = {key: name for key, name in dataset.branches.items() if key != "generated_mass"}
    others = {name: getattr(dataset, name) for name in ("tree", "frame", "missing")}
    return {"branches": branches, **others}
