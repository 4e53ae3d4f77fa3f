"""A sphere found on a grid."""

import numpy as np
import pytest

from punzinet.plots.paper.network import isosurface


def test_a_sphere_has_its_radius_and_its_area():
    grid = np.linspace(0, 1, 31)
    x, y, z = np.meshgrid(grid, grid, grid, indexing="ij")
    triangles = isosurface(np.sqrt((x - 0.5) ** 2 + (y - 0.5) ** 2 + (z - 0.5) ** 2), 0.4)
    radius = np.linalg.norm(triangles - 0.5, axis=-1)
    np.testing.assert_allclose(radius, 0.4, atol=2e-3)
    a, b, c = np.moveaxis(triangles, 1, 0)
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum()
    assert area == pytest.approx(4 * np.pi * 0.4**2, rel=0.01)


def test_a_level_that_is_not_crossed_has_no_surface():
    assert isosurface(np.zeros((3, 4, 5)), 1.0).shape == (0, 3, 3)
