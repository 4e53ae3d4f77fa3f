"""Judging networks: scaling of the events that judge, and uncertainties against repetition."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from punzinet.analysis.cuts import LEADING, NONE_FOUND
from punzinet.analysis.evaluation import Judge, evaluate
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.folds import Folds
from punzinet.analysis.io.files import InputError
from punzinet.analysis.punzi_loss import SIGNAL, PunziLoss
from punzinet.analysis.saved_network import Perceptron
from punzinet.analysis.training.data import PARTS, Events, Sample

MASS = np.array([1.0, 2.0, 3.0])
TRAINING = np.array([True, False, True])
FIGURE = FigureOfMerit()
#: One parameter of two processes, not alike in all windows.
SHIFTS = {
    "tautau": dict.fromkeys((1.0, 2.0, 3.0), 0.2),
    "mumugamma": {1.0: 0.5, 2.0: 0.1, 3.0: 0.4},
}
MEASURED = FigureOfMerit(background_uncertainty="measured", shifts={"x": SHIFTS})
FOLDS = Folds(validation=1, test=0)


def identity(slope=1.0, bias=0.0):
    """A network without hidden layers whose logit is its one feature."""
    layer = np.array([[slope]]), np.array([bias])
    return Perceptron(("x",), np.zeros(1), np.ones(1), [layer])


def sample(rng, events=(3000, 60), light=(0.02, 0.5), keep=0.4, generated=400):
    """Poisson backgrounds of two processes, binomial signal, a random fifth judges, one chooses."""
    n_background = [rng.poisson(n) for n in events]
    accepted = rng.binomial(generated, keep, 3)
    process = np.repeat([0, 1, SIGNAL], [*n_background, accepted.sum()])
    background = rng.integers(0, 3, sum(n_background))
    start = np.append(background, np.repeat([0, 1, 2], accepted)).astype(np.int16)
    stop = np.where(process == SIGNAL, start + 1, np.minimum(start + 2, 3)).astype(np.int16)
    mean = np.where(process == SIGNAL, 1 / generated, np.array([*light, 0.0])[process])
    weight = mean * rng.uniform(0.8, 1.2, len(process))
    x = rng.normal(np.where(process == SIGNAL, 1.0, -1.0), 1.0).astype(np.float32)
    fold = rng.integers(0, 5, len(process))
    columns = {"weight": weight, "process": process, "start": start, "stop": stop}
    return SimpleNamespace(x=x, **columns, fold=fold)


def true_sigma_min(cut, events, light, keep=0.4):
    """What `sample` has behind cuts on average: normal tails about +1 and -1."""
    efficiency = keep * norm.sf(cut, loc=1.0)
    share = np.array([1, 2, 2]) / 3
    background = np.dot(events, light) * share * norm.sf(cut, loc=-1.0)
    return FIGURE.sigma_min(efficiency, background, 50.0)


def judge(table, backgrounds=("tautau", "mumugamma"), figure=FIGURE, **networks):
    networks = networks or {"n": identity()}
    columns = table.x[None], table.weight, table.process, table.start, table.stop
    folds, events = FOLDS.rows(table.fold), Events(*columns)
    parts = Sample(("x",), MASS, backgrounds, FOLDS.known, *(events[rows] for rows in folds))
    result = evaluate(networks, Judge(parts, TRAINING, figure, 50.0))
    return result if len(networks) > 1 else next(iter(result.networks.values()))


def scaled_weights(events):
    """Weights of the events that judge by the definition of the scaling, 0 for all others."""
    weight = np.where(events.fold == FOLDS.test, events.weight, 0.0)
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
            assert selection.bound[h] == (background == 0)
            if not selection.bound[h]:
                assert selection.background[h] == pytest.approx(background, rel=1e-12)
        expected = FIGURE.sigma_min(selection.efficiency, selection.background, 50.0)
        np.testing.assert_array_equal(selection.sigma_min, expected)


def test_evaluation_and_loss_scale_alike():
    """A network with outputs of 0 and 1 only has σ_min at the cut 0.5 for its loss."""
    events = sample(np.random.default_rng(1))
    half = judge(events).half
    _, *columns, fold = map(torch.from_numpy, vars(events).values())
    loss = PunziLoss.of_sample(MASS, *columns, luminosity=50.0)
    hard = torch.from_numpy(events.x[events.fold == FOLDS.test] >= 0).double()
    value = loss(hard, *(c[fold == FOLDS.test] for c in columns))
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
        (0.0, MEASURED),
        (0.0, FigureOfMerit(average="geometric")),
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
    averages = [figure.averaged(sigma[TRAINING]) for sigma in values]
    assert np.sqrt(np.mean(np.square(mean_errors))) == pytest.approx(np.std(averages), rel=0.12)
    quoted = np.sqrt(np.mean(np.square(errors), axis=0))
    np.testing.assert_allclose(quoted, np.std(values, axis=0), rtol=0.12)


def test_no_background_left_is_uncertain_by_what_one_cannot_see():
    events = sample(np.random.default_rng(4))
    background = events.process != SIGNAL
    events.x[background] = np.random.default_rng(5).uniform(-6, -5, background.sum())
    # No background event at all in the last window.
    events.start[background] = np.minimum(events.start[background], 1)
    events.stop[background] = np.minimum(events.stop[background], 2)
    half = judge(events).half
    assert half.bound.all()
    weight = scaled_weights(events)
    for h in range(2):
        inside = background & (events.start <= h) & (h < events.stop) & (weight > 0)
        w = weight[inside][np.argsort(-events.x[inside])][:LEADING]
        assert half.background[h] == pytest.approx(NONE_FOUND * (w**2).sum() / w.sum(), rel=1e-12)
    expected = FIGURE.sigma_min(half.efficiency, half.background, 50.0)
    np.testing.assert_array_equal(half.sigma_min, expected)
    without = FIGURE.sigma_min(half.efficiency, 0.0, 50.0)
    assert (half.sigma_min_error > (half.sigma_min - without) / 2).all()


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


def test_a_background_that_cannot_be_estimated_is_named():
    events = sample(np.random.default_rng(7))
    for fold, elsewhere in (("training", 0), ("validation", 4), ("test", 4)):
        lost = FOLDS.rows(events.fold)[PARTS.index(fold)] & (events.process == 1)
        fewer = SimpleNamespace(**vars(events) | {"fold": np.where(lost, elsewhere, events.fold)})
        with pytest.raises(InputError, match=f"None of the mumugamma events.*in the {fold} fold"):
            judge(fewer)


def test_nothing_quoted_is_optimistic():
    """Few background events: following their fluctuations would promise more than it can keep."""
    rng = np.random.default_rng(10)
    size = {"events": (40_000, 4000), "light": (0.02, 0.05)}
    chosen, gained = [], []
    for _ in range(60):
        network = judge(sample(rng, **size, generated=5000))
        chosen.append(network.optimal.sigma_min / true_sigma_min(network.optimal.cut, **size))
        gained.append(network.by_events["validation"] - network.by_events["test"])
    three_deviations = 3 * np.std(chosen) / np.sqrt(np.size(chosen))
    assert np.mean(chosen) == pytest.approx(1.0, abs=three_deviations)
    assert np.mean(gained) < -2 * np.std(gained) / np.sqrt(len(gained))


def poisoned(events, fold):
    """The same events, of which those of one fold have other outputs and weights."""
    mine = events.fold == fold
    x = np.where(mine, -events.x, events.x)
    weight = events.weight * np.where(mine, 3, 1)
    return SimpleNamespace(**vars(events) | {"x": x, "weight": weight})


def test_each_fold_does_its_own_and_nothing_else():
    """Test events change no cut, and only validation events choose one."""
    events = sample(np.random.default_rng(12))
    plain = judge(events)
    trained, validated, tested = (judge(poisoned(events, fold)) for fold in (4, 1, 0))
    for cut in ("optimal", "single"):
        before, after = getattr(plain, cut), getattr(tested, cut)
        np.testing.assert_array_equal(before.cut, after.cut)
        assert (before.sigma_min != after.sigma_min).all()
    assert plain.single_cut != validated.single_cut
    # What trained counts in the totals alone, which scale all that one process has alike.
    assert plain.single_cut == trained.single_cut
