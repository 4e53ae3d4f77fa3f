"""Judging networks: scaling of the validation fold, and uncertainties against repetition."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from analysis.errors import InputError
from analysis.evaluation import NONE_FOUND, Sample, evaluate
from analysis.figures_of_merit import FigureOfMerit
from analysis.network import PunziNet
from analysis.punzi_loss import SIGNAL, PunziLoss
from analysis.windows import Windows

WINDOWS = Windows(
    mass=np.array([1.0, 2.0, 3.0]),
    sigma=np.array([0.4, 0.4, 0.4]),
    training=np.array([True, False, True]),
    fitted=np.ones(3, dtype=bool),
    fits=(None,) * 3,
)
FIGURE = FigureOfMerit()


def identity():
    """A network without hidden layers whose logit is its one feature."""
    network = PunziNet(["x"], [0.0], [1.0], hidden=())
    with torch.no_grad():
        network.linear_layers[0].weight.fill_(1.0)
        network.linear_layers[0].bias.fill_(0.0)
    return network


def sample(rng, events=(3000, 60), light=(0.02, 0.5), keep=0.4, generated=400):
    """Poisson backgrounds of two processes, binomial signal, a random fifth for validation."""
    n_background = [rng.poisson(n) for n in events]
    accepted = rng.binomial(generated, keep, 3)
    process = np.repeat([0, 1, SIGNAL], [*n_background, accepted.sum()])
    start = np.concatenate(
        [rng.integers(0, 3, sum(n_background)), np.repeat([0, 1, 2], accepted)]
    ).astype(np.int16)
    stop = np.where(process == SIGNAL, start + 1, np.minimum(start + 2, 3)).astype(np.int16)
    weight = np.where(
        process == SIGNAL, 1 / generated, np.array([*light, 0.0])[process]
    ) * rng.uniform(0.8, 1.2, len(process))
    x = rng.normal(np.where(process == SIGNAL, 1.0, -1.0), 1.0).astype(np.float32)
    return Sample(
        features=x[:, None],
        weight=weight,
        process=process,
        start=start,
        stop=stop,
        validation=rng.random(len(process)) < 0.2,
        processes=("tautau", "mumugamma"),
    )


def true_sigma_min(cut, events, light, keep=0.4):
    """What `sample` has behind cuts on average: normal tails about +1 and -1."""
    efficiency = keep * norm.sf(cut, loc=1.0)
    share = np.array([1, 2, 2]) / 3
    background = np.dot(events, light) * share * norm.sf(cut, loc=-1.0)
    return FIGURE.sigma_min(efficiency, background, 50.0)


def judge(events, **networks):
    networks = networks or {"n": identity()}
    result = evaluate(networks, events, WINDOWS, FIGURE, 50.0)
    return result if len(networks) > 1 else next(iter(result.networks.values()))


def brute_force(events, cut, hypothesis):
    """ε and B of one hypothesis at one cut, by masks and the definition of the scaling."""
    inside = (events.start <= hypothesis) & (hypothesis < events.stop)
    own = inside & (events.process == SIGNAL)
    passed = events.validation & (events.features[:, 0] >= cut)
    w = events.weight
    efficiency = w[own].sum() * w[own & passed].sum() / w[own & events.validation].sum()
    background = 0.0
    for p in (0, 1):
        mine = events.process == p
        scale = w[mine].sum() / w[mine & events.validation].sum()
        background += scale * w[mine & inside & passed].sum()
    return efficiency, background


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
    assert (
        network.single.sigma_min[WINDOWS.training].mean()
        <= network.half.sigma_min[WINDOWS.training].mean()
    )


def test_evaluation_and_loss_scale_alike():
    """A network with outputs of 0 and 1 only has σ_min at the cut 0.5 for its loss."""
    events = sample(np.random.default_rng(1))
    half = judge(events).half
    columns = [
        torch.from_numpy(c) for c in (events.weight, events.process, events.start, events.stop)
    ]
    loss = PunziLoss.of_sample(WINDOWS.mass, *columns, luminosity=50.0)
    rows = torch.from_numpy(events.validation)
    hard = torch.from_numpy(events.features[events.validation, 0] >= 0).double()
    value = loss(hard, *(c[rows] for c in columns))
    assert value.item() == pytest.approx(half.sigma_min.mean(), rel=1e-12)


def test_each_network_is_judged_by_itself():
    events = sample(np.random.default_rng(2))
    worse = identity()
    with torch.no_grad():
        worse.linear_layers[0].weight.fill_(-1.0)
    both = judge(events, bce=worse, punzi=identity())
    alone = judge(events)
    np.testing.assert_array_equal(both.networks["punzi"].optimal.sigma_min, alone.optimal.sigma_min)
    assert (both.networks["bce"].half.sigma_min > both.networks["punzi"].half.sigma_min).all()
    assert np.array_equal(both.mass, WINDOWS.mass)
    assert np.array_equal(both.training, WINDOWS.training)
    assert both.figure_of_merit == FIGURE
    assert both.luminosity == 50.0


@pytest.mark.parametrize("bias", [0.0, 1.0, 40.0])
def test_uncertainties_are_the_spread_of_repeated_simulations(bias):
    """At a fixed cut, from tight (few events pass) to none (only the totals fluctuate)."""
    rng = np.random.default_rng(3)
    network = identity()
    with torch.no_grad():
        network.linear_layers[0].bias.fill_(bias)
    values, errors = [], []
    for _ in range(400):
        half = judge(sample(rng, events=(3000, 600)), n=network).half
        values.append(half.sigma_min)
        errors.append(half.sigma_min_error)
    spread = np.std(values, axis=0) / np.mean(values, axis=0)
    quoted = np.sqrt(np.mean(np.square(errors), axis=0)) / np.mean(values, axis=0)
    np.testing.assert_allclose(quoted, spread, rtol=0.12)


def test_no_background_left_is_uncertain_by_what_one_cannot_see():
    rng = np.random.default_rng(4)
    events = sample(rng)
    events.features[events.process != SIGNAL] = -5.0
    half = judge(events).half
    assert (half.background == 0).all()
    validation = events.validation
    for h in range(3):
        scaled = []
        for p in (0, 1):
            mine = events.process == p
            scale = events.weight[mine].sum() / events.weight[mine & validation].sum()
            rows = mine & validation & (events.start <= h) & (h < events.stop)
            scaled.append(events.weight[rows] * scale)
        w = np.concatenate(scaled)
        above = FIGURE.sigma_min(half.efficiency[h], NONE_FOUND * (w**2).sum() / w.sum(), 50.0)
        assert half.sigma_min_error[h] > above - half.sigma_min[h]
        assert half.sigma_min_error[h] < 1.5 * (above - half.sigma_min[h])


def test_a_window_without_any_background_still_has_an_uncertainty():
    events = sample(np.random.default_rng(5))
    events.stop[(events.process != SIGNAL) & (events.start == 1)] = 2
    events.start[(events.process != SIGNAL) & (events.start == 2)] = 1
    events.stop[events.process != SIGNAL] = np.minimum(events.stop[events.process != SIGNAL], 2)
    half = judge(events).half
    assert half.background[2] == 0
    assert 0 < half.sigma_min_error[2] < np.inf


def test_a_hypothesis_without_validation_signal_is_infinite_and_not_in_the_way():
    events = sample(np.random.default_rng(6))
    events.validation[(events.process == SIGNAL) & (events.start == 2)] = False
    network = judge(events)
    for selection in (network.optimal, network.single, network.half):
        assert np.isinf(selection.sigma_min[2])
        assert np.isinf(selection.sigma_min_error[2])
        assert np.isfinite(selection.sigma_min[:2]).all()
    assert np.isinf(network.optimal.cut[2])
    assert network.single_cut == network.optimal.cut[0]


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


def test_events_in_no_window_take_no_part():
    events = sample(np.random.default_rng(8))
    reference = judge(events)
    more = Sample(
        features=np.vstack([events.features, np.full((4, 1), 9.0, dtype=np.float32)]),
        weight=np.append(events.weight, [1.0, 2.0, 3.0, 4.0]),
        process=np.append(events.process, [0, 1, SIGNAL, SIGNAL]),
        start=np.append(events.start, np.array([0, 3, 3, 1], dtype=np.int16)),
        stop=np.append(events.stop, np.array([0, 3, 3, 1], dtype=np.int16)),
        validation=np.append(events.validation, [True, False, True, False]),
        processes=events.processes,
    )
    network = judge(more)
    np.testing.assert_array_equal(network.single.sigma_min, reference.single.sigma_min)
    np.testing.assert_array_equal(network.half.sigma_min_error, reference.half.sigma_min_error)


def test_a_listed_process_without_events_changes_nothing():
    events = sample(np.random.default_rng(9))
    listed = Sample(**{**vars(events), "processes": (*events.processes, "eemumu")})
    one = judge(events)
    other = judge(listed)
    np.testing.assert_array_equal(one.optimal.sigma_min, other.optimal.sigma_min)
