"""`punzinet plot`: the figures."""

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import load_manifest
from punzinet.cli.options import (
    MANIFEST,
    NETWORK,
    OUTPUT,
    DryRunOption,
    ForceOption,
    ManifestOption,
    NetworkOption,
    OutputOption,
    ScaleOption,
    console,
    nothing_to_do,
)
from punzinet.processors.stages import limits_stage, plot_stage


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    network: NetworkOption = NETWORK,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
) -> None:
    """Draw all figures of what the other stages left, as PDF, PNG and SVG.

    Upper limits are drawn if `punzinet limits` has run on the network as it is.

    Example: punzinet plot --output output
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    limits = limits_stage(settings, folder, network).is_up_to_date()
    stage = plot_stage(settings, folder, network, limits=limits)
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.plots.make import make_plots

    written = make_plots(folder, settings, network, limits=limits)
    stage.finish(written)
    console.print(f"plot: {len(written)} files in {folder.plots}")
