"""The common scale of the published points."""

import numpy as np
import pytest

from punzinet.analysis.paper.published import PUBLISHED, common_scale


def test_scaled_points_have_their_scale() -> None:
    mass, bce, punzi = np.array(PUBLISHED).T
    assert common_scale(mass, 2.5 * bce, 2.5 * punzi) == pytest.approx(2.5)


def test_no_published_mass_no_scale() -> None:
    mass = np.array([0.1, 0.2])
    assert np.isnan(common_scale(mass, mass, mass))
