"""Fits of the shape against counting, pyhf, cabinetry, closed forms, and pseudo-samples."""

import json

import cabinetry
import numpy as np
import pyhf
import pytest
from experiments import uncertain
from scipy.stats import norm
from small_data import kinematics_of, make_events, windows_of

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.histograms import AROUND, fill_template
from punzinet.analysis.limits.binned import expected_limits
from punzinet.analysis.limits.expected import asymptotic_limits
from punzinet.analysis.limits.model import UNSEEN
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.limits.shape import FEWEST, ShapeLimits, Templates

MASS, SIGMA = np.array([4.8, 5.0, 5.2]), 0.3
WINDOWS = windows_of(MASS, np.full(3, SIGMA))
EDGES = np.linspace(*AROUND[1:], AROUND[0] + 1)
LUMINOSITY, LEVEL = 50.0, 0.9


def selected(rng, **backgrounds):
    """Templates of normal peaks, and backgrounds that fall, of so many events of a weight each."""
    mass = np.repeat(MASS, 2000)
    peaks = mass**2 + SIGMA * rng.standard_normal(len(mass))
    filled = {"signal": fill_template(WINDOWS, peaks, np.full(len(mass), 1e-4), mass)}
    for name, (count, weight) in backgrounds.items():
        falling = 20 + rng.exponential(5.0, count)
        filled[name] = fill_template(WINDOWS, falling, np.full(count, weight))
    return Templates.of(filled, WINDOWS)


def in_one_bin(templates):
    """The same with a single bin, which is the window."""
    kept = (templates.peaks, templates.spectra, templates.squares)
    sums = (of[..., templates.inside].sum(axis=-1, keepdims=True) for of in kept)
    return Templates(templates.windows, templates.backgrounds, np.array([-2.0, 2.0]), *sums)


def counted(templates, scale=1.0, **sizes):
    """Counting experiments of all windows, with backgrounds that are scaled."""
    found, inside = [], templates.inside
    for h, mass in enumerate(templates.windows.mass):
        backgrounds = []
        for p, name in enumerate(templates.backgrounds):
            events, squares = (of[p, h] @ inside for of in (templates.spectra, templates.squares))
            if events:
                size = sizes.get(name, 0.1)
                backgrounds.append((name, scale * events, events**2 / squares, size))
        about = {"mass": mass, "signal": templates.peaks[h] @ inside * LUMINOSITY, "own": True}
        backgrounds = backgrounds or [(UNSEEN, 0.3, 1.0, 0.1)]
        trigger = {"signal": (1.05, 0.98), backgrounds[0][0]: (0.9, 1.2)}
        about |= {"statistics": 0.02, "shared": {"trigger": trigger}}
        found.append(uncertain(backgrounds, **about))
    return found


def fits(templates, **sizes):
    experiments = counted(templates, **sizes)
    workspaces = [one.workspace() for one in experiments]
    return experiments, [templates.spread(h, workspaces) for h in range(len(workspaces))]


EVENTS = {"tautau": (400, 0.3), "eemumu": (120, 0.5), "mumugamma": (6, 1.0)}


@pytest.mark.parametrize("backgrounds", [EVENTS, {"tautau": (1500, 0.01)}, {}])
def test_a_single_bin_that_is_the_window_is_the_counting_experiment(backgrounds):
    templates = in_one_bin(selected(np.random.default_rng(1), **backgrounds))
    experiments, workspaces = fits(templates, scale=1.3)
    assert experiments[0].effective_events > 0 or not backgrounds
    found = expected_limits(workspaces, LEVEL)
    assert found == pytest.approx(asymptotic_limits(experiments, LEVEL), rel=1e-9)
    assert expected_limits([], LEVEL).shape == (0, 5)


@pytest.fixture(scope="module")
def fitted():
    """The fit of a mass with all uncertainties, pyhf's model and data of it, and its limits."""
    _, workspaces = fits(selected(np.random.default_rng(2), tautau=(60, 0.3), eemumu=(60, 0.2)))
    limits = expected_limits(workspaces, LEVEL)
    model, data = cabinetry.model_utils.model_and_data(workspaces[1])
    assert model.config.channel_nbins == {"m2_recoil": 3}
    return model, data, limits[1]


