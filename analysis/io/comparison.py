"""Data against simulation: histograms of both, before and after the selection, in a ROOT file.

Histograms are called ``<stage>/<variable>/<process>``, for example ``after/pt_mumu/tautau``, and
``<stage>/<variable>/data``. They hold only what may be seen of the data, and the backgrounds scaled
to the luminosity behind it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hist import Hist, axis, storage

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.spectra import Spectra, read_histograms, stack
from punzinet.analysis.manifest.blinding import Blinding
from punzinet.analysis.manifest.datasets import DATA
from punzinet.analysis.types import FloatArray

FEATURE_BINS = 40


@dataclass(frozen=True)
class Comparison:
    """What is compared, and where.

    Attributes:
        mass: Name of the mass that is searched in.
        ranges: Lower and upper end of the axis of each feature.
        blinding: What is seen of the data; None if everything is.
    """

    mass: str
    ranges: Mapping[str, tuple[float, float]]
    blinding: Blinding | None

    def to_json(self) -> list[Any]:
        """What a histogram of simulated events depends on."""
        region = None if self.blinding is None else self.blinding.signal_region
        return [self.mass, dict(self.ranges), region]

    def axis(self, variable: str) -> axis.Regular:
        """Axis of a variable."""
        if variable == self.mass:
            return axis.Regular(53, 0.0, 10.6, name=variable)
        return axis.Regular(FEATURE_BINS, *self.ranges[variable], name=variable)

    def empty(self, name: str) -> Hist[Any]:
        """An empty histogram with the axis that belongs to ``<stage>/<variable>/<process>``."""
        return Hist(self.axis(name.split("/")[1]), storage=storage.Weight())

    def fill(
        self,
        stage: str,
        process: str,
        mass: FloatArray,
        features: Mapping[str, FloatArray],
        weight: FloatArray,
    ) -> Spectra:
        """Fill one histogram for each variable, with what lies where data is seen at all.

        Args:
            stage: One of `punzinet.analysis.io.spectra.STAGES`.
            process: Process of the events, or `DATA`.
            mass: (n,) masses in GeV, negative where the square is, which counts as underflow.
            features: (n,) values of each feature.
            weight: (n,) weights.
        """
        seen = np.ones(len(mass), dtype=bool)
        if self.blinding is not None:
            seen = self.blinding.beside_signal_region(mass)
        values = {self.mass: mass, **{name: features[name] for name in self.ranges}}
        filled = {}
        for variable, column in values.items():
            name = f"{stage}/{variable}/{process}"
            filled[name] = self.empty(name).fill(column[seen], weight=weight[seen])
        return filled


def scaled_to_data(spectra: Spectra, factor: float) -> Spectra:
    """Scale the simulated histograms and leave those of data alone.

    Args:
        spectra: Data as it is, and backgrounds at the target luminosity.
        factor: Luminosity behind the data that is seen, over the target luminosity.
    """
    return {
        name: histogram if name.split("/")[2] == DATA else histogram * factor
        for name, histogram in spectra.items()
    }


def read_comparison(path: Path, stage: str, variable: str) -> tuple[Hist[Any], Hist[Any]]:
    """Read what is compared of one variable.

    Args:
        path: The ROOT file.
        stage: One of `punzinet.analysis.io.spectra.STAGES`.
        variable: The mass that is searched in, or a feature.

    Returns:
        The data, and the backgrounds with the axes ``process`` and that of the variable.

    Raises:
        InputError: If the file is absent or something else.
    """
    contents = read_histograms(path, f"{stage}/{variable}")
    if DATA not in contents:
        raise InputError(
            f"{path} does not hold {stage}/{variable} of data; run `punzinet select` first."
        )
    edges = contents[DATA].axes[0].edges
    own = axis.Regular(len(edges) - 1, edges[0], edges[-1], name=variable)
    data = Hist(own, storage=storage.Weight())
    data.view(flow=True)[:] = contents.pop(DATA).view(flow=True)
    return data, stack(contents, own)
