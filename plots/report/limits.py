"""Limits and systematic effects as tables, and in words what is observed."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.special import ndtri

from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.limits.systematics import parse_systematics
from punzinet.analysis.manifest.datasets import DATA, SIGNAL_PROCESS
from punzinet.analysis.types import FloatArray
from punzinet.plots.report.tables import Table, below, make_table, number, with_error

COMPATIBLE = 0.05  # global p-value above which nothing is remarkable
EVIDENCE = 0.00135  # and the one of three sigmas, below which background alone explains little
#: Columns; limits are exact Poisson sums unless asymptotic, those of BCE at its best cuts.
EXPECTED = ("m [GeV]", "background", "−1σ", "median", "+1σ", "g′", "asymptotic", "BCE")
OBSERVED = ("m [GeV]", "count", "background", "limit", "median", "g′", "p-value", "σ")
POOR = 0.05  # statistical error of a factor that is worth a word
SYSTEMATIC = ("parameter", "m [GeV]", "background [%]", "efficiency [%]", "limit [%]")
EFFECTS = (
    "Systematic effects behind the single cut, one sigma up and down, and what they add to the "
    "median expected limit"
)


def expected_table(limits: Limits, points: Iterable[int] | None = None) -> Table:
    """Expected upper limits of the single cut and of the best cuts, by default at all masses.

    The coupling g′ belongs to the median; there is a dash where it is not known.
    """
    one, best = limits.selections["single"], limits.selections.get("best")
    coupling = limits.coupling(one.counting[:, 2])
    rows = []
    for i in range(len(limits.mass)) if points is None else points:
        of_one = one.background[i], *one.counting[i, 1:4], coupling[i], one.asymptotic[i, 2]
        unseen = one.effective_events[i] == 0 and one.efficiency[i] > 0
        shown = [below(value, unseen, digits=3) for value in of_one]
        other = best and below(best.counting[i, 2], best.effective_events[i] == 0, digits=3)
        rows.append([f"{limits.mass[i]:g}", *shown, other])
    level = f"{100 * limits.confidence_level:g} % CL"
    caption = f"Expected upper limits on σ·B at {level} in fb, behind one cut"
    return make_table(caption, EXPECTED, rows)


def observed_table(observation: Observation, points: Iterable[int] | None = None) -> Table:
    """Counts, limits and local p-values of scan points, by default of all."""
    one = observation
    unseen = (one.effective_events == 0) & (one.efficiency > 0)  # without signal, no limit
    coupling = one.coupling(one.limit)
    rows = []
    for i in range(len(one.mass)) if points is None else points:
        background = below(one.background[i], unseen[i], one.background_error[i])
        limits = one.limit[i], one.expected[i, 2], coupling[i]
        row = [f"{one.mass[i]:g}", int(one.count[i]), background, *(number(x, 3) for x in limits)]
        rows.append([*row, _probability(one.p_value[i]), number(one.significance[i], 2)])
    level = f"{100 * one.confidence_level:g} % CL"
    caption = f"{source_of(one)}: upper limits on σ·B at {level} in fb, and local p-values"
    return make_table(caption, OBSERVED, rows)


def source_of(observation: Observation) -> str:
    """What was counted, and at which luminosity."""
    said = "Data"
    if observation.source != DATA:
        signals = (f"{fb:g} fb at {mass:g} GeV" for mass, fb in observation.injected.items())
        said = f"Pseudo-data of {' and '.join(['background', *signals])}"
    return f"{said}, {observation.luminosity:g} fb⁻¹"


def most_significant(observation: Observation) -> int:
    """The scan point with the smallest local p-value."""
    return int(np.argmin(observation.p_value))


def conclusion(observation: Observation) -> str:
    """What the smallest p-value means, in few sentences."""
    best, error = most_significant(observation), observation.global_error
    known = observation.global_p_value
    share = with_error(known, error) if known else f"below {number(error, 1)}"
    verdict = "That is compatible with background alone."
    if known < COMPATIBLE:
        sigmas = f"{'' if known else 'more than '}{-ndtri(known or error):.1f} σ"
        verdict = f"Globally that is {sigmas}."
        if (known or error) < EVIDENCE:
            verdict = f"Background alone hardly explains that: globally it is {sigmas}."
        verdict += f" By its shape, a signal is likeliest at {observation.likeliest_mass:g} GeV."
    return (
        f"Most significant is {observation.mass[best]:g} GeV, with "
        f"{observation.significance[best]:.1f} σ (local p-value "
        f"{_probability(observation.p_value[best])}); from background alone, so small a p-value at "
        f"any mass has a probability of {share} ({observation.experiments:,} pseudo-experiments; "
        f"{_probability(observation.upcrossings.p_value)} by upcrossings). {verdict}"
    )


def _probability(value: float) -> str:
    """A p-value, which may be smaller than any number."""
    return number(value, 2) if value else "< 10⁻³⁰⁰"


def systematics_tables(content: Any, points: Iterable[int] | None = None) -> list[Table]:
    """What each parameter does at some masses, by default at all, of systematics.json."""
    mass, parameters = parse_systematics(content)
    shown = [*range(len(mass))] if points is None else [*points]
    rows = [
        [name, f"{mass[i]:g}", _change(one.background[:, i]),
         _change(one.factor[SIGNAL_PROCESS][:, i]), f"{100 * one.impact[i]:+.2f}"]
        for name, one in parameters.items() for i in shown
    ]  # fmt: skip
    unknown = [
        f"{name} on {process} (± {100 * error.max():.0f} %)"
        for name, one in parameters.items()
        for process, error in one.error.items() if error.max() > POOR
    ]  # fmt: skip
    poor = f". Too few varied events know the effect of {', '.join(unknown)}" if unknown else ""
    return [make_table(f"{EFFECTS}{poor}", SYSTEMATIC, rows)]


def _change(factors: FloatArray) -> str:
    return " / ".join(f"{100 * (factor - 1):+.1f}" for factor in factors)
