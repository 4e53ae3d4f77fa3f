"""All figures of what the other stages left."""

from punzinet.analysis.io.files import InputError
from punzinet.stages.features import FEATURES
from punzinet.stages.limits import LIMITS
from punzinet.stages.options import Context, console
from punzinet.stages.select import SELECT
from punzinet.stages.shape import SHAPE
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN, network_files


def _prepare(context: Context) -> None:
    if network_files(context):
        raise InputError(
            f"--network {context.options.network}: figures show how a network was trained beside "
            f"others, so it has to be one of {context.output.network('')}; choose one of those."
        )


def _run(context: Context) -> Written:
    """Draw all figures of what the other stages left, as PDF, PNG and SVG.

    Upper limits are drawn if `punzinet limits` has run; observed ones, too, if it observed any.
    What fits gain is drawn if `punzinet shape` has run.

    Example: punzinet plot --output output
    """
    from punzinet.plots.make import make_plots

    output, limits = context.output, LIMITS.has_run(context.output)
    observed = limits and "limits/observed.json" in LIMITS.record(output).outputs
    drawn = {"limits": limits, "observed": observed, "shape": SHAPE.has_run(output)}
    written = make_plots(output, context.manifest, context.options.network, **drawn)
    console.print(f"plot: {len(written)} files in {output.plots}")
    return written


PLOT = Stage(
    name="plot",
    run=_run,
    reads=("label", "processes", "figures"),
    also=lambda on: {"network": on.options.network},
    after=(FEATURES, TRAIN, SELECT),
    files=lambda on: on.manifest.figures.files,
    shows=lambda _: (LIMITS, SHAPE),
    writes=("plots",),
    options=("network",),
    prepare=_prepare,
)
