"""The default data against published numbers, from generators, windows and yields.

Numbers without a source come from the paper (arXiv:2110.00810, EPJC 82, 121) and its poster.
"""

from itertools import chain
from math import hypot
from typing import Any, Final, NamedTuple

import numpy as np

from punzinet.analysis.constants import BR_TAU_TO_MU
from punzinet.analysis.io.files import read_result
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import read_in_windows, tensor_paths
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.windows import Windows

TOLERANCE: Final = 0.2  # relative difference from a published number that counts as agreement
SPECTRUM_TOLERANCE: Final = 0.1  # the same of a bin of Pythia's spectra
_SIGMAS: Final = (0.234, 0.296, 0.304, 0.302, 0.297, 0.271, 0.257, 0.223, 0.177, 0.139, 0.097)
WEIGHTED_SIGMAS: Final = {(1 + 8 * i) / 10: sigma for i, sigma in enumerate(_SIGMAS)}
"""Of the signal's peak in the squared recoil mass, GeV^2, by mass in GeV."""
SIGNAL_IN_WINDOW: Final = 0.378
BACKGROUNDS: Final = {"tautau": 152_000.0, "eemumu": 26_500.0, "mumugamma": 4_460.0}
"""Preselected events in the training windows at `LUMINOSITY`, before the trigger's efficiency."""
LUMINOSITY: Final = 50.0  # of the search, fb^-1
SAMPLE_LUMINOSITY: Final = 1000.0  # of the background that the paper simulated, fb^-1
SAMPLE_SIGNAL: Final = 20_000  # signal events that the paper generated at each mass
_TWO_PHOTONS: Final = "two-photon diagrams with a muon pair above 0.5 GeV"
CROSS_SECTIONS: Final = {
    "mumugamma": (1.148, "all photon energies and angles, from the muons' threshold on"),
    "tautau": (0.919, "before decays"),
    "eemumu": (18.9, f"{_TWO_PHOTONS}; the published number does not state its cut"),
}
"""At 10.58 GeV, nb (Belle II Physics Book, arXiv:1808.10567), and what exactly is compared."""

ABSENT: Final = "no dataset of this process in the manifest"

Measured = tuple[float, float]  # a value and its statistical error


class PublishedNumber(NamedTuple):
    """A published number beside ours."""

    quantity: str  # its key in the file
    title: str  # with the unit
    published: float
    ours: float | None  # None where this data does not have it
    error: float | None = None  # statistical
    note: str = ""  # what exactly is compared, or why there is no value

    @property
    def ratio(self) -> float | None:
        """Ours over published."""
        return None if self.ours is None else self.ours / self.published

    @property
    def met(self) -> bool | None:
        """Whether the ratio is within the tolerance; None where there is no value."""
        return None if self.ratio is None else bool(abs(self.ratio - 1) <= TOLERANCE)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        content = self._asdict() | {"ratio": self.ratio, "tolerance": TOLERANCE, "met": self.met}
        return {name: content[name] for name in content if name not in {"quantity", "title"}}


def compare_with_published(manifest: Manifest, output: OutputFolder) -> list[PublishedNumber]:
    """Compare what `simulate` and `features` left; InputError if any is missing or damaged."""
    windows = Windows.read(output.windows)
    yields = background_yields(manifest, output, windows)
    inside = signal_in_window(output, windows)
    rate = "branching_ratio_tau_to_mu", "BR(tau -> mu nu nu)", 0.1739, BR_TAU_TO_MU  # PDG
    own = "signal_in_own_window", "signal in own window", SIGNAL_IN_WINDOW, *inside
    rows = [*cross_sections(output), PublishedNumber(*rate, None, "an input of the simulation")]
    rows += widths(windows)
    rows.append(PublishedNumber(*own, "over generated, mean over the training masses"))
    there = "in the training windows at 50 fb^-1, before the trigger's efficiency"
    for process, number in BACKGROUNDS.items():
        measured = (*yields[process], there) if process in yields else (None, None, ABSENT)
        about = f"background_{process}", f"{process} in windows", number
        rows.append(PublishedNumber(*about, *measured))
    trigger = "trigger_scale", "trigger scale", 0.9, manifest.correction
    rows.append(PublishedNumber(*trigger, None, "product of the manifest's corrections"))
    return rows + _sample(yields, inside, int(windows.training.sum()))


