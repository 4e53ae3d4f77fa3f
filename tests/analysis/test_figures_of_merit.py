"""Limits, laws and published forms of the figures of merit."""

import math

import numba
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis import figures_of_merit
from punzinet.analysis.figures_of_merit import (
    FigureOfMerit,
    background_variance,
    variance_slope,
)

FORMS = [FigureOfMerit(), FigureOfMerit(form="punzi-improved")]
EFFICIENCY = st.floats(1e-4, 1.0)
BACKGROUND = st.floats(0.0, 1e7)
COMPILED = numba.njit("f8(f8, f8, f8, f8)")(figures_of_merit.punzi_numerator)


@given(
    st.floats(0.5, 6), st.floats(0.5, 3), EFFICIENCY, BACKGROUND, st.sampled_from([0, 0.03, 0.5])
)
def test_the_smallest_signal_fulfils_the_condition_of_punzi(a, b, efficiency, background, relative):
    """S above B + a√V at b sigmas (physics/0308063), B being as uncertain in both hypotheses."""
    figure = FigureOfMerit(a=a, b=b, background_uncertainty=relative)
    variance = background_variance(background, [], *figure.uncertainty_of((), 1))
    assert variance == background + (relative * background) ** 2
    signal = float(figure.sigma_min(efficiency, variance, 50.0)) * efficiency * 50.0
    needed = a * math.sqrt(variance) + b * math.sqrt(variance + signal)
    assert signal == pytest.approx(needed, rel=1e-12)


def test_improved_form_differs_by_its_constant_only():
    plain, improved = FORMS
    assert (plain.a, plain.b) == (3.0, 1.28155)
    with pytest.raises(ValueError, match="finite"):
        FigureOfMerit(a=math.inf)
    background = np.array([0.0, 1.0, 1e3])
    difference = improved.sigma_min(0.5, background, 2.0) - plain.sigma_min(0.5, background, 2.0)
    expected = 9 / 8 + 9 * 1.28155**2 / 13 - 1.28155**2 / 2
    np.testing.assert_allclose(difference, expected, rtol=1e-11)


@pytest.mark.parametrize("figure", FORMS)
@given(efficiency=EFFICIENCY, background=BACKGROUND)
def test_numpy_torch_and_numba_agree(figure, efficiency, background):
    expected = float(figure.sigma_min(efficiency, background, 50.0))
    tensors = (torch.tensor([x], dtype=torch.float64) for x in (efficiency, background))
    assert figure.sigma_min(*tensors, 50.0).item() == pytest.approx(expected, rel=1e-14)
    compiled = COMPILED(math.sqrt(background), figure.constant, figure.a, figure.b)
    assert compiled / (efficiency * 50.0) == pytest.approx(expected, rel=1e-14)
    assert np.isinf(figure.sigma_min(np.zeros(2), np.array([0.0, 3.0]), 50.0)).all()
    assert torch.isinf(figure.sigma_min(torch.zeros(2), torch.tensor([0.0, 3.0]), 50.0)).all()


@pytest.mark.parametrize("figure", FORMS)
def test_gradients_are_right_and_finite_without_background(figure):
    efficiency = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64, requires_grad=True)
    background = torch.tensor([0.5, 30.0, 8e3], dtype=torch.float64, requires_grad=True)
    sums = efficiency, background
    assert torch.autograd.gradcheck(lambda *s: figure.sigma_min(*s, 50.0), sums, rtol=1e-6)
    empty = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    figure.sigma_min(efficiency, empty, 50.0).sum().backward()
    assert empty.grad is not None
    assert (empty.grad == 0).all()
    assert torch.isfinite(efficiency.grad).all()


def test_a_background_that_is_no_number_is_not_taken_for_none():
    background = torch.tensor([math.nan, 3.0], dtype=torch.float64)
    found = FigureOfMerit().sigma_min(torch.full_like(background, 0.5), background, 50.0)
    assert found.isnan().tolist() == [True, False]


MEASURED = {"scale": {"tautau": {1.0: 0.1, 2.0: 0.2}, "eemumu": {1.0: -0.05, 2.0: 0.1}},
            "rate": {"tautau": {1.0: 0.0, 2.0: 0.3}}}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "added"),
    [
        (0.0, (0.0, 0.0)),
        ({"tautau": 0.0}, (0.0, 0.0)),
        (0.1, (300**2, 300**2)),
        ({"tautau": 0.1, "eemumu": 0.2}, (100**2 + 400**2, 100**2 + 400**2)),
        ("measured", (0.0, 400**2 + 300**2)),  # a parameter may cancel between processes
    ],
)
def test_uncertainties_of_one_parameter_add_up_and_those_of_several_in_quadrature(given, added):
    figure = FigureOfMerit(background_uncertainty=given, shifts=MEASURED)
    events = np.array([[1e3, 1e3], [2e3, 2e3]])
    about = events.sum(axis=0), events, *figure.uncertainty_of(("tautau", "eemumu"), 2)
    assert background_variance(*about) == pytest.approx(3e3 + np.array(added))
    for process, step in enumerate(np.eye(2)[:, :, None] * 1e-2):
        moved = (background_variance((events + s).sum(axis=0), events + s, *about[2:])
                 for s in (step, -step))  # fmt: skip
        difference = np.subtract(*moved) / 2e-2
        assert variance_slope(*about, process) == pytest.approx(difference, rel=1e-6)


def test_what_was_measured_holds_for_its_masses_only():
    figure = FigureOfMerit(background_uncertainty="measured", shifts=MEASURED)
    _, shifts = figure.at(np.array([2.0])).uncertainty_of(("eemumu", "tautau"), 1)
    np.testing.assert_array_equal(shifts[:, :, 0], [[0.1, 0.2], [0.0, 0.3]])
    for other in (figure, FigureOfMerit(background_uncertainty="measured")):
        with pytest.raises(ValueError, match="not measured in these windows"):
            other.uncertainty_of(("tautau",), 1)
