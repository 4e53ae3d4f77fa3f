"""Histograms of the selection, as they are filled, written to ROOT files and read.

**Spectra** of the window variable are called ``<stage>/<variable>/<process>`` for backgrounds and
``<stage>/<variable>/signal/<mass>`` for signals, for example ``after/m_recoil/tautau`` and
``before/m2_recoil/signal/2.5``. Contents of backgrounds are events at the target luminosity,
those of signals are efficiencies.

**Data against simulation**, of the mass and of the features, is called
``<stage>/<variable>/<process>`` and ``<stage>/<variable>/data``. Those histograms hold only what
may be seen of the data, and the backgrounds scaled to the luminosity behind it.

**Peaks** of signal are called ``peaks/<mass>``: efficiency by the distance of the window variable
from the centre of the window.

**Templates** for fits of the shape are called ``templates/<process>``: what is left behind the
selection, by hypothesis and by the distance from its mass in sigmas. Background lies around several
masses, signal around its own. What a systematic parameter adds to one, or takes away, is called
``templates/<process>.<parameter>.up`` and ``down``, and has the errors of the change itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from hist import Hist, axis, storage

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.reproducible_root import create_root_file
from punzinet.analysis.manifest.datasets import DATA, SIGNAL_PROCESS, Blinding
from punzinet.analysis.observables import Quantity
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows

STAGES = ("before", "after")  # before and after the selection

BINNING = {1: (106, 0.0, 10.6), 2: (464, -4.0, 112.0)}  # bins and ends of axes, in GeV and GeV²
FEATURE_BINS = 40
AROUND = 18, -6.0, 6.0  # bins and ends of templates, in sigmas from the mass
GROUPS = 20  # of events by their identity: how much they differ says how much changes fluctuate

Spectra = dict[str, Hist[Any]]  # histograms by their name in the file


def drawn_quantities(variable: Quantity) -> dict[str, Quantity]:
    """What there are spectra of, by name: the variable of the windows, always also as a mass."""
    return {quantity.name: quantity for quantity in (variable.mass, variable)}


def spectrum_axis(quantity: Quantity) -> axis.Regular:
    """The axis of a quantity; the mass of an event with a negative square is underflow."""
    return axis.Regular(*BINNING[quantity.dimension], name=quantity.name, label=quantity.axis_label)


def fill_spectra(
    stage: str, name: str, variable: Quantity, values: FloatArray, weight: FloatArray
) -> Spectra:
    """Fill `drawn_quantities` of values (n,) for a name, of a process or ``signal/<mass>``."""
    columns = {variable.mass.name: variable.signed_mass(values), variable.name: values}
    return {
        f"{stage}/{drawn}/{name}": _weighted(spectrum_axis(one)).fill(columns[drawn], weight=weight)
        for drawn, one in drawn_quantities(variable).items()
    }


def fill_template(
    windows: Windows, variable: FloatArray, weight: FloatArray, mass: FloatArray | None = None
) -> Hist[Any]:
    """Fill the template of a process with events (n,); those of signal have generated masses."""
    template = _empty_template(windows)
    if mass is not None:
        own = windows.index_of(mass)
        distance = (variable - windows.centre[own]) / windows.sigma[own]
        template.fill(own, distance, weight=weight)
    else:  # differences of cumulative sums between the edges of all bins
        order = np.argsort(variable, kind="stable")
        edges = windows.centre[:, None] + windows.sigma[:, None] * template.axes[1].edges
        places = np.searchsorted(variable[order], edges)
        sums = (np.append(0.0, np.cumsum(weight[order] ** power))[places] for power in (1, 2))
        template.view()[:] = np.stack([np.diff(one) for one in sums], axis=-1)
    return template


def changed_template(windows: Windows, groups: FloatArray) -> Hist[Any]:
    """What a varied sample has more than its nominal one, by `GROUPS` of events, (GROUPS, H, K).

    Events that both samples have are in the same group, so that the error, of which groups tell
    by their differences, is that of the change.
    """
    template = _empty_template(windows)
    variance = len(groups) * groups.var(axis=0, ddof=1)
    template.view()[:] = np.stack([groups.sum(axis=0), variance], axis=-1)
    return template


@dataclass(frozen=True)
class Comparison:
    """What is compared with data, and where."""

    mass: str  # name of the mass that is searched in
    ranges: Mapping[str, tuple[float, float]]  # lower and upper end of the axis of each feature
    blinding: Blinding  # which masses data is hidden at; a share hides none of them

    def fill(
        self, stage: str, process: str, columns: Mapping[str, FloatArray], weight: FloatArray
    ) -> Spectra:
        """Fill one histogram for each variable, with what lies where data is seen at all.

        Masses, (n,) in GeV, are negative where the square is, which counts as underflow.
        """
        seen = self.blinding.beside_signal_region(columns[self.mass])
        binnings = {self.mass: (53, 0.0, 10.6)}
        binnings |= {name: (FEATURE_BINS, *ends) for name, ends in self.ranges.items()}
        empty = {name: _weighted(axis.Regular(*ends, name=name)) for name, ends in binnings.items()}
        return {
            f"{stage}/{name}/{process}": histogram.fill(columns[name][seen], weight=weight[seen])
            for name, histogram in empty.items()
        }


def scaled_to_data(spectra: Spectra, factor: float) -> Spectra:
    """Scale what is simulated by the luminosity behind the data that is seen, over the target's."""
    return {name: h if name.split("/")[2] == DATA else h * factor for name, h in spectra.items()}


