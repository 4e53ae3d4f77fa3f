"""Made-up results that look like real ones, and all figures drawn from them."""

from types import SimpleNamespace

import numpy as np
import pytest
from experiments import observation
from hist import Hist
from hist.axis import Regular, StrCategory
from hist.storage import Weight
from matplotlib.figure import Figure
from scipy.stats import norm

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.limits.result import Limits, SelectionLimits
from punzinet.analysis.manifest.manifest import PROCESSES
from punzinet.analysis.peak_fit import PeakFit
from punzinet.analysis.search import RECOIL
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity
from punzinet.analysis.simulation.published import WEIGHTED_SIGMAS
from punzinet.analysis.windows import Windows
from punzinet.plots import spectra as plots
from punzinet.plots import style
from punzinet.plots.limits import limits_figure
from punzinet.plots.network import Cuts, Outputs, outputs_figure
from punzinet.plots.sensitivity import figure_of_merit_figure, sigma_min_figure
from punzinet.plots.training_history import COLUMNS, Phase, history_figure
from punzinet.plots.windows import example_masses, peaks_figure, widths_figure

#: Share of each background in the sample, where it peaks in recoil mass and how widely, GeV.
BACKGROUNDS = {"tautau": (0.83, 6, 2.2), "eemumu": (0.145, 7.5, 1), "mumugamma": (0.025, 1.5, 1.5)}
LUMINOSITY = 50.0
MASS = np.linspace(0.1, 8.7, 87)


def make_windows(mass: np.ndarray = MASS) -> Windows:
    """Widths as published, every seventh one interpolated."""
    sigma = np.interp(mass, [*WEIGHTED_SIGMAS], [*WEIGHTED_SIGMAS.values()])
    fitted = np.arange(len(mass)) % 7 != 3
    fits = [PeakFit(0, 0.8 * s, 1.8 * s, 0.8, s, 0.02 * s, 7000, 52.3, 46, None) for s in sigma]
    fits = tuple(fit if good else None for fit, good in zip(fits, fitted, strict=True))
    return Windows(mass, sigma, np.arange(len(mass)) % 2 == 0, fitted, fits)


def make_selection(rng, shape, cut=0.3):
    """σ_min (H,) that scatters around a shape."""
    sigma = shape * rng.normal(1, 0.03, len(shape))
    cuts = np.broadcast_to(cut, sigma.shape)
    return Selection(cuts, 1 / sigma, sigma, sigma, 0.05 * sigma, 9 * sigma)


def make_sensitivity(rng, mass=MASS, names=("bce", "punzi")):
    """Curves of the published shape; the heaviest mass of the BCE network selects nothing."""
    knots = (0.1, 2.0, 4.0, 6.0, 8.0, 8.7)
    punzi = np.interp(mass, knots, (8.0, 3.0, 2.8, 3.9, 21.0, 60.0))
    bce = np.interp(mass, knots, (12.0, 5.4, 3.4, 3.8, 20.0, np.inf))
    wiggle = rng.normal(0, 0.4, len(mass))
    networks = {}
    for name in names:
        best, one = (bce, 1.3 * bce) if name.startswith("bce") else (0.98 * punzi, punzi)
        cuts = (best, 1 + wiggle), (one, 0.3), (1.1 * punzi, 0.0)
        networks[name] = NetworkSensitivity(*(make_selection(rng, *one) for one in cuts))
    return Sensitivity(mass, np.arange(len(mass)) % 2 == 0, FigureOfMerit(), LUMINOSITY, networks)


