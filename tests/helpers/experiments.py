"""Counting experiments and observations that are made up."""

import numpy as np

from punzinet.analysis.limits.model import (
    Background,
    CountingExperiment,
    Yields,
    acting,
    log_normal,
)
from punzinet.analysis.limits.observed import Observation, Upcrossings
from punzinet.analysis.manifest.sections import LimitSettings

SIGNAL = 10.0  # events for 1 fb


def experiment(background, effective=1e9, size=0.0, efficiency=0.0, luminosity=0.0, **others):
    """One background; by default, the simulated sample has no end, and nothing is uncertain."""
    return uncertain([("tautau", background, effective, size)], efficiency, luminosity, **others)


def uncertain(backgrounds, efficiency=0.05, luminosity=0.01, own=False, **others):
    """Backgrounds with name, events, effective events and uncertainty, common or each its `own`."""
    about = {"mass": 2.5, "signal": SIGNAL, "statistics": 0.0, "shared": {}} | others
    names = [name for name, *_ in backgrounds]
    factors = {
        "efficiency": {"signal": log_normal(efficiency)},
        "signal_statistics": {"signal": log_normal(about.pop("statistics"))},
        "luminosity": dict.fromkeys(["signal", *names], log_normal(luminosity)),
    }
    for name, _, _, size in backgrounds:
        factors.setdefault(f"background_{name}" if own else "background", {})[name] = log_normal(
            size
        )
    factors = acting(factors | about.pop("shared"))
    found = tuple(Background(*columns) for *columns, _ in backgrounds)
    return CountingExperiment(backgrounds=found, factors=factors, **about)


def realistic(background):
    """As uncertain as the default data."""
    return experiment(background, 4 * background, 0.1, 0.05, 0.01)


#: Backgrounds of which little is known, each as uncertain as it is.
THREE_BACKGROUNDS = [
    ("tautau", 0.9, 4.0, 0.1),
    ("eemumu", 0.2, 1.0, 0.2),
    ("mumugamma", 5.0, 50.0, 0.3),
]
THREE = uncertain(THREE_BACKGROUNDS, mass=1.0, signal=8.0, statistics=0.02, own=True)


def counted(background, error, efficiency=0.2, **settings):
    """The experiment of yields of two backgrounds, of which 0.3 events cannot be excluded."""
    yields = Yields(
        backgrounds=("tautau", "eemumu"),
        efficiency=np.array([efficiency]),
        efficiency_error=np.array([0.01 * efficiency]),
        background=np.array(background)[:, None],
        background_error=np.array(error)[:, None],
        unseen=np.array([0.3]),
        cut=np.zeros(1),
    )
    (one,) = CountingExperiment.all_of(yields, np.array([2.5]), 50.0, LimitSettings(**settings))
    return one


def observation(mass, **changes):
    """What might be observed at scan points (S,), of which every second is a hypothesis."""
    column = np.linspace(1.0, 2.0, len(mass))
    about = {
        "source": "pseudo-data", "injected": {2.5: 30.0}, "luminosity": 50.0,
        "confidence_level": 0.9, "network": "punzi-00", "cut": 0.3, "mass": mass,
        "hypothesis": np.arange(len(mass)) % 2 == 0, "efficiency": column / 5,
        "background": column, "background_error": column / 9, "effective_events": 9 * column,
        "count": np.arange(len(mass)), "expected": np.outer(column, [0.5, 0.7, 1.0, 1.4, 2.0]),
        "limit": 1.2 * column, "asymptotic": 1.1 * column, "p_value": 0.4 / column,
        "significance": column, "sigma_over_g2": np.full(len(mass), np.nan),
        "global_p_value": 0.0012, "global_error": 0.0003, "experiments": 10_000,
        "upcrossings": Upcrossings(3.0, 1.0, 2e-3), "likeliest_mass": 0.3,
    }  # fmt: skip
    return Observation(**about | changes)
