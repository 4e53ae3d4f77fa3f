"""The default data against published numbers: one comparison for each of them."""

from collections.abc import Sequence
from itertools import chain
from math import sqrt
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from punzinet.analysis.constants import BR_TAU_TO_MU
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.simulation import mumugamma, published, twophoton
from punzinet.analysis.simulation.comparison import Comparison
from punzinet.analysis.simulation.published_curves import curve_rows
from punzinet.analysis.simulation.sampling import Generator
from punzinet.analysis.simulation.taupair import TauPairGenerator
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows

TWO_PHOTON_MASS: Final = 0.5
"""Least mass of the pair in the total two-photon cross-section, GeV: the published number comes
with the generator's default cut, and this one reproduces it."""
TRIALS: Final = {"mumugamma": 400_000, "tautau": 200_000, "eemumu": 200_000}
"""Trials of each generator for the totals: errors below half a percent."""

Measured = tuple[float, float]
"""A value and its statistical error."""


def compare(manifest: Manifest, output: OutputFolder) -> list[Comparison]:
    """Compare everything that the stages left with what is published.

    Args:
        manifest: What was simulated.
        output: Where the results of `simulate` and `features` lie.

    Returns:
        One comparison a number, in the order of the figures.

    Raises:
        InputError: If a result is missing or damaged.
    """
    windows = Windows.read(output.windows)
    yields = background_yields(manifest, output, windows)
    acceptance = signal_in_window(output, windows)
    rows = [
        *cross_section_rows(manifest),
        *width_rows(windows),
        _signal_row(acceptance),
        *_yield_rows(yields),
        Comparison(
            "trigger_scale",
            "trigger scale",
            published.TRIGGER_EFFICIENCY,
            manifest.correction,
            note="product of the manifest's corrections",
        ),
        *_sample_rows(manifest, yields, acceptance, int(windows.training.sum())),
    ]
    return rows + curve_rows(output)


def cross_section_rows(manifest: Manifest) -> list[Comparison]:
    """Total cross-sections of the generators, without any detector.

    Args:
        manifest: Beams and seed.
    """
    sqrt_s, seed = manifest.beams.sqrt_s, manifest.simulation.seed
    notes = {
        "mumugamma": "all photon energies and angles, from the muons' threshold on",
        "tautau": "before decays",
        "eemumu": f"two-photon diagrams with a muon pair above {TWO_PHOTON_MASS} GeV; the "
        "published number does not state its cut",
    }
    taus = TauPairGenerator()
    totals = {
        "mumugamma": total(mumugamma.whole(), TRIALS["mumugamma"], sqrt_s, seed),
        "tautau": total([taus], TRIALS["tautau"], sqrt_s, seed),
        "eemumu": total(twophoton.whole(TWO_PHOTON_MASS), TRIALS["eemumu"], sqrt_s, seed),
    }
    totals["tautau"] = _scaled(totals["tautau"], 1 / BR_TAU_TO_MU**2)
    rows = [
        Comparison(
            f"cross_section_{name}_nb",
            f"cross-section {name} [nb]",
            published.CROSS_SECTIONS[name],
            *_scaled(measured, 1e-6),
            notes[name],
        )
        for name, measured in totals.items()
    ]
    branching = Comparison(
        "branching_ratio_tau_to_mu",
        "BR(tau -> mu nu nu)",
        published.BRANCHING_RATIO,
        BR_TAU_TO_MU,
        note="an input of the simulation",
    )
    return [*rows, branching]


