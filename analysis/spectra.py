"""Recoil-mass spectra, before and after the selection, as histograms in a ROOT file.

Histograms are called ``<stage>/<variable>/<process>`` for backgrounds and
``<stage>/<variable>/signal/<mass>`` for signals, for example ``after/m_recoil/tautau`` and
``before/m2_recoil/signal/2.5``. Contents of backgrounds are events at the target luminosity,
those of signals are efficiencies.
"""

from pathlib import Path
from typing import Any

import numpy as np
import uproot
from hist import Hist, axis, storage

from analysis.datasets import SIGNAL
from analysis.errors import InputError
from analysis.reproducible_root import create_root_file
from analysis.types import FloatArray

STAGES = ("before", "after")

#: Axis of each variable. The squared mass can be negative; the mass of such an event is no
#: number and counts as underflow.
AXES = {
    "m_recoil": axis.Regular(106, 0.0, 10.6, name="recoil_mass", label=r"$M_\mathrm{rec}$ [GeV]"),
    "m2_recoil": axis.Regular(
        464, -4.0, 112.0, name="recoil_mass_squared", label=r"$M^2_\mathrm{rec}$ [GeV$^2$]"
    ),
}

#: Histograms by their name in the file.
Spectra = dict[str, Hist[Any]]


def fill_spectra(stage: str, name: str, m2_recoil: FloatArray, weight: FloatArray) -> Spectra:
    """Fill the spectra of all variables.

    Args:
        stage: One of `STAGES`.
        name: Process, or ``signal/<mass>``.
        m2_recoil: (n,) squared recoil masses, GeV².
        weight: (n,) weights.

    Returns:
        One histogram for each variable.
    """
    underflow = AXES["m_recoil"].edges[0] - 1.0
    m_recoil = np.full(len(m2_recoil), underflow)
    np.sqrt(m2_recoil, out=m_recoil, where=m2_recoil >= 0)
    values = {"m_recoil": m_recoil, "m2_recoil": m2_recoil}
    names = {variable: f"{stage}/{variable}/{name}" for variable in AXES}
    return {
        names[variable]: empty_spectrum(names[variable]).fill(values[variable], weight=weight)
        for variable in AXES
    }


def empty_spectrum(name: str) -> Hist[Any]:
    """An empty histogram with the axis that belongs to a name ``<stage>/<variable>/...``."""
    return Hist(AXES[name.split("/")[1]], storage=storage.Weight())


def write_spectra(path: Path, spectra: Spectra) -> None:
    """Write histograms to a ROOT file, the same bytes for the same contents."""
    with create_root_file(path, "recoil-mass spectra") as file:
        for name, histogram in sorted(spectra.items()):
            file[name] = histogram


def read_spectrum(
    path: Path, stage: str, variable: str
) -> tuple[Hist[Any], dict[float, Hist[Any]]]:
    """Read the spectra of one stage and variable.

    Args:
        path: The ROOT file.
        stage: One of `STAGES`.
        variable: One of `AXES`.

    Returns:
        The backgrounds in one histogram with the axes ``process`` and that of the variable, and
        the signals by their generated mass in GeV.

    Raises:
        InputError: If the file is absent or something else.
    """
    try:
        with uproot.open(path) as file:
            folder = file[f"{stage}/{variable}"]
            names = folder.keys(cycle=False, filter_classname="TH1D")
            contents = {name: _contents(folder[name]) for name in names}
    except Exception as error:  # whatever damage does to a ROOT file
        raise InputError(
            f"{path} does not hold the spectra {stage}/{variable}; run `punzinet select` first."
        ) from error
    prefix = f"{SIGNAL}/"
    processes = sorted(name for name in contents if not name.startswith(prefix))
    backgrounds = Hist(
        axis.StrCategory(processes, name="process"), AXES[variable], storage=storage.Weight()
    )
    for i, process in enumerate(processes):
        backgrounds.view(flow=True)[i] = contents[process]
    signals = {}
    for name in sorted(contents.keys() - set(processes)):
        signal = Hist(AXES[variable], storage=storage.Weight())
        signal.view(flow=True)[:] = contents[name]
        signals[float(name.removeprefix(prefix))] = signal
    return backgrounds, dict(sorted(signals.items()))


def _contents(histogram: Any) -> Any:
    """Sums of weights and variances of a histogram in a file, overflows included."""
    return histogram.to_hist().view(flow=True)
