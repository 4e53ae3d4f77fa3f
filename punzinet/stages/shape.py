"""Expected upper limits by fits of the window variable in bins, for every mass."""

import numpy as np

from punzinet.stages.limits import LIMITS
from punzinet.stages.options import Context, console
from punzinet.stages.select import SELECT
from punzinet.stages.stage import Stage, Written


def _run(context: Context) -> Written:
    """Work out what a fit of the shape in bins gains over counting in the windows, for every mass.

    Example: punzinet shape --network punzi-00
    """
    from punzinet.processors.runs.shape import run_shape

    written, result = run_shape(context.manifest, context.output)
    if context.manifest.limits.background == "sidebands":
        console.print(
            "shape: the sidebands that normalise the background count in the fit again: its "
            "limits are too strong."
        )
    gain = result.gain[np.isfinite(result.gain)]
    if len(gain):
        least, median, most = np.quantile(gain, (0, 0.5, 1))
        console.print(f"shape: limits {median:.2f} times stronger ({least:.2f} to {most:.2f})")
    console.print(f"shape: {len(written)} files in {context.output.shape.parent}")
    return written


SHAPE = Stage(
    name="shape",
    run=_run,
    also=lambda on: {"network": on.options.network},
    after=(SELECT, LIMITS),
    writes=("limits/shape.json",),
    options=("network",),
)