def cross_sections(output: OutputFolder) -> list[PublishedNumber]:
    """Total cross-sections of the generators, nb, as `simulate` wrote them down."""
    with read_result(output.simulation_record, "cross-sections", "punzinet simulate") as content:
        found = {
            one["process"]: (float(total["value"]), float(total["error"]))
            for one in content["datasets"].values()
            if (total := one.get("total_cross_section_nb"))
        }
    rows = []
    for name, (published, note) in CROSS_SECTIONS.items():
        measured = (*found[name], note) if name in found else (None, None, ABSENT)
        about = f"cross_section_{name}_nb", f"cross-section {name} [nb]", published
        rows.append(PublishedNumber(*about, *measured))
    return rows


def widths(windows: Windows) -> list[PublishedNumber]:
    """Weighted sigmas of the peaks."""
    rows = []
    index = windows.index_of(np.array(list(WEIGHTED_SIGMAS))).tolist()
    for (mass, published), i in zip(WEIGHTED_SIGMAS.items(), index, strict=True):
        about = f"weighted_sigma_{mass:g}_GeV2", f"sigma at {mass:g} GeV [GeV^2]", published
        if i < 0:
            rows.append(PublishedNumber(*about, None, note="no hypothesis of this manifest"))
            continue
        error, note = None, "interpolated between the fits of other masses"
        if windows.fitted[i] and (fit := windows.fits[i]):
            error, note = fit.sigma_error, ""
        rows.append(PublishedNumber(*about, float(windows.sigma[i]), error, note))
    return rows


def signal_in_window(output: OutputFolder, windows: Windows) -> Measured:
    """Mean share of signal in its own window, at training masses; InputError without a cutflow."""
    with read_result(output.features_cutflow, "cutflow", "punzinet features") as content:
        datasets = [d.get("hypotheses", ()) for d in content["datasets"].values()]
        rows = [(row["mass"], row["in_own_window"], row["generated"]) for row in chain(*datasets)]
    mass, inside, generated = np.array(rows, dtype=np.float64).T
    training = windows.training[windows.index_of(mass)]
    share = inside[training] / generated[training]
    variance = share * (1 - share) / generated[training]
    return float(share.mean()), float(np.sqrt(variance.sum()) / len(share))


def background_yields(
    manifest: Manifest, output: OutputFolder, windows: Windows
) -> dict[str, Measured]:
    """Background in training windows, 50 fb^-1, uncorrected; InputError without whole tensors."""
    scale = LUMINOSITY / manifest.luminosity / manifest.correction
    weights: dict[str, list[Any]] = {}
    for dataset in manifest.part().datasets.values():
        if dataset.process in BACKGROUNDS:
            parts = weights.setdefault(dataset.process, [np.empty(0)])
            for path in tensor_paths(output.tensors / dataset.name, "*.parquet"):
                for table, first, last in read_in_windows(path, windows, ["weight"]):
                    parts.append(table["weight"].to_numpy()[first < last])
    every = {process: scale * np.concatenate(parts) for process, parts in weights.items()}
    return {name: (float(w.sum()), float(np.linalg.norm(w))) for name, w in every.items()}


def _sample(yields: dict[str, Measured], inside: Measured, masses: int) -> list[PublishedNumber]:
    """Size of the sample, scaled to what the paper simulated for so many training masses."""
    scale = SAMPLE_LUMINOSITY / LUMINOSITY
    values, errors = np.transpose(list(yields.values()))
    background, background_error = scale * values.sum(), scale * np.linalg.norm(errors)
    signal, signal_error = (SAMPLE_SIGNAL * masses * number for number in inside)
    events = background + signal
    error = hypot(background_error, signal_error)
    share_error = hypot(signal_error * background, background_error * signal) / events**2
    note = "scaled to background of 1000 fb^-1 and 20 000 generated signal events a mass"
    size = "paper_sample_events", "sample: events", 3.25e6, events, error, note
    share = "paper_sample_signal_share", "sample: signal share", 0.10, signal / events, share_error
    return [PublishedNumber(*size), PublishedNumber(*share, note)]
