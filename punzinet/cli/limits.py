"""`punzinet limits`: expected upper limits."""

import numpy as np
from rich.progress import track
from rich.table import Table

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
from punzinet.processors.stages import limits_stage

#: Masses that the table shows, as shares of the way through all of them.
SHOWN = (0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    network: NetworkOption = NETWORK,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
) -> None:
    """Work out expected upper limits on the cross-section and on g' for every mass.

    Example: punzinet limits --network punzi-00
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    stage = limits_stage(settings, folder, network)
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.processors.limits_stage import run_limits

    written, limits = run_limits(
        settings,
        folder,
        network,
        lambda items, title: iter(track(items, title, console=console)),
    )
    stage.finish(written)
    level = f"{100 * limits.confidence_level:g} % CL"
    table = Table(
        "mass (GeV)", "background", f"σ·B at {level} (fb)", "exact sums (fb)", "g'",
        title="Expected limits of the single cut",
    )  # fmt: skip
    single = limits.selections["single"]
    coupling = limits.coupling(single.asymptotic)[:, 2]
    for i in sorted({round(share * (len(limits.mass) - 1)) for share in SHOWN}):
        low, median, high = single.asymptotic[i, 1:4]
        table.add_row(
            f"{limits.mass[i]:g}",
            f"{single.background[i]:.3g}",
            f"{median:.3g} ({low:.3g} to {high:.3g})",
            f"{single.counting[i, 2]:.3g}",
            f"{coupling[i]:.2g}" if np.isfinite(coupling[i]) else "-",
        )
    console.print(table)
    console.print(f"limits: {len(written)} files in {folder.limits.parent}")
