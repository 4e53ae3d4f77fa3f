"""Fits of the shape against counting, pyhf, cabinetry, closed forms, and pseudo-samples."""

import json

import cabinetry
import numpy as np
import pyhf
import pytest
from experiments import uncertain
from root import NEEDS_ROOT, check_by_roostats, in_root
from scipy.stats import expon, norm
from small_data import kinematics_of, make_events, windows_of

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.histograms import AROUND, GROUPS, changed_template, fill_template
from punzinet.analysis.limits.binned import expected_limits
from punzinet.analysis.limits.datacard import write_workspaces
from punzinet.analysis.limits.expected import asymptotic_limits
from punzinet.analysis.limits.model import UNSEEN
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.limits.shape import FEWEST, Templates

MASS, SIGMA = np.array([4.8, 5.0, 5.2]), 0.3
WINDOWS = windows_of(MASS, np.full(3, SIGMA))
EDGES = np.linspace(*AROUND[1:], AROUND[0] + 1)
LUMINOSITY, LEVEL = 50.0, 0.9


def selected(rng, tilt=0.0, **backgrounds):
    """Templates of normal peaks, and backgrounds that fall, of so many events of a weight each.

    The trigger up has weights that grow by a tilt with the variable; down, they fall faster.
    """
    mass = np.repeat(MASS, 2000)
    events = {"signal": (mass**2 + SIGMA * rng.standard_normal(len(mass)), 1e-4, mass)}
    for name, (count, weight) in backgrounds.items():
        events[name] = 20 + rng.exponential(5.0, count), weight, None
    filled = {}
    for name, (variable, weight, own) in events.items():
        ways = {"": 1.0, ".trigger.up": np.expm1(tilt * (variable - 25))}
        ways |= {".trigger.down": np.expm1(-1.5 * tilt * (variable - 25))}
        for way, factor in ways.items() if tilt else [("", 1.0)]:
            weights = np.full(len(variable), weight) * factor
            filled[name + way] = fill_template(WINDOWS, variable, weights, own)
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
        about = {"mass": mass, "signal": templates.peaks[0, h] @ inside * LUMINOSITY, "own": True}
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
    """The fit of a mass with all uncertainties: its workspace and limits."""
    sizes = {"tautau": (60, 0.3), "eemumu": (60, 0.2)}
    _, workspaces = fits(selected(np.random.default_rng(2), 0.15, **sizes))
    assert all(shapes(workspaces[1], name) for name in ("signal", *sizes))
    return workspaces[1], expected_limits(workspaces, LEVEL)[1]


def test_pyhf_finds_the_same_cls(fitted):
    workspace, limits = fitted
    model, data = cabinetry.model_utils.model_and_data(workspace)
    assert model.config.channel_nbins == {"m2_recoil": 3}
    for i, limit in enumerate(limits):
        _, cls = pyhf.infer.hypotest(limit, data, model, return_expected_set=True)
        assert float(cls[i]) == pytest.approx(1 - LEVEL, rel=1e-3)


def test_limits_are_those_of_the_best_fit_where_bins_vary_to_one_side():
    """Both ways alike: the fit has a minimum on either side, and a signal in the middle."""
    data = np.array([4994.0, 5320.0, 5667.0])
    ways = {"hi_data": 1.352, "lo_data": 1.369}
    varied = {way: (data * [side, 1, side]).tolist() for way, side in ways.items()}
    workspace = uncertain([("tautau", 1.0, 1.0, 0.1)]).workspace()
    signal, background = workspace["channels"][0]["samples"]
    signal["data"], background["data"] = [2.4, 5.2, 2.4], data.tolist()
    background["modifiers"][-1]["data"] = (0.01 * data).tolist()
    background["modifiers"] += [
        {"name": "x", "type": "histosys", "data": varied},
        {"name": "x", "type": "normsys", "data": {"hi": 0.92, "lo": 1.06}},
    ]
    workspace["observations"][0]["data"] = background["data"]
    workspace["measurements"][0]["config"]["parameters"][0]["bounds"] = [[0.0, 5000.0]]
    ((*limits,),) = expected_limits([workspace], LEVEL)
    model, counts = cabinetry.model_utils.model_and_data(workspace)
    begin = np.array(model.config.suggested_init())
    alone = pyhf.infer.mle.twice_nll(begin, counts, model)
    for band, limit in zip(BANDS, limits, strict=True):
        lost = []
        for side in (-1.0, -0.3, 0.3, 1.0):
            begin[model.config.par_slice("x")] = side
            _, value = pyhf.infer.mle.fixed_poi_fit(
                limit, counts, model, begin.tolist(), return_fitted_val=True
            )
            lost.append((value - alone).item())
        target = band - norm.ppf((1 - LEVEL) * norm.cdf(band))
        assert np.sqrt(min(lost)) == pytest.approx(target, rel=1e-3)


@pytest.mark.slow
@NEEDS_ROOT
def test_roostats_finds_the_same_limits_and_root_opens_the_histograms(fitted, tmp_path):
    workspace, limits = fitted
    check_by_roostats(tmp_path / "workspaces.json", [workspace], limits[None], LEVEL)
    *_, path = write_workspaces(
        (tmp_path, tmp_path), {"5": workspace}, {"5": [23.0, 24.4, 25.6, 27.0]}
    )
    said = in_root(
        """
        import json
        file = ROOT.TFile.Open(sys.argv[1])
        found = {key.GetName(): key.ReadObj() for key in file.GetListOfKeys()}
        print(json.dumps({n: [one.GetBinContent(i) for i in range(5)] for n, one in found.items()}))
        """,
        path,
    )
    found = json.loads(said)
    assert "tautau_triggerDown" in found
    for sample in workspace["channels"][0]["samples"]:
        assert found[sample["name"]] == [0, *sample["data"], 0]


