"""Expected upper limits of the single cut, for every mass."""

import numpy as np
from rich.table import Table

from punzinet.analysis.io.files import read_json
from punzinet.stages.features import FEATURES
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN, network_files

#: Masses that the table of limits shows, as shares of the way through all of them.
SHOWN = (0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)


def _run(context: Context) -> Written:
    """Work out expected upper limits on the cross-section and on g' for every mass.

    Example: punzinet limits --network punzi-00
    """
    from punzinet.processors.runs.limits import run_limits

    output = context.output
    written, limits = run_limits(context.manifest, output, context.options.network)
    level = f"{100 * limits.confidence_level:g} % CL"
    table = Table(
        "mass (GeV)", "background", f"σ·B at {level} (fb)", "exact sums (fb)", "g'",
        title="Expected limits of the single cut",
    )  # fmt: skip
    single = limits.selections["single"]
    coupling = limits.coupling(single.asymptotic)[:, 2]
    for i in sorted({round(share * (len(limits.mass) - 1)) for share in SHOWN}):
        low, median, high = single.asymptotic[i, 1:4]
        band = f"{median:.3g} ({low:.3g} to {high:.3g})"
        background = f"{'< ' * bool(single.effective_events[i] == 0)}{single.background[i]:.3g}"
        numbers = background, band, f"{single.counting[i, 2]:.3g}"
        strength = f"{coupling[i]:.2g}" if np.isfinite(coupling[i]) else "-"
        table.add_row(f"{limits.mass[i]:g}", *numbers, strength)
    console.print(table)
    if output.sidebands in written:
        for line in read_json(output.sidebands, "punzinet limits")["said"]:
            console.print(line, soft_wrap=True)
    console.print(f"limits: {len(written)} files in {output.limits.parent}")
    return written


LIMITS = Stage(
    name="limits",
    run=_run,
    reads=("figure_of_merit", "limits"),
    also=lambda on: {"network": on.options.network},
    after=(FEATURES, TRAIN),
    # The user's table and network, if there are any.
    files=lambda on: [*filter(None, [on.manifest.limits.cross_sections]), *network_files(on)],
    writes=("limits/limits.json",),
    options=("network",),
)
