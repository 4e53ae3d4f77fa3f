"""Spectra of the window variable, before and after the selection, as histograms in a ROOT file.

Histograms are called ``<stage>/<variable>/<process>`` for backgrounds and
``<stage>/<variable>/signal/<mass>`` for signals, for example ``after/m_recoil/tautau`` and
``before/m2_recoil/signal/2.5``. Contents of backgrounds are events at the target luminosity,
those of signals are efficiencies.
"""

from pathlib import Path
from typing import Any

import uproot
from hist import Hist, axis, storage

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.reproducible_root import create_root_file
from punzinet.analysis.manifest.datasets import SIGNAL
from punzinet.analysis.observables import Quantity
from punzinet.analysis.types import FloatArray

STAGES = ("before", "after")

#: Bins, lower and upper end of axes, in GeV and GeV².
BINNING = {1: (106, 0.0, 10.6), 2: (464, -4.0, 112.0)}

#: Histograms by their name in the file.
Spectra = dict[str, Hist[Any]]


def drawn_quantities(variable: Quantity) -> dict[str, Quantity]:
    """What there are spectra of, by name: the variable of the windows, always also as a mass."""
    return {quantity.name: quantity for quantity in (variable.mass, variable)}


def spectrum_axis(quantity: Quantity) -> axis.Regular:
    """The axis of a quantity.

    A squared mass can be negative; the mass of such an event counts as underflow.
    """
    return axis.Regular(*BINNING[quantity.dimension], name=quantity.name, label=quantity.axis_label)


def fill_spectra(
    stage: str, name: str, variable: Quantity, values: FloatArray, weight: FloatArray
) -> Spectra:
    """Fill the spectra of the variable of the windows.

    Args:
        stage: One of `STAGES`.
        name: Process, or ``signal/<mass>``.
        variable: What it is.
        values: (n,) its values, in its unit.
        weight: (n,) weights.

    Returns:
        One histogram for each of `drawn_quantities`.
    """
    columns = {variable.mass.name: variable.signed_mass(values), variable.name: values}
    return {
        f"{stage}/{drawn}/{name}": empty_spectrum(quantity).fill(columns[drawn], weight=weight)
        for drawn, quantity in drawn_quantities(variable).items()
    }


def empty_spectrum(quantity: Quantity) -> Hist[Any]:
    """An empty histogram of a quantity."""
    return Hist(spectrum_axis(quantity), storage=storage.Weight())


def write_spectra(path: Path, spectra: Spectra) -> None:
    """Write histograms to a ROOT file, the same bytes for the same contents."""
    with create_root_file(path, "recoil-mass spectra") as file:
        for name, histogram in sorted(spectra.items()):
            file[name] = histogram


def read_spectrum(
    path: Path, stage: str, quantity: Quantity
) -> tuple[Hist[Any], dict[float, Hist[Any]]]:
    """Read the spectra of one stage and quantity.

    Args:
        path: The ROOT file.
        stage: One of `STAGES`.
        quantity: One of `drawn_quantities`.

    Returns:
        The backgrounds in one histogram with the axes ``process`` and that of the quantity, and
        the signals by their generated mass in GeV.

    Raises:
        InputError: If the file is absent or something else.
    """
    contents = read_histograms(path, f"{stage}/{quantity.name}")
    processes = [name for name in contents if not name.startswith(f"{SIGNAL}/")]
    backgrounds = stack({name: contents.pop(name) for name in processes}, spectrum_axis(quantity))
    signals = {}
    for name, histogram in contents.items():
        signal = empty_spectrum(quantity)
        signal.view(flow=True)[:] = histogram.view(flow=True)
        signals[float(name.removeprefix(f"{SIGNAL}/"))] = signal
    return backgrounds, dict(sorted(signals.items()))


def read_histograms(path: Path, folder: str) -> Spectra:
    """Read all one-dimensional histograms in a folder of a ROOT file.

    Raises:
        InputError: If the file is absent or something else.
    """
    try:
        with uproot.open(path) as file:
            inside = file[folder]
            names = inside.keys(cycle=False, filter_classname="TH1D")
            return {name: inside[name].to_hist() for name in sorted(names)}
    except Exception as error:  # whatever damage does to a ROOT file
        raise InputError(
            f"{path} does not hold the spectra {folder}; run `punzinet select` first."
        ) from error


def stack(contents: Spectra, own: axis.Regular) -> Hist[Any]:
    """Processes in one histogram, with the axes ``process`` and that of the variable.

    Args:
        contents: The histogram of each process.
        own: The axis of the variable.
    """
    names = sorted(contents)
    processes = axis.StrCategory(names, name="process")
    backgrounds = Hist(processes, own, storage=storage.Weight())
    for i, name in enumerate(names):
        backgrounds.view(flow=True)[i] = contents[name].view(flow=True)
    return backgrounds
