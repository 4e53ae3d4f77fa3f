"""The compiled arithmetic agrees with the one on arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.simulation import compiled_lorentz as compiled
from punzinet.analysis.simulation import lorentz

COMPONENT = st.floats(-5, 5).filter(lambda x: x == 0 or abs(x) > 1e-6)
VECTOR = st.tuples(COMPONENT, COMPONENT, COMPONENT)


def momentum(vector: tuple[float, float, float], mass: float) -> tuple[float, ...]:
    return tuple(lorentz.on_shell(np.array(vector), mass).tolist())


@given(VECTOR, VECTOR)
def test_boosts_agree_with_those_on_arrays(
    p: tuple[float, float, float], frame: tuple[float, float, float]
) -> None:
    a, b = momentum(p, 0.1), momentum(frame, 3.0)
    for one, many in (
        (compiled.to_rest_frame, lorentz.to_rest_frame),
        (compiled.from_rest_frame, lorentz.from_rest_frame),
    ):
        np.testing.assert_allclose(one(a, b), many(np.array(a), np.array(b)), atol=1e-12)


@given(VECTOR.filter(any), VECTOR)
def test_rotations_agree_with_those_on_arrays(
    axis: tuple[float, float, float], p: tuple[float, float, float]
) -> None:
    unit = np.array(axis) / np.linalg.norm(axis)
    a = momentum(p, 1.0)
    turned = compiled.rotate_to(tuple(unit.tolist()), a)
    np.testing.assert_allclose(turned, lorentz.rotate_to(unit, np.array(a)), atol=1e-12)
    np.testing.assert_allclose(compiled.rotate_from(tuple(unit.tolist()), turned), a, atol=1e-12)


def test_products_and_differences() -> None:
    a, b = (5.0, 1.0, 2.0, 3.0), (4.0, 0.5, -1.0, 2.0)
    assert compiled.dot(a, b) == pytest.approx(float(lorentz.dot(np.array(a), np.array(b))))
    assert compiled.minus(a, b) == (1.0, 0.5, 3.0, 1.0)


@given(st.floats(0, 2), st.floats(0, 2 * np.pi))
def test_momenta_about_the_axis_have_their_length_and_angle(opening: float, azimuth: float) -> None:
    p = compiled.about_z(5.0, 4.0, opening, azimuth)
    assert np.linalg.norm(p[1:]) == pytest.approx(4)
    assert p[3] == pytest.approx(4 * (1 - opening))