def shapes(workspace, sample):
    """The bins of a sample one sigma up and down over the nominal ones, (2, B), if they vary."""
    (one,) = (s for s in workspace["channels"][0]["samples"] if s["name"] == sample)
    varied = [m["data"] for m in one["modifiers"] if m["type"] == "histosys"]
    data = np.maximum(one["data"], 1e-300)
    return [np.array([of["hi_data"], of["lo_data"]]) / data for of in varied]


def change(values, varied, weight, mass=None):
    """What is added if events (n,) have varied values, in groups of every twentieth of them."""
    groups = []
    for rows in (slice(one, None, GROUPS) for one in range(GROUPS)):
        own = weight[rows], None if mass is None else mass[rows]
        both = (fill_template(WINDOWS, x[rows], *own).values() for x in (varied, values))
        groups.append(np.subtract(*both))
    return changed_template(WINDOWS, np.array(groups))


def scaled(rng, count, same, by=1.2):
    """Fits with a scale of what falls, by the same events or others, and of the middle peak."""
    falling = 15 + rng.exponential(5.0, count)
    other = falling if same else 15 + rng.exponential(5.0, count)
    mass, fall, rise = np.repeat(MASS, 8000), np.full(count, 1e-3), np.full(24_000, 1e-3)
    pull = SIGMA * rng.standard_normal(len(mass))
    filled = {
        "tautau": fill_template(WINDOWS, falling, fall),
        "signal": fill_template(WINDOWS, mass**2 + pull, rise, mass),
    }
    for way, factor in (("up", by), ("down", 1 / by)):
        wider = mass**2 + np.where(mass == MASS[1], factor, 1.0) * pull
        filled[f"tautau.scale.{way}"] = change(falling, factor * other, fall)
        filled[f"signal.scale.{way}"] = change(mass**2 + pull, wider, rise, mass)
    templates = Templates.of(filled, WINDOWS)
    return templates, fits(templates)[1]


@pytest.mark.parametrize("same", [True, False])
def test_shapes_are_what_scales_make_of_a_spectrum(same):
    """By the same events and by as many others; in the window only the yield changes."""
    templates, workspaces = scaled(np.random.default_rng(6), 800_000, same)
    for h, workspace in enumerate(workspaces):
        edges, (found,) = templates.borders(h), shapes(workspace, "tautau")
        nominal = np.diff(expon.cdf(edges, 15, 5))
        window = nominal * (np.abs(edges[1:] + edges[:-1] - 2 * MASS[h] ** 2) < 4 * SIGMA)
        for by, ratio in zip((1.2, 1 / 1.2), found, strict=True):
            expected = np.diff(expon.cdf(edges / by, 15, 5)) / nominal
            expected *= window.sum() / (window @ expected)
            assert np.ptp(expected) > 0.08
            assert np.sqrt(np.mean((ratio - expected) ** 2)) < 0.025
        (ratios,), peak = shapes(workspace, "signal"), workspace["channels"][0]["samples"][0]
        beside = peak["data"] * (window == 0)  # as of the only mass that is varied
        for by, sums in zip((1.2, 1 / 1.2), ratios @ beside, strict=True):
            outside, before = 2 * norm.sf(2 / by), 2 * norm.sf(2)
            expected = outside / (1 - outside) / (before / (1 - before))
            assert sums / beside.sum() == pytest.approx(expected, rel=0.2)


def test_fluctuations_of_few_events_are_no_shape():
    _, workspaces = scaled(np.random.default_rng(7), 200, same=False)
    assert not any(shapes(workspace, "tautau") for workspace in workspaces)


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
    templates = Templates(WINDOWS, ("tautau",), EDGES, np.tile(signal, (2, 3, 1)), flat, flat / 1e3)
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
    simulated = own.peaks[0, 0] * count
    expected = near.peak(mass[left_out]) * simulated[own.inside].sum()
    filled = expected > 5
    chi2 = np.sum((simulated - expected)[filled] ** 2 / expected[filled])
    assert filled.sum() > 10
    assert chi2 / filled.sum() < 2


def test_bins_hold_enough_background_and_end_at_the_window():
    templates = selected(np.random.default_rng(4), **EVENTS)
    for h in range(3):
        (*starts, stop), edges = templates.joined(h), templates.borders(h)
        assert edges[[0, -1]] == pytest.approx(MASS[h] ** 2 + SIGMA * EDGES[[0, -1]])
        for border in (WINDOWS.low[h], WINDOWS.high[h]):
            assert np.abs(edges - border).min() < 1e-9
        sums, squares = (
            np.add.reduceat(of[:, h].sum(axis=0)[:stop], starts)
            for of in (templates.spectra, templates.squares)
        )
        zones = templates.zones[starts].tolist()
        alone = np.array([zones.count(zone) == 1 for zone in zones])
        assert (sums**2 >= FEWEST * squares)[~alone].all()


def test_what_is_not_in_the_window_is_as_uncertain_as_in_the_nearest_one():
    """Beside a window without background, and where one process is beside it only."""
    peaks = np.tile(norm.pdf(EDGES[1:]), (2, 3, 1))
    spectra = np.zeros((2, 3, len(EDGES) - 1))
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
