"""Periods: parts of the target luminosity that samples of their own stand for, such as years.

A background of a period is scaled to the luminosity of that period, one without to the total. The
efficiency of signal is the mean over periods, weighted by their luminosities. Whoever has a sample
of one period therefore needs one of each: the mean over those that are there would be that of
another experiment. A sample that stands for all periods says none.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from punzinet.analysis.io.files import did_you_mean
from punzinet.analysis.manifest.datasets import DATA, SIGNAL_PROCESS, Dataset

EQUAL = 1e-3  # relative difference of luminosities that people write with three digits


def as_periods(luminosity: Mapping[Any, Any]) -> dict[str, Any]:
    """What the manifest makes of a mapping that is given as the luminosity: sum and periods."""
    try:
        total = math.fsum(map(float, luminosity.values()))
    except (TypeError, ValueError):
        total = 1.0  # what is wrong is said of `periods`
    named = {str(period): value for period, value in luminosity.items()}
    return {"luminosity": total, "periods": named}


def check_periods(
    luminosity: float,
    periods: Mapping[str, float],
    datasets: Mapping[str, Dataset],
    masses: list[float],
) -> None:
    """Raise ValueError if a dataset or a period is without the other; masses are in GeV."""
    if periods and not math.isclose(luminosity, math.fsum(periods.values())):
        raise ValueError("`periods`: give them as `luminosity: {ONE: 20, OTHER: 30}`")
    for name, dataset in datasets.items():
        if dataset.period is not None and dataset.period not in periods:
            raise ValueError(
                f"`datasets.{name}.period`: {dataset.period!r} is no period of `luminosity` "
                + (did_you_mean(dataset.period, [*periods], "there are") if periods else
                   f"(which is one number; give a mapping such as {{{dataset.period}: 20}})")
            )  # fmt: skip
    if periods and not any(dataset.period for dataset in datasets.values()):
        raise ValueError(
            "`luminosity` has periods that no dataset names; say `period` there, or give their sum "
            "as one number"
        )
    simulated = [dataset for dataset in datasets.values() if not dataset.is_data]
    named = {
        f"process {process}": {d.period for d in simulated if d.process == process} - {None}
        for process in sorted({dataset.process for dataset in simulated} - {SIGNAL_PROCESS})
    }
    signals = [dataset for dataset in simulated if dataset.is_signal]
    for mass in masses:
        holds = [d for d in signals if d.simulate or d.generated_at(mass) is not None]
        named[f"signal of {mass:g} GeV"] = {dataset.period for dataset in holds}
    for sample, given in named.items():
        if given > {None}:
            raise ValueError(
                f"`datasets`: {sample} has samples with a `period` and others without, and an "
                "event cannot stand for both; say it of all of them, or of none"
            )
        missing = [period for period in periods if period not in given]
        if missing and given - {None}:
            raise ValueError(
                f"`datasets`: {sample} has no sample of {', '.join(missing)}, but of other "
                "periods; add it, or leave `period` out if what there is stands for all of them"
            )


def remarks(periods: Mapping[str, float], datasets: Mapping[str, Dataset]) -> list[str]:
    """Sentences on what may be meant, and may be a mistake.

    These are a background of which several samples are scaled to the same luminosity, and data of a
    period whose luminosity is not that of the period.
    """
    said = []
    for process in sorted({one.process for one in datasets.values()} - {SIGNAL_PROCESS, DATA}):
        own = [dataset for dataset in datasets.values() if dataset.process == process]
        sums = defaultdict[str, list[str]](list)  # periods of each sum of several
        for period in periods or [""]:
            together = [one.name for one in own if one.period in {None, period}]
            sums[", ".join(together) * (len(together) > 1)].append(period)
        for names, of in sums.items():
            if names:
                when = f" of {' and '.join(of)}" if len(of) < len(periods) else ""
                said.append(
                    f"Process {process}{when} is the sum of the datasets {names}, each scaled to "
                    f"the full luminosity{when}: that is right for parts of a process, but parts "
                    "of one sample belong into the `files` of one dataset."
                )
    measured = [one for one in datasets.values() if one.is_data and one.period is not None]
    for period, target in periods.items() if measured else ():
        found = math.fsum(one.luminosity or 0 for one in measured if one.period == period)
        if not math.isclose(found, target, rel_tol=EQUAL):
            said.append(
                f"Data of {period} is {found:g} fb⁻¹, but `luminosity` has {target:g} for it: the "
                "simulation has not the same mixture of periods; correct the one that is wrong."
            )
    return said
