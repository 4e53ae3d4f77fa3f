"""The arithmetic of compiled loops agrees with `vector`."""

import numpy as np
import pytest
from four_vectors import at_rest, boosted, on_shell
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.simulation import events

COMPONENT = st.floats(-5, 5).filter(lambda x: x == 0 or abs(x) > 1e-6)
VECTOR = st.tuples(COMPONENT, COMPONENT, COMPONENT)


@given(VECTOR, VECTOR)
def test_boosts_agree_with_vector(p, frame):
    a, b = on_shell(np.array(p), 0.1), on_shell(np.array(frame), 3.0)
    one, system = tuple(a.tolist()), tuple(b.tolist())
    np.testing.assert_allclose(events.to_rest_frame(one, system), at_rest(a, b), atol=1e-12)
    np.testing.assert_allclose(events.from_rest_frame(one, system), boosted(a, b), atol=1e-12)
    np.testing.assert_allclose(events.to_rest_frame(system, system), [3, 0, 0, 0], atol=1e-12)


@given(VECTOR.filter(any), VECTOR)
def test_rotation_brings_z_onto_the_axis_and_can_be_undone(axis, p):
    unit = tuple((np.array(axis) / np.linalg.norm(axis)).tolist())
    x, y, z = (np.array(events.rotate_to(unit, (1.0, *row))) for row in np.eye(3).tolist())
    np.testing.assert_allclose(z, (1, *unit), atol=1e-14)
    assert y[3] == 0  # the turned y axis stays across the z axis
    np.testing.assert_allclose(np.cross(x[1:], y[1:]), unit, atol=1e-14)
    a = tuple(on_shell(np.array(p), 1.0).tolist())
    turned = events.rotate_to(unit, a)
    assert turned[0] == a[0]
    assert np.dot(turned[1:], unit) == pytest.approx(p[2], abs=1e-12)
    np.testing.assert_allclose(events.rotate_from(unit, turned), a, atol=1e-12)


@given(st.floats(0, 2), st.floats(0, 2 * np.pi))
def test_momenta_about_the_axis_have_their_length_and_angle(opening, azimuth):
    p = events.about_z(5.0, 4.0, opening, azimuth)
    assert np.linalg.norm(p[1:]) == pytest.approx(4)
    assert p[3] == pytest.approx(4 * (1 - opening))
