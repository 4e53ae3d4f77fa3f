"""Counting experiments that are made up."""

import numpy as np

from punzinet.analysis.limits.model import Background, CountingExperiment, Yields
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
