"""`punzinet report`: everything on one page."""

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
from punzinet.processors.stages import report_stage


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    network: NetworkOption = NETWORK,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
) -> None:
    """Show all results on one page, report.html, that needs no network and no other file.

    Example: punzinet report --output output
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    stage = report_stage(settings, folder, network)
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.plots.report.page import make_report

    stage.finish(make_report(folder, settings, network))
    console.print(f"report: open {folder.report} in a browser")