def make_observation(**changes):
    """Pseudo-data with signal at 2.5 GeV; points between masses where windows overlap."""
    rng, between = np.random.default_rng(3), np.arange(0.15, 4.8, 0.1)
    mass = np.sort(np.concatenate([MASS, between])).round(9)
    z = np.convolve(rng.normal(size=len(mass)), [0.4, 0.8, 0.4], "same")
    z += 4.5 * np.exp(-(((mass - 2.5) / 0.08) ** 2))
    median = np.interp(mass, (0.1, 2.0, 4.0, 6.0, 8.0, 8.7), (14.0, 0.7, 0.5, 0.7, 7.0, 150.0))
    about = {
        "hypothesis": np.isin(mass, MASS.round(9)), "efficiency": 0.1 / median,
        "background": 4 * median, "background_error": 0.6 * median,
        "effective_events": 40 * median, "count": rng.poisson(4 * median),
        "expected": median[:, None] * [0.5, 0.7, 1.0, 1.4, 2.0], "asymptotic": median,
        "limit": median * np.exp(0.35 * z), "p_value": norm.sf(z),
        "significance": np.maximum(z, 0), "sigma_over_g2": 6e5 * np.exp(-mass),
    }  # fmt: skip
    return observation(mass, **about | changes)


def make_spectrum(rng: np.random.Generator, windows: Windows, passing: float) -> plots.MassSpectrum:
    """Backgrounds and three signals of which a share passes the cut."""
    axis = Regular(90, 0, 9, name="m_recoil", label=RECOIL.variable.mass.axis_label)
    backgrounds = Hist(StrCategory(list(BACKGROUNDS), name="process"), axis, storage=Weight())
    for name, (share, centre, width) in BACKGROUNDS.items():
        n = int(200_000 * share * passing)
        backgrounds.fill(process=name, m_recoil=rng.normal(centre, width, n), weight=0.9)
    signals = {}
    for i in np.linspace(0.2 * len(windows), len(windows) - 2, 3).astype(int):
        m2 = windows.mass[i] ** 2 + rng.normal(0, windows.sigma[i], 4000)
        signal = Hist(axis, storage=Weight()).fill(np.sqrt(np.abs(m2)), weight=0.3 / 4000)
        signals[float(windows.mass[i])] = signal
    return backgrounds, signals


def make_outputs(rng: np.random.Generator, mass: np.ndarray, n: int, *, signal: bool) -> Outputs:
    """Two clusters of outputs, the upper one mostly signal."""
    true = rng.choice(mass, n) if signal else rng.triangular(0, 7, 8.8, n)
    upper = rng.random(n) < (0.7 if signal else 0.1)
    logit = np.where(upper, rng.normal(2.2, 0.8, n), rng.normal(-4, 1.2, n))
    m2 = true**2 + rng.normal(0, 0.25 if signal else 1e-9, n)
    return Outputs(RECOIL.variable.signed_mass(m2), logit, np.full(n, 0.9), "events")


