"""The Punzi-loss against dense matrices, finite differences and its own limits."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import gmean

from punzinet.analysis import punzi_loss
from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance
from punzinet.analysis.io.files import InputError
from punzinet.analysis.punzi_loss import SIGNAL, PunziLoss, SignificanceLoss

MASSES = tuple(0.5 + 0.5 * i for i in range(12))
PROCESSES = ("tautau", "eemumu", "mumugamma")
#: One that doubles one process at half of the masses, and one that moves two of them.
SHIFTS = {
    "doubled": {"tautau": {m: 0.75 * (m < 3.2) for m in MASSES}},
    "moved": {"tautau": dict.fromkeys(MASSES, -0.2), "eemumu": {m: 0.1 * m for m in MASSES}},
}
MEASURED = {"background_uncertainty": "measured", "shifts": SHIFTS}
BY_PROCESS = {"tautau": 0.1, "mumugamma": 0.4}
UNCERTAIN = (*({"background_uncertainty": u} for u in (0.2, BY_PROCESS)), MEASURED)
OTHERS = {}, {"form": "punzi-improved"}, {"average": "geometric"}
SIZES = (4000, 4000), (4000, 1500), (4000, 60), (200_000, 200_000)


def sample(n=4000, seed=0, signal_share=0.3):
    """Outputs, weights, processes and windows of a sample, some of it in several or in none."""
    rng, hypotheses = np.random.default_rng(seed), len(MASSES)
    signal = rng.random(n) < signal_share
    start = rng.integers(0, hypotheses + 1, n)
    width = np.where(signal, rng.random(n) < 0.9, rng.integers(0, 4, n))
    process = np.where(signal, SIGNAL, rng.integers(0, 3, n))
    weight = np.where(signal, 5e-5, 0.05 * 20.0**process) * rng.uniform(0.5, 2.0, n)
    output = rng.beta(0.5 + signal, 1.0, n)
    windows = [edge.astype(np.int16) for edge in (start, np.minimum(start + width, hypotheses))]
    return tuple(torch.from_numpy(c) for c in (output, weight, process, *windows))


def loss_of(columns, kind=PunziLoss, **options):
    return kind.of_sample(MASSES, *columns[1:], luminosity=50.0, **options)


def dense_loss(subset, whole, figure=None):
    """The definition itself, in numpy, with a matrix of events times hypotheses."""
    figure = figure or FigureOfMerit()
    output, weight, process, start, stop = (np.asarray(c, dtype=np.float64) for c in subset)
    _, all_weight, all_process, all_start, all_stop = (np.asarray(c) for c in whole)
    windows = np.arange(len(MASSES))
    member = (start[:, None] <= windows) & (windows < stop[:, None])
    background = np.zeros((3, len(MASSES)))
    for p in range(3):
        used = (process == p) & (stop > start)
        total = all_weight[(all_process == p) & (all_stop > all_start)].sum()
        if used.any():
            scale = total / weight[used].sum()
            background[p] = scale * (member[used] * (weight * output)[used, None]).sum(axis=0)
    uncertainty = figure.uncertainty_of(PROCESSES, len(MASSES))
    variance, sigma = background_variance(background.sum(axis=0), background, *uncertainty), []
    for m in windows:
        own = (process == SIGNAL) & (start == m) & (stop > m)
        if own.any():
            of_mass = (all_process == SIGNAL) & (all_start == m) & (all_stop > m)
            total = all_weight[of_mass].sum()
            efficiency = total * (weight * output)[own].sum() / weight[own].sum()
            sigma.append(float(figure.sigma_min(efficiency, variance[m], 50.0)))
    return gmean(sigma) if figure.average == "geometric" else np.mean(sigma)


@pytest.mark.parametrize("setting", [*OTHERS, *UNCERTAIN])
@pytest.mark.parametrize(("n", "size"), SIZES)
def test_prefix_sums_of_single_precision_equal_dense_matrices(setting, n, size):
    whole, figure = sample(n), FigureOfMerit(**setting)
    batch = tuple(c[:size] for c in (whole[0].float(), *whole[1:]))
    value = loss_of(whole, figure_of_merit=figure, processes=PROCESSES)(*batch)
    assert value.item() == pytest.approx(dense_loss(batch, whole, figure), rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_rounding_never_makes_background_negative_or_an_empty_window_full(seed):
    """Events of nearly no weight between heavy ones, whose sums do not cancel exactly."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 3000)
    start = torch.from_numpy(first)
    stop = torch.from_numpy(rng.integers(first + 1, 5 - (first < 3)))
    values = torch.from_numpy(np.where(first == 3, 1e-30, rng.uniform(0, 1e9, 3000)))
    values.requires_grad_()
    row = torch.zeros_like(start)
    sums = punzi_loss.window_sums(values, row, start, stop, (1, 6))[0]
    assert (sums >= 0).all()
    assert (sums[4:] == 0).all()
    FigureOfMerit().sigma_min(torch.ones(6), sums, 50.0).sum().backward()
    assert torch.isfinite(values.grad).all()


def gradient(loss, output, *columns):
    output = output.clone().requires_grad_()
    value = loss(output, *columns)
    value.backward()
    return value, output.grad


def test_windows_without_background_and_hypotheses_without_signal_are_finite():
    whole = sample()
    signal, start = whole[2] == SIGNAL, whole[3]
    for kept in (signal | (start > 4), ~signal | (start != 7)):
        batch = tuple(c[kept] for c in whole)
        value, slope = gradient(loss_of(whole), *batch)
        assert torch.isfinite(slope).all()
        assert value.item() == pytest.approx(dense_loss(batch, whole), rel=1e-12)