def total(generators: Sequence[Generator], trials: int, sqrt_s: float, seed: int) -> Measured:
    """Cross-section of several generators together, fb.

    Args:
        generators: Parts that do not overlap.
        trials: Trials of each.
        sqrt_s: Energy of the beams, GeV.
        seed: Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    energies = np.full(trials, sqrt_s)
    value, variance = 0.0, 0.0
    for generator in generators:
        weight = generator.generate(rng, energies).weight
        value += float(weight.mean())
        variance += float(weight.var()) / trials
    return value, sqrt(variance)


def width_rows(windows: Windows) -> list[Comparison]:
    """Weighted sigmas of the peaks.

    Args:
        windows: The windows with their fits.
    """
    masses = np.array(list(published.WEIGHTED_SIGMAS))
    rows = []
    for (mass, sigma), i in zip(
        published.WEIGHTED_SIGMAS.items(), windows.index_of(masses).tolist(), strict=True
    ):
        ours, error, note = None, None, "no hypothesis of this manifest"
        if i >= 0:
            fit = windows.fits[i]
            ours, error = float(windows.sigma[i]), None if fit is None else fit.sigma_error
            note = "" if windows.fitted[i] else "interpolated between the fits of other masses"
        key, title = f"weighted_sigma_{mass:g}_GeV2", f"sigma at {mass:g} GeV [GeV^2]"
        rows.append(Comparison(key, title, sigma, ours, error, note))
    return rows


def signal_in_window(output: OutputFolder, windows: Windows) -> Measured:
    """Share of the generated signal that lies in its own window, mean over training masses.

    Args:
        output: Where the cutflow of the features lies.
        windows: Say which masses train.

    Raises:
        InputError: If the cutflow is missing or damaged.
    """
    path = output.features_cutflow
    content = read_json(path, "punzinet features")
    try:
        datasets = [d["hypotheses"] for d in content["datasets"].values() if "hypotheses" in d]
        rows = [(row["mass"], row["in_own_window"], row["generated"]) for row in chain(*datasets)]
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is no cutflow of this software ({error!r}); run `punzinet features --force`."
        ) from error
    mass, inside, generated = np.array(rows, dtype=np.float64).T
    training = windows.training[windows.index_of(mass)]
    share = inside[training] / generated[training]
    variance = share * (1 - share) / generated[training]
    return float(share.mean()), float(np.sqrt(variance.sum()) / len(share))


def background_yields(
    manifest: Manifest, output: OutputFolder, windows: Windows
) -> dict[str, Measured]:
    """Events of each background in the training windows, at 50 fb^-1 and before corrections.

    Args:
        manifest: Normalisation of the tensors' weights.
        output: Where the tensors lie.
        windows: Say which windows train.

    Returns:
        By process; none where there is no such dataset.

    Raises:
        InputError: If tensors are missing or damaged.
    """
    scale = published.LUMINOSITY / manifest.luminosity / manifest.correction
    yields = {}
    for process in published.BACKGROUNDS:
        names = [d.name for d in manifest.datasets.values() if d.process == process]
        weights = [_training_weights(output, name, windows) for name in names]
        if weights:
            weight = np.concatenate(weights)
            yields[process] = _scaled((weight.sum(), np.sqrt((weight**2).sum())), scale)
    return yields


def _training_weights(output: OutputFolder, dataset: str, windows: Windows) -> FloatArray:
    """Weights of a dataset's events in the training windows, (n,).

    Raises:
        InputError: If its tensors are missing or damaged.
    """
    paths = sorted((output.tensors / dataset).glob("*.parquet"))
    if not paths:
        raise InputError(
            f"{output.tensors / dataset} holds no tensors; run `punzinet features` first."
        )
    columns = ["window_start", "window_stop", "weight"]
    weights = []
    for path in paths:
        try:
            table = pq.read_table(
                path, columns=columns, partitioning=None, page_checksum_verification=True
            )
            start, stop, weight = (table[name].to_numpy() for name in columns)
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise InputError(
                f"{path} is no tensor of this software ({error}); run `punzinet features --force`."
            ) from error
        first, last = windows.to_training(start, stop)
        weights.append(weight[last > first])
    return np.concatenate(weights)


def _signal_row(acceptance: Measured) -> Comparison:
    """The signal in its own window."""
    return Comparison(
        "signal_in_own_window",
        "signal in own window",
        published.SIGNAL_IN_WINDOW,
        *acceptance,
        "over generated, mean over the training masses",
    )


def _yield_rows(yields: dict[str, Measured]) -> list[Comparison]:
    """The backgrounds in the training windows; arguments as `background_yields` returns."""
    rows = []
    for process, value in published.BACKGROUNDS.items():
        ours, error = yields.get(process, (None, None))
        note = "in the training windows at 50 fb^-1, before the trigger's efficiency"
        if ours is None:
            note = "no dataset of this process in the manifest"
        key, title = f"background_{process}", f"{process} in windows"
        rows.append(Comparison(key, title, value, ours, error, note))
    return rows


def _sample_rows(
    manifest: Manifest, yields: dict[str, Measured], acceptance: Measured, masses: int
) -> list[Comparison]:
    """Size of the sample, scaled to what the paper simulated.

    Args:
        manifest: What was really simulated.
        yields: Backgrounds at 50 fb^-1.
        acceptance: Of signal.
        masses: Number of training masses.
    """
    per_background = published.SAMPLE_LUMINOSITY / published.LUMINOSITY
    background, background_error = (
        per_background * float(np.linalg.norm(column, ord))
        for column, ord in zip(np.transpose(list(yields.values())), (1, 2), strict=True)
    )
    signal, signal_error = _scaled(acceptance, published.SAMPLE_SIGNAL * masses)
    events = background + signal
    samples = manifest.without_data().datasets.values()
    made = sorted({f"{sample.luminosity:g}" for sample in samples if sample.luminosity})
    note = (
        f"background simulated for {', '.join(made)} fb^-1 scaled to 1000 fb^-1, signal to 20 000 "
        "generated events a mass"
    )
    return [
        Comparison(
            "paper_sample_events",
            "sample: events",
            published.SAMPLE_EVENTS,
            events,
            float(np.hypot(background_error, signal_error)),
            f"{note}; the published yields at 50 fb^-1, scaled in the same way, are "
            f"{_published_events(masses):.3g} events",
        ),
        Comparison(
            "paper_sample_signal_share",
            "sample: signal share",
            published.SAMPLE_SIGNAL_SHARE,
            signal / events,
            float(np.hypot(signal_error * background, background_error * signal)) / events**2,
            note,
        ),
    ]


def _published_events(masses: int) -> float:
    """Events of the paper's sample that its own yields and acceptance amount to."""
    background = sum(published.BACKGROUNDS.values())
    background *= published.SAMPLE_LUMINOSITY / published.LUMINOSITY
    return background + published.SIGNAL_IN_WINDOW * published.SAMPLE_SIGNAL * masses


def _scaled(measured: Measured, factor: float) -> Measured:
    """A value and its error times a factor."""
    return float(measured[0]) * factor, float(measured[1]) * factor
