"""`punzinet train`: the networks and their sensitivity."""

from typing import Annotated

import typer

from analysis.manifest import load_manifest
from analysis.output import OutputFolder
from processors.cli.options import (
    MANIFEST,
    OUTPUT,
    ForceOption,
    ManifestOption,
    OutputOption,
    ScaleOption,
    console,
    nothing_to_do,
)
from processors.stages import train_stage


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    networks: Annotated[
        int | None, typer.Option(min=1, help="independently initialised networks, by the manifest")
    ] = None,
    force: ForceOption = False,
) -> None:
    """Pretrain with cross-entropy, train with the Punzi-loss, find the cuts, judge both.

    Example: punzinet train --networks 25
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    if networks is not None:
        training = settings.training.model_copy(update={"networks": networks})
        settings = settings.model_copy(update={"training": training})
    stage = train_stage(settings, folder)
    if nothing_to_do(stage, force):
        return
    raise NotImplementedError
