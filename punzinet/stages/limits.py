"""Expected upper limits for every mass, by counting and by fits; if asked, what is observed."""

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from punzinet.analysis.io.files import InputError, read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.types import FloatArray, IntArray
from punzinet.stages.features import DATA, FEATURES, VARIATIONS, check_unblind
from punzinet.stages.options import Context, Options, console
from punzinet.stages.select import SELECT
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import BELOW, TRAIN, network_files

if TYPE_CHECKING:
    # Not at run time: pyhf and the like are slow to import.
    from punzinet.analysis.limits.observed import Observation
    from punzinet.analysis.limits.result import Limits
    from punzinet.plots.report.tables import Table

#: Rows of the table of limits: positions in the list of masses, 0 first, 1 last.
SHOWN = (0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)


def _prepare(context: Context) -> None:
    """Refuse what cannot be observed before anything of the last run is put aside."""
    options, manifest = context.options, context.manifest
    if options.unblind and options.inject:
        raise InputError("Give --unblind for data, or --inject for pseudo-data, but not both.")
    check_unblind(context)
    if options.unblind or options.inject:
        from punzinet.processors.runs.limits import read_injected, unblinded_luminosity

        if options.unblind:
            unblinded_luminosity(manifest, context.output)
        read_injected(options.inject or (), manifest.hypotheses.mass)


def _observed(options: Options) -> dict[str, Any]:
    """What the result depends on if anything is observed."""
    given = {"unblind": options.unblind, "inject": options.inject}
    return {name: value for name, value in given.items() if value}


def _run(context: Context) -> Written:
    """Work out expected upper limits on the cross-section and on g' for every mass.

    Example: punzinet limits --network punzi-00

    When the analysis is final, what is observed as well: punzinet limits --unblind

    To rehearse that with pseudo-data: punzinet limits --inject 2.5:3fb
    """
    from punzinet.plots.report.limits import systematics_tables
    from punzinet.plots.report.tables import in_terminal
    from punzinet.processors.runs.limits import run_limits

    output, options = context.output, context.options
    with Console(stderr=True, quiet=console.quiet).status("Limits") as status:
        how = {"step": status.update, **_observed(options)}
        written, limits, observation = run_limits(context.manifest, output, options.network, **how)
    _say(limits, observation)
    if output.systematics in written:
        effects, points = read_json(output.systematics, "punzinet limits"), _shown(limits.mass)
        console.print(*map(in_terminal, systematics_tables(effects, points)))
    if output.sidebands in written:
        for line in read_json(output.sidebands, "punzinet limits")["said"]:
            console.print(line, soft_wrap=True)
    console.print(f"limits: {len(written)} files in {output.limits.parent}")
    return written


def _shown(points: FloatArray | IntArray) -> list[int]:
    """Indices of the points of which a table in the terminal has lines."""
    return sorted({round(share * (len(points) - 1)) for share in SHOWN})


def _say(expected: "Limits", observation: "Observation | None") -> None:
    """Say what is observed, or else expected, at some masses."""
    from punzinet.plots.report import limits

    if observation is None:
        _say_table(limits.expected_table(expected, _shown(expected.mass)))
        return
    searched = np.flatnonzero(observation.hypothesis)  # of the points of the scan
    seen = {*searched[_shown(searched)].tolist(), limits.most_significant(observation)}
    _say_table(limits.observed_table(observation, sorted(seen)))
    if observation.luminosity != expected.luminosity:
        console.print(
            f"The data has {observation.luminosity:g} fb⁻¹: what is expected of it is scaled from "
            f"the target of {expected.luminosity:g} fb⁻¹.", soft_wrap=True,
        )  # fmt: skip
    console.print(limits.conclusion(observation), soft_wrap=True)


def _say_table(table: "Table") -> None:
    """Show a table, and say what in it may have to be explained."""
    from punzinet.plots.report.tables import in_terminal

    console.print(in_terminal(table))
    if any(cell.text.startswith("<") for row in table.rows for cell in row):
        console.print(BELOW)
    if all(row[table.header.index("g′")].text == "–" for row in table.rows):
        console.print("g′ is known where `limits: {cross_sections: …}` gives those for g′ = 1")


def known_tables(context: Context) -> list[str]:
    """The user's table of cross-sections, if there is one."""
    return [*filter(None, [context.manifest.limits.cross_sections])]


LIMITS = Stage(
    name="limits",
    run=_run,
    reads=("beams", "figure_of_merit", "limits", "systematics"),
    also=lambda on: {"network": on.options.network, **_observed(on.options)},
    after=(FEATURES, VARIATIONS, TRAIN),
    shows=lambda on: (DATA,) if on.options.unblind else (),  # else it does not depend on any
    files=lambda on: [*known_tables(on), *network_files(on)],
    writes=("limits/limits.json",),
    options=("network", "unblind", "inject"),
    prepare=_prepare,
)


def _run_shape(context: Context) -> Written:
    """Work out what a fit of the shape in bins gains over counting in the windows, for every mass.

    Example: punzinet shape --network punzi-00
    """
    from punzinet.processors.runs.limits import run_shape

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
    run=_run_shape,
    also=lambda on: {"network": on.options.network},
    after=(SELECT, LIMITS),
    writes=("limits/shape.json",),
    options=("network",),
)


def what_is_observed(output: OutputFolder) -> list[str]:
    """A sentence on what the last run observed, if it did; InputError if its record is damaged."""
    options = LIMITS.record(output).options if LIMITS.has_run(output) else {}
    inject = "".join(f" --inject {one}" for one in options.get("inject") or ())
    if options.get("unblind"):
        return ["limits: all of the data is observed."]
    return [f"limits: pseudo-data is observed ({inject.strip()})."] if inject else []