def make_phase(rng, label, span, rate, epochs):
    """Losses that fall and settle while the learning rate is halved, then a finish."""
    epoch = np.arange(1, epochs + 1)
    loss = span[1] + (span[0] - span[1]) * np.exp(-5 * epoch / epochs)
    losses = loss * rng.normal(1, 0.01, epochs), 1.02 * loss * rng.normal(1, 0.005, epochs)
    rates = np.where(epoch > 0.8 * epochs, np.nan, rate * 0.5 ** (6 * epoch // epochs))
    return Phase("a phase", label, dict(zip(COLUMNS, (epoch, *losses, rates), strict=True)))


def make_limits(rng, mass):
    """Expected limits that follow σ_min, of the single cut and of the best ones."""
    shape = 0.3 * np.interp(mass, (0.1, 2.0, 6.0, 8.0, 8.7), (8.0, 3.0, 3.9, 21.0, 60.0))
    bands = shape[:, None] * [0.5, 0.7, 1.0, 1.4, 2.0]
    columns = np.full(len(mass), 0.2), shape**2, np.full(len(mass), 99.0)
    best = rng.uniform(1.0, 1.5, (len(mass), 1)) * bands
    selections = {
        "single": SelectionLimits("punzi-00", *columns, 0.9 * bands, bands),
        "best": SelectionLimits("bce-00", *columns, 0.9 * best, best),
    }
    ratio = 4e4 * np.exp(-0.9 * mass)  # of σ to g'^2
    return Limits(mass, np.arange(len(mass)) % 2 == 0, LUMINOSITY, 0.9, ratio, selections)


def make_data(rng, windows, quantity, passing):
    """Data that is as expected, with nothing seen beyond a mass."""
    backgrounds, _ = make_spectrum(rng, windows, passing)
    backgrounds = backgrounds[:, :80:2j]
    data = Hist(backgrounds.axes[1], storage=Weight())
    seen = rng.poisson(backgrounds.values().sum(axis=0))
    data.view()["value"] = data.view()["variance"] = seen
    return plots.DataSpectrum(quantity, data, backgrounds)


def make_features(rng: np.random.Generator, scale: float) -> tuple[np.ndarray, np.ndarray]:
    return rng.gamma(2, 0.4 * scale, (5000, 4)) - [0, 0, 2, 0], np.full(5000, 0.1)


def make_figures(masses: int = 87, events: int = 50_000, epochs: int = 200) -> dict[str, Figure]:
    """Every figure of a run by name, from made-up results of any size."""
    rng = np.random.default_rng(5)
    windows = make_windows(np.linspace(0.1, 8.7, masses))
    sensitivity = make_sensitivity(rng, windows.mass)
    width = np.where(rng.random(3000) < 0.8, 0.8, 1.8)  # as in the fits
    peaks = {
        i: Hist.new.Reg(2400, -6, 6).Weight().fill(rng.normal(0, s * width), weight=1e-4)
        for i, s in ((i, windows.sigma[i]) for i in example_masses(windows))
    }
    punzi = sensitivity.networks["punzi"]
    cuts = Cuts(windows.mass, punzi.optimal.cut, punzi.single_cut)
    made = (make_outputs(rng, windows.mass, events, signal=signal) for signal in (True, False))
    outputs = {f"panel {i}": (one, cuts) for i, one in enumerate(made)}
    phases = (
        make_phase(rng, "BCE loss (no unit)", (0.69, 0.31), 1.0, epochs),
        make_phase(rng, style.SIGMA_MIN, (21.0, 7.5), 5e-4, epochs),
    )
    spectra = [make_spectrum(rng, windows, passing) for passing in (1.0, 0.01)]
    signals = {mass: make_features(rng, 2 - mass / 8) for mass in (1.1, 4.1, 7.1)}
    shapes = {name: make_features(rng, 0.4 + 0.3 * i) for i, name in enumerate(BACKGROUNDS)}
    limits = make_limits(rng, windows.mass)
    seen = plots.SeenData(4.5, "10 % of the data", PROCESSES)
    data = [make_data(rng, windows, RECOIL.variable.mass, passing) for passing in (0.1, 0.01)]
    others = [make_data(rng, windows, feature, 0.02) for feature in RECOIL.features]
    return {
        "limit_cross_section": limits_figure(limits, RECOIL, coupling=False),
        "limit_coupling": limits_figure(limits, RECOIL, coupling=True),
        "data_recoil_mass": plots.data_mass_figure(*data, seen),
        "data_features": plots.data_features_figure(others, seen),
        "recoil_mass": plots.mass_figure(
            spectra, spectra[0][1], efficiency=[np.full(masses, e) for e in (0.38, 0.31)],
            searched=windows.mass, cross_section=20.0, luminosity=LUMINOSITY,
            processes=PROCESSES, parameter=RECOIL.parameter,
        ),
        "sigma_min": sigma_min_figure(sensitivity, RECOIL.parameter),
        "figure_of_merit": figure_of_merit_figure(sensitivity, RECOIL.parameter),
        "training_history": history_figure(list(phases)),
        "output_vs_mass": outputs_figure(outputs, luminosity=50.0, variable=RECOIL.variable),
        "features": plots.features_figure(RECOIL, signals, shapes, PROCESSES),
        "window_widths": widths_figure(windows, {0.9: 0.3, 4.1: 0.27}),
        "signal_peaks": peaks_figure(windows, peaks),
    }  # fmt: skip


@pytest.fixture(scope="session")
def figures():
    """Every figure of a run by name, from results as large as the real ones."""
    return make_figures()


@pytest.fixture(scope="session")
def make():
    """All makers, without the first word of their names."""
    found = {name: one for name, one in globals().items() if name.startswith("make_")}
    return SimpleNamespace(**{name.removeprefix("make_"): one for name, one in found.items()})