def test_without_background_the_loss_is_b_squared_over_efficiency():
    whole = sample()
    loss = loss_of(whole)
    signal = whole[2] == SIGNAL
    for batch in (tuple(c[signal] for c in whole), (signal.double(), *whole[1:])):
        value, slope = gradient(loss, *batch)
        *background, efficiency = loss.sums(*batch)
        expected = (1.28155**2 / efficiency / 50).mean().item()
        assert all((one == 0).all() for one in background)
        assert value.item() == pytest.approx(expected, rel=1e-12)
        assert torch.isfinite(slope).all()
        assert (slope[(batch[2] == SIGNAL) & (batch[4] > batch[3])] < 0).all()
    torch.testing.assert_close(efficiency, loss.signal_total)  # all that the windows let pass


def test_a_batch_without_signal_gives_nothing_to_learn():
    whole = sample()
    for kept in (whole[2] != SIGNAL, slice(0)):
        value, slope = gradient(loss_of(whole), *(c[kept] for c in whole))
        assert value == 0
        assert (slope == 0).all()


@pytest.mark.parametrize("logit", [-50.0, -100.0, -1000.0])
def test_a_rejected_hypothesis_is_terrible_but_finite_in_single_precision(logit):
    output, *columns = sample()
    logits = torch.where((columns[1] == SIGNAL) & (columns[2] == 3), logit, output.logit()).float()
    logits.requires_grad_()
    value = loss_of((output, *columns))(torch.sigmoid(logits), *columns)
    value.backward()
    assert torch.isfinite(value)
    assert value > 1.0 / (punzi_loss.MIN_EFFICIENCY * 50 * len(MASSES))
    assert torch.isfinite(logits.grad).all()


def test_scaling_each_mass_by_itself_takes_the_noise_out():
    """With equal outputs every batch knows ε exactly, however many signal events it has."""
    whole = sample(n=20_000, seed=8)
    output = torch.where(whole[2] == SIGNAL, 0.9, 0.0).double()
    loss = loss_of(whole)
    assert set(loss.state_dict()) == {"signal_total", "background_total"}
    expected = loss(output, *whole[1:]).item()
    for part in torch.arange(20_000).split(1000):
        value = loss(output[part], *(c[part] for c in whole[1:])).item()
        assert value == pytest.approx(expected, rel=1e-9)
    # A perfect miniature of a sample has its loss.
    thrice = tuple(torch.cat([c, c, c]) for c in whole)
    small, large = (loss_of(thrice)(*events).item() for events in (whole, thrice))
    assert small == pytest.approx(large, rel=1e-12)


def test_columns_without_meaning_are_refused():
    whole = sample()
    with pytest.raises(ValueError, match=r"the shape \(4000, 1\), but the 4000 events need"):
        loss_of(whole)(whole[0][:, None], *whole[1:])
    with pytest.raises(InputError, match=r"hypothesis of 2 GeV has no signal"):
        loss_of(tuple(c[(whole[2] != SIGNAL) | (whole[3] != 3)] for c in whole))
    figure = FigureOfMerit(background_uncertainty={"tautau": 0.1})
    with pytest.raises(ValueError, match="need the names"):
        loss_of(whole, figure_of_merit=figure)
    output, weight, process, start, stop = whole
    for columns in (
        (process, start, stop + 1),
        (process, start - 1, stop),
        (process - 1, start, stop),
    ):
        with pytest.raises(InputError, match=r"windows beyond the 12 training hypotheses"):
            loss_of((output, weight, *columns))
    several = torch.where((process == SIGNAL) & (stop > start) & (stop < 12), stop + 1, stop)
    with pytest.raises(InputError, match=r"signal event lies in several windows"):
        loss_of((output, weight, process, start, several))
    for bad in (-1.0, math.nan, math.inf):
        whole[1][17] = bad
        with pytest.raises(InputError, match="weight is negative or not finite"):
            loss_of(whole)


@pytest.mark.parametrize("kind", [PunziLoss, SignificanceLoss])
@pytest.mark.parametrize("uncertainty", [{}, *UNCERTAIN])
def test_gradient_with_uncertain_background_equals_finite_differences(kind, uncertainty):
    output, *columns = sample(n=150, seed=2)
    figure = FigureOfMerit(**uncertainty)
    loss = loss_of((output, *columns), kind, figure_of_merit=figure, processes=PROCESSES)
    output = output.clamp(0.05, 0.95)
    scale = loss(output, *columns)  # so that the limits of the check mean what they say

    def relative(y):
        return loss(y, *columns) / scale

    assert torch.autograd.gradcheck(relative, (output.requires_grad_(),), eps=1e-6, rtol=1e-5)


def test_the_other_loss_is_the_inverse_squared_significance_of_a_counting_experiment():
    output, *columns = sample(n=600)
    columns[3] = (columns[2] + 1).clamp(max=len(MASSES))
    weight, process, start = (np.asarray(column) for column in columns[:3])
    loss = loss_of((output, *columns), SignificanceLoss)
    loss.cross_section = 3.0
    expected = []
    for h in range(len(MASSES)):
        selected, signal = (weight * output.numpy())[start == h], (process == SIGNAL)[start == h]
        s, b = 3.0 * 50.0 * selected[signal].sum(), selected[~signal].sum()
        expected.append((s / np.sqrt(s + b)) ** -2)
    assert loss(output, *columns).item() == pytest.approx(np.mean(expected), rel=1e-12)
