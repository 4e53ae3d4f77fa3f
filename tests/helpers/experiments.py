"""Counting experiments and observations that are made up."""

import numpy as np

from punzinet.analysis.limits.model import Background, CountingExperiment, Yields
from punzinet.analysis.limits.observed import Observation, Upcrossings
from punzinet.analysis.manifest.sections import LimitSettings

SIGNAL = 10.0  # events for 1 fb


def experiment(background, effective=1e9, size=0.0, efficiency=0.0, luminosity=0.0, **others):
    """One background; by default, the simulated sample has no end, and nothing is uncertain."""
    source = Background("tautau", background, effective, ("background", size))
    about = {"mass": 2.5, "signal": SIGNAL} | others
    systematics = {"efficiency": efficiency}
    return CountingExperiment(
        signal_systematics=systematics, luminosity=luminosity, backgrounds=(source,), **about
    )


def realistic(background):
    """As uncertain as the default data."""
    return experiment(background, 4 * background, 0.1, 0.05, 0.01)


#: Backgrounds of which little is known, each as uncertain as it is.
THREE = CountingExperiment(
    1.0,
    8.0,
    {"efficiency": 0.05, "signal_statistics": 0.02},
    0.01,
    (
        Background("tautau", 0.9, 4.0, ("background_tautau", 0.1)),
        Background("eemumu", 0.2, 1.0, ("background_eemumu", 0.2)),
        Background("mumugamma", 5.0, 50.0, ("background_mumugamma", 0.3)),
    ),
)


def counted(background, error, efficiency=0.2, **settings):
    """The experiment of yields of two backgrounds, of which 0.3 events cannot be excluded."""
    yields = Yields(
        backgrounds=("tautau", "eemumu"),
        efficiency=np.array([efficiency]),
        efficiency_error=np.array([0.01 * efficiency]),
        background=np.array(background)[:, None],
        background_error=np.array(error)[:, None],
        unseen=np.array([0.3]),
    )
    return CountingExperiment.of(yields, 0, 2.5, 50.0, LimitSettings(**settings))


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
        "upcrossings": Upcrossings(3.0, 1.0, 2e-3),
    }  # fmt: skip
    return Observation(**about | changes)