def test_pyhf_finds_the_same_cls(fitted):
    model, data, limits = fitted
    for i, limit in enumerate(limits):
        _, cls = pyhf.infer.hypotest(limit, data, model, return_expected_set=True)
        assert float(cls[i]) == pytest.approx(1 - LEVEL, rel=1e-3)


def test_cabinetry_finds_an_injected_signal(fitted):
    model, _, limits = fitted
    parameters, poi = np.array(model.config.suggested_init()), model.config.poi_index
    parameters[poi] = injected = 3 * limits[2]
    asimov = model.expected_data(parameters).tolist()
    fit = cabinetry.fit.fit(model, asimov, tolerance=1e-3)
    assert fit.bestfit[poi] == pytest.approx(injected, rel=1e-3)


def without_uncertainties(workspace):
    (channel,) = workspace["channels"]
    samples = [
        {**one, "modifiers": [m for m in one["modifiers"] if m["type"] == "normfactor"]}
        for one in channel["samples"]
    ]
    return {**workspace, "channels": [{**channel, "samples": samples}]}


@pytest.mark.parametrize("seed", range(5))
def test_information_never_hurts(seed):
    """Whatever the sample, and without uncertainties: no limit is weaker than by counting."""
    rng = np.random.default_rng(seed)
    number = 10 ** rng.uniform(0.5, 3.5, 2)
    sizes = {n: (int(k), 30 / k) for n, k in zip(("tautau", "eemumu"), number, strict=True)}
    templates = selected(rng, **sizes)
    both = [fits(one)[1] for one in (in_one_bin(templates), templates)]
    counting, shape = (
        expected_limits([without_uncertainties(w) for w in one], LEVEL) for one in both
    )
    assert (shape <= counting * (1 + 1e-9)).all()


def test_many_events_give_the_sum_of_s2_over_b():
    """Where few of many events are signal, √q_A = σ √(Σ s²/b), with s of a normal distribution."""
    signal = norm.cdf(EDGES[1:]) - norm.cdf(EDGES[:-1])
    flat = np.full((1, 3, len(signal)), 1e5)
    templates = Templates(WINDOWS, ("tautau",), EDGES, np.tile(signal, (3, 1)), flat, flat / 1e3)
    _, workspaces = fits(templates)
    (limit,) = expected_limits([without_uncertainties(workspaces[1])], LEVEL)
    target = BANDS + norm.isf((1 - LEVEL) * norm.cdf(BANDS))
    assert limit == pytest.approx(
        target / np.sqrt(np.sum((LUMINOSITY * signal) ** 2 / 1e5)), rel=0.01
    )


def test_the_gain_is_not_made_by_bins_that_happen_to_be_empty():
    """Samples of ten times the data gain what one of a thousand times gains, smaller ones less."""
    rng = np.random.default_rng(5)

    def gains(times, samples):
        both = []
        for _ in range(samples):
            templates = selected(rng, tautau=(rng.poisson(100 * times), 1 / times))
            both.append([fits(one)[1][1] for one in (in_one_bin(templates), templates)])
        counting, shape = (expected_limits(one, LEVEL)[:, 2] for one in zip(*both, strict=True))
        return counting / shape

    (known,), many, few = gains(1000, 1), gains(10, 40), gains(1, 40)
    assert known > 1.05
    assert many.mean() == pytest.approx(known, abs=0.02)
    assert few.mean() < known


