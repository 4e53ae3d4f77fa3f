"""Events of Pythia 8, against which the generators are compared.

Pythia (arXiv:2203.11601) is an optional package, `pythia8mc`, used for nothing but this. Its
showers radiate off beams and final state; its tau decays carry the spin correlation of the pair,
which makes them slow: some twenty pairs a second, against thousands of muon pairs.
"""

import importlib
from typing import Any, Final

import numpy as np

from punzinet.analysis.constants import BR_TAU_TO_MU, MUON_MASS, TAU_MASS
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.types import FloatArray

_SETTINGS: Final = {
    "mumugamma": ("23:onIfAny = 13",),
    "tautau": ("23:onIfAny = 15", "15:onMode = off", "15:onIfAll = 13 14 16"),
}
"""Which pair the virtual photon (Pythia's 23) makes, and how taus decay."""
LEAST_MASS: Final = {"mumugamma": 2 * MUON_MASS + 0.1, "tautau": 2 * TAU_MASS + 0.1}
"""Mass of the pair, GeV, below which Pythia makes none: it opens no decay of a resonance within
0.1 GeV of the threshold."""
_ROWS: Final = {-13: 0, 13: 1, 22: 2}
"""Place of mu+, mu- and photons in the record; all else comes fourth."""
_FB_PER_MB: Final = 1e12


def pythia_events(process: str, n: int, sqrt_s: float, seed: int) -> GeneratedEvents:
    """Generate unweighted events that end in two muons.

    Args:
        process: `mumugamma` or `tautau`; taus decay to a muon and neutrinos only.
        n: number of events.
        sqrt_s: energy of the beams in their CMS, GeV.
        seed: of Pythia's own random numbers, between 1 and 9e8.

    Returns:
        The events. All photons of one are summed in one row of `photons`; `weight` is the
        cross-section times the branching ratios, fb, the same for all.

    Raises:
        InputError: If pythia8mc is not installed.
    """
    engine = _start(process, sqrt_s, seed)
    sums = np.zeros((n, 4, 4))
    for event in sums:  # Pythia has no other way
        while not engine.next():
            pass
        _add_up(engine.event, event)
    rate = engine.infoPython().sigmaGen() * _FB_PER_MB
    # what Pythia calls its cross-section knows nothing of the decays that were switched off
    rate *= BR_TAU_TO_MU**2 if process == "tautau" else 1.0
    return GeneratedEvents(
        mu_plus=sums[:, 0],
        mu_minus=sums[:, 1],
        photons=sums[:, 2:3],
        electrons=np.zeros((n, 2, 4)),
        invisible=sums[:, 3],
        sqrt_s=np.full(n, sqrt_s),
        weight=np.full(n, rate),
        mass=np.full(n, np.nan),
    )


def _start(process: str, sqrt_s: float, seed: int) -> Any:
    """A Pythia engine, initialised; arguments and errors as in `pythia_events`."""
    try:
        pythia8 = importlib.import_module("pythia8mc")
    except ImportError as error:
        raise InputError(
            "The comparison with Pythia needs the package pythia8mc; install the development "
            "extras with `pip install --only-binary pythia8mc pythia8mc`."
        ) from error
    engine = pythia8.Pythia("", False)
    for setting in (
        "Print:quiet = on",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        "Beams:idA = 11",
        "Beams:idB = -11",
        f"Beams:eCM = {sqrt_s}",
        "PDF:lepton = on",
        "WeakSingleBoson:ffbar2gmZ = on",
        "TimeShower:QEDshowerByGamma = off",  # photons stay photons
        # the logarithm of the radiation off the beams is that of s, however little is left of it
        "SigmaProcess:factorScale1 = 2",
        f"SigmaProcess:factorFixScale = {sqrt_s**2}",
        f"23:mMin = {LEAST_MASS[process]}",
        f"PhaseSpace:mHatMin = {LEAST_MASS[process]}",
        "23:onMode = off",
        *_SETTINGS[process],
    ):
        engine.readString(setting)
    engine.init()
    return engine


def _add_up(particles: Any, sums: FloatArray) -> None:
    """Add an event's final particles to the sums (4, 4) of mu+, mu-, photons and all else."""
    for particle in particles:
        if particle.isFinal():
            row = sums[_ROWS.get(particle.id(), 3)]
            row += (particle.e(), particle.px(), particle.py(), particle.pz())
