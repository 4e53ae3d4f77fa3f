import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.simulation import lorentz

component = st.floats(-20, 20)
vectors = st.tuples(component, component, component).map(np.array)
masses = st.floats(0.05, 10)


@given(vectors, masses, vectors, masses)
def test_rest_frame_and_back_changes_nothing(p, m, q, big) -> None:
    one = lorentz.on_shell(p, m)
    frame = lorentz.on_shell(q, big)
    inside = lorentz.to_rest_frame(one, frame)
    scale = one[0] * frame[0] ** 2 / big**2
    assert lorentz.from_rest_frame(inside, frame) == pytest.approx(one, abs=1e-12 * scale)
    assert inside[0] == pytest.approx(lorentz.dot(one, frame) / big, rel=1e-9)


@given(vectors, masses)
def test_the_frame_itself_comes_to_rest(q, m) -> None:
    frame = lorentz.on_shell(q, m)
    tolerance = 1e-12 * frame[0] ** 2 / m
    np.testing.assert_allclose(
        lorentz.to_rest_frame(frame, frame), [m, 0, 0, 0], rtol=0, atol=tolerance
    )


@given(vectors, masses, vectors)
def test_boost_keeps_products_and_moves_a_particle_at_rest(p, m, q) -> None:
    beta = q / 40
    one = lorentz.on_shell(p, m)
    moved = lorentz.boost(one, beta)
    assert lorentz.mass2(moved) == pytest.approx(m**2, abs=1e-11 * one[0] ** 2 * 16)
    at_rest = lorentz.boost(np.array([m, 0, 0, 0]), beta)
    np.testing.assert_allclose(at_rest[1:] / at_rest[0], beta, atol=1e-14)
    np.testing.assert_allclose(lorentz.boost(moved, -beta), one, atol=1e-11 * one[0])


def test_boost_agrees_with_rest_frame() -> None:
    rng = np.random.default_rng(1)
    frame = lorentz.on_shell(rng.normal(size=(50, 3)), rng.uniform(0.5, 2, 50))
    p = lorentz.on_shell(rng.normal(size=(50, 3)), 0.1)
    beta = frame[:, 1:] / frame[:, :1]
    np.testing.assert_allclose(
        lorentz.to_rest_frame(p, frame), lorentz.boost(p, -beta), rtol=0, atol=1e-12
    )


@given(vectors.filter(lambda v: np.linalg.norm(v) > 1e-3), vectors)
def test_rotation_brings_z_onto_the_axis_and_keeps_lengths(axis, vector) -> None:
    unit = axis / np.linalg.norm(axis)
    z = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(lorentz.rotate_to(axis, z), unit, atol=1e-14)
    turned = lorentz.rotate_to(axis, vector)
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(vector), abs=1e-12)
    assert turned @ unit == pytest.approx(vector[2], abs=1e-12)


def test_rotation_is_proper_and_leaves_the_energy_alone() -> None:
    axis = np.array([0.3, -0.4, -0.8])
    turned = lorentz.rotate_to(axis, np.eye(3))
    assert np.linalg.det(turned) == pytest.approx(1)
    assert turned[1] @ axis == pytest.approx(0)
    assert turned[1, 2] == 0  # the turned y axis stays across the z axis
    p = np.array([[3.0, 0.1, 0.2, 0.3]])
    np.testing.assert_allclose(lorentz.rotate_to(axis[np.newaxis], p)[:, 0], 3.0)
    np.testing.assert_array_equal(lorentz.rotate_to(np.array([0.0, 0.0, 2.0]), p), p)
    np.testing.assert_allclose(lorentz.rotate_to(np.array([0.0, 0.0, -2.0]), p), p * [1, -1, 1, -1])


def test_two_body_momentum_conserves_energy_and_stops_at_threshold() -> None:
    k = lorentz.two_body_momentum(10.58, 2.0, 0.5)
    assert np.hypot(k, 2.0) + np.hypot(k, 0.5) == pytest.approx(10.58)
    assert lorentz.two_body_momentum(2.0, 1.5, 1.0) == 0


def test_isotropic_directions() -> None:
    n = 200_000
    unit = lorentz.isotropic(np.random.default_rng(7), n)
    np.testing.assert_allclose((unit**2).sum(axis=1), 1)
    second = unit.T @ unit / n
    np.testing.assert_allclose(unit.mean(axis=0), 0, atol=5 / np.sqrt(3 * n))
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=5 * 0.3 / np.sqrt(n))