def write_spectra(path: Path, spectra: Spectra) -> None:
    """Write histograms to a ROOT file, the same bytes for the same contents."""
    with create_root_file(path, "recoil-mass spectra") as file:
        for name, histogram in sorted(spectra.items()):
            file[name] = histogram


def read_spectrum(
    path: Path, stage: str, quantity: Quantity
) -> tuple[Hist[Any], dict[float, Hist[Any]]]:
    """Read the spectra of one of `drawn_quantities`.

    Returns the backgrounds in one histogram with the axes ``process`` and that of the quantity, and
    the signals by their generated mass in GeV.
    """
    contents, own = _read_histograms(path, f"{stage}/{quantity.name}"), spectrum_axis(quantity)
    masses = {name: name.removeprefix(f"{SIGNAL_PROCESS}/") for name in contents}
    backgrounds = {name: contents[name] for name, mass in masses.items() if name == mass}
    signals = {float(m): _on_axis(contents[name], own) for name, m in masses.items() if name != m}
    return _stack(backgrounds, own), dict(sorted(signals.items()))


def read_backgrounds(path: Path, stage: str, quantity: Quantity) -> Hist[Any]:
    """Read what `read_spectrum` gives first, without the many signals."""
    found = _read_histograms(path, f"{stage}/{quantity.name}", recursive=False)
    return _stack(found, spectrum_axis(quantity))


def read_comparison(path: Path, stage: str, variable: str) -> tuple[Hist[Any], Hist[Any]]:
    """Read what is compared of one variable: the mass that is searched in, or a feature.

    Returns the data, and the backgrounds with the axes ``process`` and that of the variable.
    """
    contents = _read_histograms(path, f"{stage}/{variable}")
    if DATA not in contents:
        raise InputError(
            f"{path} does not hold {stage}/{variable} of data; run `punzinet select` first."
        )
    edges = contents[DATA].axes[0].edges
    own = axis.Regular(len(edges) - 1, edges[0], edges[-1], name=variable)
    return _on_axis(contents.pop(DATA), own), _stack(contents, own)


def read_templates(path: Path) -> Spectra:
    """Read the templates by process, that of signal among them, and what parameters change."""
    return _read_histograms(path, "templates")


def read_peaks(path: Path) -> list[Hist[Any]]:
    """Read the peaks of all signals, by growing mass."""
    found = _read_histograms(path, "peaks", "features --force")
    return [found[mass] for mass in sorted(found, key=float)]


def _read_histograms(
    path: Path, folder: str, command: str = "select", *, recursive: bool = True
) -> Spectra:
    try:
        # A path would be taken for an address: what is before `::` in it, or a home before `/`.
        with path.open("rb") as source, uproot.open(source) as file:
            inside = file[folder]
            names = inside.keys(recursive=recursive, cycle=False, filter_classname="TH*D")
            "".join(names).encode()  # damaged ones may be no text
            return {name: inside[name].to_hist() for name in sorted(names)}
    except Exception as error:  # whatever damage does to a ROOT file
        raise InputError(
            f"{path} does not hold the spectra {folder}; run `punzinet {command}` first."
        ) from error


def _empty_template(windows: Windows) -> Hist[Any]:
    hypotheses = axis.Regular(len(windows), -0.5, len(windows) - 0.5, name="hypothesis")
    sigmas = axis.Regular(*AROUND, name="sigmas", label="Distance from the mass [σ]")
    return _weighted(hypotheses, sigmas)


def _weighted(*axes: Any) -> Hist[Any]:
    return Hist(*axes, storage=storage.Weight())


def _on_axis(histogram: Hist[Any], own: axis.Regular) -> Hist[Any]:
    named = _weighted(own)
    named.view(flow=True)[:] = histogram.view(flow=True)
    return named


def _stack(contents: Spectra, own: axis.Regular) -> Hist[Any]:
    backgrounds = _weighted(axis.StrCategory(sorted(contents), name="process"), own)
    for i, name in enumerate(sorted(contents)):
        backgrounds.view(flow=True)[i] = contents[name].view(flow=True)
    return backgrounds
