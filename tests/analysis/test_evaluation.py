"""Judging networks: scaling of the validation fold, and uncertainties against repetition."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from punzinet.analysis.evaluation import NONE_FOUND, Judge, evaluate
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import InputError
from punzinet.analysis.network import PunziNet
from punzinet.analysis.punzi_loss import SIGNAL, PunziLoss
from punzinet.analysis.training.data import Events, Sample

MASS = np.array([1.0, 2.0, 3.0])
TRAINING = np.array([True, False, True])
FIGURE = FigureOfMerit()


def identity(slope=1.0, bias=0.0):
    """A network without hidden layers whose logit is its one feature."""
    network = PunziNet(["x"], [0.0], [1.0], hidden=())
    with torch.no_grad():
        network.linear_layers[0].weight.fill_(slope)
        network.linear_layers[0].bias.fill_(bias)
    return network


def sample(rng, events=(3000, 60), light=(0.02, 0.5), keep=0.4, generated=400):
    """Poisson backgrounds of two processes, binomial signal, a random fifth for validation."""
    n_background = [rng.poisson(n) for n in events]
    accepted = rng.binomial(generated, keep, 3)
    process = np.repeat([0, 1, SIGNAL], [*n_background, accepted.sum()])
    background = rng.integers(0, 3, sum(n_background))
    start = np.append(background, np.repeat([0, 1, 2], accepted)).astype(np.int16)
    stop = np.where(process == SIGNAL, start + 1, np.minimum(start + 2, 3)).astype(np.int16)
    mean = np.where(process == SIGNAL, 1 / generated, np.array([*light, 0.0])[process])
    weight = mean * rng.uniform(0.8, 1.2, len(process))
    x = rng.normal(np.where(process == SIGNAL, 1.0, -1.0), 1.0).astype(np.float32)
    validation = rng.random(len(process)) < 0.2
    columns = {"weight": weight, "process": process, "start": start, "stop": stop}
    return SimpleNamespace(x=x, **columns, validation=validation)


def true_sigma_min(cut, events, light, keep=0.4):
    """What `sample` has behind cuts on average: normal tails about +1 and -1."""
    efficiency = keep * norm.sf(cut, loc=1.0)
    share = np.array([1, 2, 2]) / 3
    background = np.dot(events, light) * share * norm.sf(cut, loc=-1.0)
    return FIGURE.sigma_min(efficiency, background, 50.0)


def judge(table, backgrounds=("tautau", "mumugamma"), figure=FIGURE, **networks):
    networks = networks or {"n": identity()}
    columns = table.x[None], table.weight, table.process, table.start, table.stop
    events, validation = Events(*columns), table.validation
    parts = Sample(("x",), MASS, backgrounds, events[~validation], events[validation])
    result = evaluate(networks, Judge(parts, TRAINING, figure, 50.0))
    return result if len(networks) > 1 else next(iter(result.networks.values()))


def scaled_weights(events):
    """Weights of validation events by the definition of the scaling, 0 for all others."""
    weight = np.where(events.validation, events.weight, 0.0)
    signal = events.process == SIGNAL
    backgrounds = (events.process == process for process in (0, 1))
    for kind in (*backgrounds, *(signal & (events.start == h) for h in range(3))):
        weight[kind] *= events.weight[kind].sum() / weight[kind].sum()
    return weight


def brute_force(events, cut, hypothesis):
    passed = (events.start <= hypothesis) & (hypothesis < events.stop) & (events.x >= cut)
    signal, weight = events.process == SIGNAL, scaled_weights(events)
    return weight[passed & signal].sum(), weight[passed & ~signal].sum()


def test_yields_are_those_of_masks_and_the_figure_of_merit():
    events = sample(np.random.default_rng(0))
    network = judge(events)
    assert (network.half.cut == 0).all()
    assert (network.single.cut == network.single_cut).all()
    assert len(np.unique(network.optimal.cut)) > 1
    for selection in (network.optimal, network.single, network.half):
        for h in range(3):
            efficiency, background = brute_force(events, selection.cut[h], h)
            assert selection.efficiency[h] == pytest.approx(efficiency, rel=1e-12)
            assert selection.background[h] == pytest.approx(background, rel=1e-12)
        expected = FIGURE.sigma_min(selection.efficiency, selection.background, 50.0)
        np.testing.assert_array_equal(selection.sigma_min, expected)
    assert (network.optimal.sigma_min <= network.single.sigma_min).all()
    assert network.single.sigma_min[TRAINING].mean() <= network.half.sigma_min[TRAINING].mean()


def test_evaluation_and_loss_scale_alike():
    """A network with outputs of 0 and 1 only has σ_min at the cut 0.5 for its loss."""
    events = sample(np.random.default_rng(1))
    half = judge(events).half
    _, *columns, rows = map(torch.from_numpy, vars(events).values())
    loss = PunziLoss.of_sample(MASS, *columns, luminosity=50.0)
    hard = torch.from_numpy(events.x[events.validation] >= 0).double()
    value = loss(hard, *(c[rows] for c in columns))
    assert value.item() == pytest.approx(half.sigma_min.mean(), rel=1e-12)


def test_each_network_is_judged_by_itself():
    events = sample(np.random.default_rng(2))
    both = judge(events, bce=identity(slope=-1.0), punzi=identity())
    alone = judge(events)
    np.testing.assert_equal(vars(both.networks["punzi"].optimal), vars(alone.optimal))
    empty_process = judge(events, ("tautau", "mumugamma", "eemumu"))
    np.testing.assert_equal(vars(empty_process.optimal), vars(alone.optimal))
    assert (both.networks["bce"].half.sigma_min > both.networks["punzi"].half.sigma_min).all()
    assert np.array_equal(both.mass, MASS)
    assert np.array_equal(both.training, TRAINING)
    assert (both.figure_of_merit, both.luminosity) == (FIGURE, 50.0)


@pytest.mark.parametrize(
    ("bias", "figure"),
    [
        *((bias, FIGURE) for bias in (0.0, 1.0, 40.0)),
        (0.0, FigureOfMerit(background_uncertainty={"mumugamma": 0.5})),
    ],
)
def test_uncertainties_are_the_spread_of_repeated_simulations(bias, figure):
    """At a fixed cut, from tight (few events pass) to none (only the totals fluctuate)."""
    rng = np.random.default_rng(3)
    values, errors, mean_errors = [], [], []
    for _ in range(400):
        judged = judge(sample(rng, events=(3000, 600)), figure=figure, n=identity(bias=bias))
        values.append(judged.half.sigma_min)
        errors.append(judged.half.sigma_min_error)
        mean_errors.append(judged.mean_error["half"])
    means = np.array(values)[:, TRAINING].mean(axis=1)
    assert np.sqrt(np.mean(np.square(mean_errors))) == pytest.approx(np.std(means), rel=0.12)
    quoted = np.sqrt(np.mean(np.square(errors), axis=0))
    np.testing.assert_allclose(quoted, np.std(values, axis=0), rtol=0.12)


def test_no_background_left_is_uncertain_by_what_one_cannot_see():
    events = sample(np.random.default_rng(4))
    background = events.process != SIGNAL
    events.x[background] = -5.0
    # No background event at all in the last window.
    events.start[background] = np.minimum(events.start[background], 1)
    events.stop[background] = np.minimum(events.stop[background], 2)
    half = judge(events).half
    assert (half.background == 0).all()
    assert 0 < half.sigma_min_error[2] < np.inf
    weight = scaled_weights(events)
    for h in range(2):
        w = weight[background & (events.start <= h) & (h < events.stop)]
        above = FIGURE.sigma_min(half.efficiency[h], NONE_FOUND * (w**2).sum() / w.sum(), 50.0)
        unseen = above - half.sigma_min[h]
        assert unseen < half.sigma_min_error[h] < 1.5 * unseen


def test_a_cut_that_no_signal_passes_is_infinitely_insensitive():
    half = judge(sample(np.random.default_rng(6)), n=identity(bias=-100.0)).half
    assert (half.efficiency == 0).all()
    assert np.isinf([half.sigma_min, half.sigma_min_error]).all()


def test_the_mean_of_windows_with_the_same_events_is_as_uncertain_as_one_of_them():
    events = sample(np.random.default_rng(8), events=(30_000, 60), generated=10**6)
    events.x[events.process != SIGNAL] += 1.0
    events.start[events.process != SIGNAL] = 0
    events.stop[events.process != SIGNAL] = 3
    judged = judge(events)
    assert judged.mean_error["half"] == pytest.approx(judged.half.sigma_min_error[0], rel=0.02)


@pytest.mark.parametrize("uncertainty", [0.3, {"tautau": 0.2, "mumugamma": 0.5}])
def test_uncertain_background_is_in_the_judgement_of_all_cuts(uncertainty):
    events = sample(np.random.default_rng(11))
    plain = judge(events)
    aware = judge(events, figure=FigureOfMerit(background_uncertainty=uncertainty))
    assert (aware.half.sigma_min > plain.half.sigma_min).all()
    assert (aware.half.sigma_min_error > 0).all()
    assert (aware.optimal.sigma_min <= aware.half.sigma_min).all()
    assert (aware.optimal.background <= plain.optimal.background).all()


def test_a_background_that_cannot_be_estimated_is_named():
    events = sample(np.random.default_rng(7))
    for fold, inside in (("training", True), ("validation", False)):
        events.validation[events.process == 1] = inside
        with pytest.raises(InputError, match=f"None of the mumugamma events.*in the {fold} fold"):
            judge(events)


def test_cuts_chosen_on_other_events_are_not_optimistic():
    """Few background events: following their fluctuations promises more than it can keep."""
    rng = np.random.default_rng(10)
    size = {"events": (40_000, 4000), "light": (0.02, 0.05)}
    same, other = [], []
    for _ in range(60):
        network = judge(sample(rng, **size, generated=5000))
        same.append(network.optimal.sigma_min / true_sigma_min(network.optimal.cut, **size))
        cuts = network.optimal_in_training
        other.append(cuts.sigma_min / true_sigma_min(cuts.cut, **size))
    assert np.mean(same) < 0.9
    three_deviations = 3 * np.std(other) / np.sqrt(np.size(other))
    assert np.mean(other) == pytest.approx(1.0, abs=three_deviations)