def test_a_peak_between_masses_is_the_one_simulated_there():
    mass, count = np.arange(2.0, 4.1, 0.25), 3000
    variable = [kinematics_of(make_events(int(100 * m), count, m)).m2_recoil for m in mass]
    core = [np.diff(np.quantile(x, [0.16, 0.84]))[0] / 2 for x in variable]
    left_out = 4

    def templates(masses):
        windows = windows_of(mass[masses], np.array(core)[masses])
        x, generated = np.ravel([variable[i] for i in masses]), np.repeat(mass[masses], count)
        weight = np.full(len(x), 1 / count)
        return Templates.of({"signal": fill_template(windows, x, weight, generated)}, windows)

    near, own = templates([0, 1, 2, 3, 5, 6, 7, 8]), templates([left_out])
    simulated = own.peaks[0] * count
    expected = near.peak(mass[left_out]) * simulated[own.inside].sum()
    filled = expected > 5
    chi2 = np.sum((simulated - expected)[filled] ** 2 / expected[filled])
    assert filled.sum() > 10
    assert chi2 / filled.sum() < 2


def test_bins_hold_enough_background_and_end_at_the_window():
    templates = selected(np.random.default_rng(4), **EVENTS)
    for h in range(3):
        join, edges = templates.joined(h), templates.borders(h)
        assert join.sum(axis=0).max() == 1
        assert edges[[0, -1]] == pytest.approx(MASS[h] ** 2 + SIGMA * EDGES[[0, -1]])
        for border in (WINDOWS.low[h], WINDOWS.high[h]):
            assert np.abs(edges - border).min() < 1e-9
        sums, squares = (
            of[:, h].sum(axis=0) @ join.T for of in (templates.spectra, templates.squares)
        )
        zones = [set(templates.zones[row]) for row in join]
        alone = np.array([zones.count(zone) == 1 for zone in zones])
        assert (sums**2 >= FEWEST * squares)[~alone].all()


def test_what_is_not_in_the_window_is_as_uncertain_as_in_the_nearest_one():
    """Beside a window without background, and where one process is beside it only."""
    peaks = np.tile(norm.pdf(EDGES[1:]), (3, 1))
    spectra = np.zeros((2, 3, len(peaks[0])))
    spectra[0, 0], spectra[1, 0, 0], spectra[1, 1:] = 1.0, 2.0, 4.0
    templates = Templates(WINDOWS, ("eemumu", "tautau"), EDGES, peaks, spectra, spectra)
    experiments, workspaces = fits(templates, scale=3.0, tautau=0.2)
    assert [b.name for b in experiments[0].backgrounds] == ["eemumu"]
    *_, tautau = workspaces[0]["channels"][0]["samples"]
    assert sum(tautau["data"]) == pytest.approx(6.0)
    (size,) = (m["data"]["hi"] for m in tautau["modifiers"] if m["name"] == "background_tautau")
    assert size == 1.2
    (error,) = (m["data"] for m in tautau["modifiers"] if m["type"] == "shapesys")
    assert error == pytest.approx(np.sqrt(np.array(tautau["data"]) / 3) * 3)
    nothing = Templates(WINDOWS, ("eemumu", "tautau"), EDGES, peaks, 0 * spectra, 0 * spectra)
    _, (one, *_) = fits(nothing)
    assert one["observations"][0]["data"] == [0.3]
    strange = [experiment.workspace() for experiment in experiments]
    strange[0]["channels"][0]["samples"][1]["name"] = "charm"
    with pytest.raises(InputError, match="charm"):
        templates.spread(0, strange)


def test_limits_are_read_as_they_were_written(tmp_path):
    bands = np.outer([1.0, 2.0], [1, 2, 3, 4, 5])
    bands[1] = np.inf
    about = "punzi-00", 50.0, 0.9, np.array([1.0, 2.0])
    limits = ShapeLimits(*about, 2 * bands, bands, [[0.5, 1.0], []])
    limits.write(path := tmp_path / "shape.json", {})
    read = ShapeLimits.read(path)
    np.testing.assert_array_equal(read.shape, bands)
    np.testing.assert_array_equal(read.gain, [2.0, np.nan])
    content = json.loads(path.read_text())
    assert content["gain"] == [2.0, None]
    path.write_text(json.dumps(content | {"mass": [1.0]}))
    with pytest.raises(InputError, match="mass: needs 2 rows"):
        ShapeLimits.read(path)
