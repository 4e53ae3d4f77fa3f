"""`punzinet plot`: the figures."""

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
from processors.stages import plot_stage


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    force: ForceOption = False,
) -> None:
    """Draw all figures of what the other stages left, as PDF and PNG.

    Example: punzinet plot --output output
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    stage = plot_stage(settings, folder)
    if nothing_to_do(stage, force):
        return
    from plots.make import make_plots

    written = make_plots(folder, settings)
    stage.finish(written)
    console.print(f"plot: {len(written)} files in {folder.plots}")
