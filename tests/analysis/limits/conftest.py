from collections.abc import Callable

import pytest

from punzinet.analysis.limits.model import Background, CountingExperiment

MakeExperiment = Callable[..., CountingExperiment]


@pytest.fixture(scope="session")
def experiment_with() -> MakeExperiment:
    """Makes an experiment with one background and uncertainties of the same relative size."""

    def make(
        background: float,
        effective: float = 1e7,
        size: float = 1e-4,
        signal: float = 10.0,
        **others: float,
    ) -> CountingExperiment:
        return CountingExperiment(
            mass=2.5,
            signal=signal,
            signal_systematics={"efficiency": others.get("efficiency", size)},
            luminosity=others.get("luminosity", size),
            backgrounds=(Background("tautau", background, effective, ("background", size)),),
        )

    return make
