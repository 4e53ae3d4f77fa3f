import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from small_data import random_muons

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.features import DimuonKinematics, dimuon_kinematics
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.observables import FEATURES

BEAMS = Beams()
#: Beams that collide at rest along z: the laboratory is the centre-of-mass system.
AT_REST = np.array([10.0, 0.0, 0.0, 0.0])
Z = np.array([0.0, 0.0, 1.0])


def lab(p1: np.ndarray, p2: np.ndarray) -> DimuonKinematics:
    return dimuon_kinematics(p1, p2, BEAMS.total, BEAMS.electron_direction)


def at_rest(p1: np.ndarray, p2: np.ndarray, z: np.ndarray = Z) -> dict[str, np.ndarray]:
    features = dimuon_kinematics(p1, p2, AT_REST, z).features
    return dict(zip(FEATURES, features.T, strict=True))


def boost_matrix(total: np.ndarray) -> np.ndarray:
    """Textbook boost (4, 4) into the rest frame of `total`, no rotation."""
    beta = total[1:] / total[0]
    b2 = beta @ beta
    gamma = 1 / np.sqrt(1 - b2)
    matrix = np.eye(4)
    matrix[0] = gamma * np.concatenate([[1], -beta])
    matrix[1:, 0] = -gamma * beta
    matrix[1:, 1:] += (gamma - 1) * np.outer(beta, beta) / b2
    return matrix


def test_thrust_axis_is_the_one_that_maximises_the_thrust():
    p1, p2 = random_muons(20)
    pt = at_rest(p1, p2)["pt_thrust"]
    thrust = sum(np.sqrt((p**2).sum(axis=0) - pt**2) for p in (p1, p2))
    axes = np.random.default_rng(5).standard_normal((20_000, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    assert np.all(np.abs(axes @ p1) + np.abs(axes @ p2) <= thrust + 1e-12)
    for i in range(20):  # in the plane of the two momenta, scanned finely
        u = p1[:, i] / np.linalg.norm(p1[:, i])
        w = p2[:, i] - (p2[:, i] @ u) * u
        angle = np.linspace(0, np.pi, 20_001)[:, None]
        axis = np.cos(angle) * u + np.sin(angle) * w / np.linalg.norm(w)
        best = (np.abs(axis @ p1[:, i]) + np.abs(axis @ p2[:, i])).max()
        assert best == pytest.approx(thrust[i], rel=1e-7)


def test_components_with_respect_to_the_softer_muon():
    p1, p2 = random_muons(500)
    result = at_rest(p1, p2)
    first_harder = (p1**2).sum(axis=0) > (p2**2).sum(axis=0)
    hard, soft = np.where(first_harder, (p1, p2), (p2, p1))
    axis = soft / np.linalg.norm(soft, axis=0)
    along = (hard * axis).sum(axis=0)
    np.testing.assert_allclose(result["pl_mumin_mumax"], along, rtol=1e-12, atol=1e-12)
    across = np.linalg.norm(hard - along * axis, axis=0)
    np.testing.assert_allclose(result["pt_mumin_mumax"], across, rtol=1e-10, atol=1e-12)
    assert (result["pl_mumin_mumax"] < 0).any()


@pytest.mark.parametrize(
    ("p1", "p2", "expected"),
    [
        ([0, 0, 3], [0, 0, -3], [0, 0, -3, 0]),
        ([0, 0, 3], [0, 0, 1], [0, 0, 3, 0]),
        ([3, 0, 0], [0, 2, 0], [6 / np.sqrt(13), 3, 0, np.sqrt(13)]),
        ([3, 0, 4], [-3, 0, 4], [3, 4.8, 1.4, 0]),
        ([4, 3, 0], [4, -3, 0], [3, 4.8, 1.4, 8]),
        ([1, 0, 1], [0, 0, -2], [2 / np.sqrt(10), np.sqrt(2), -np.sqrt(2), 1]),
    ],
)
def test_events_made_by_hand(p1, p2, expected):
    columns = (np.array(p, float)[:, None] for p in (p1, p2))
    result = dimuon_kinematics(*columns, AT_REST, Z)
    np.testing.assert_allclose(result.features[0], expected, atol=1e-14)
    energy = sum(np.sqrt(MUON_MASS**2 + np.dot(p, p)) for p in (p1, p2))
    recoil = (10 - energy) ** 2 - np.sum((np.array(p1) + p2) ** 2)
    assert result.m2_recoil[0] == pytest.approx(recoil, rel=1e-12)


def test_everything_is_symmetric_in_the_two_muons():
    p1, p2 = random_muons(300)
    one, other = lab(p1, p2), lab(p2, p1)
    np.testing.assert_allclose(one.features, other.features, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(one.m2_recoil, other.m2_recoil, rtol=1e-11, atol=1e-12)


@given(st.integers(0, 1000))
def test_only_the_dimuon_transverse_momentum_knows_the_beam(seed):
    p1, p2 = random_muons(20, seed)
    rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    before, after = at_rest(p1, p2), at_rest(rotation @ p1, rotation @ p2)
    with_beam = at_rest(rotation @ p1, rotation @ p2, rotation @ Z)
    for name in FEATURES[:3]:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(before["pt_mumu"], np.hypot(*(p1 + p2)[:2]), rtol=1e-12)
    np.testing.assert_allclose(with_beam["pt_mumu"], before["pt_mumu"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("each", [False, True], ids=["the same beams", "beams of each event"])
def test_features_are_those_of_the_boosted_muons(each):
    p1, p2 = random_muons(300)
    beams = np.tile(BEAMS.total, (300, 1))
    if each:
        beams *= 1 + 1e-2 * np.random.default_rng(3).standard_normal(beams.shape)
    result = dimuon_kinematics(p1, p2, beams if each else BEAMS.total, BEAMS.electron_direction)
    for i, beam in enumerate(beams):
        boost = boost_matrix(beam)
        muons = [np.append(np.sqrt(MUON_MASS**2 + p[:, i] @ p[:, i]), p[:, i]) for p in (p1, p2)]
        cms = [(boost @ muon)[1:, None] for muon in muons]
        z, sqrt_s = (boost @ BEAMS.electron)[1:], boost @ beam
        expected = dimuon_kinematics(*cms, sqrt_s * np.eye(4)[0], z / np.linalg.norm(z))
        np.testing.assert_allclose(result.features[i], expected.features[0], rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(result.m2_recoil[i], expected.m2_recoil[0], rtol=1e-9, atol=1e-9)
        recoil = (beam - sum(muons)) ** 2 @ [1.0, -1.0, -1.0, -1.0]
        assert result.m2_recoil[i] == pytest.approx(recoil, rel=1e-11, abs=1e-11)
    assert (result.m2_recoil < 0).any()


def test_muons_at_rest_in_the_centre_of_mass_are_defined():
    rest, moving = np.zeros((3, 1)), np.array([[0.3], [0.4], [1.2]])
    np.testing.assert_allclose([*at_rest(moving, rest).values()], [[0], [0], [0], [0.5]])
    np.testing.assert_array_equal([*at_rest(rest, rest).values()], 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so_and_harms_no_neighbour(bad):
    p1, p2 = random_muons(5)
    clean = lab(p1, p2)
    p1[1, 2] = bad
    result = lab(p1, p2)
    assert not np.isfinite(result.m2_recoil[2])
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(result.features[others], clean.features[others])


@pytest.mark.parametrize("n", [0, 100])
def test_single_precision_input_is_computed_in_double(n):
    single = [p.astype(np.float32) for p in random_muons(n)]
    result, expected = lab(*single), lab(*(p.astype(np.float64) for p in single))
    assert result.features.dtype == np.float64
    assert result.features.shape == (n, 4)
    np.testing.assert_array_equal(result.features, expected.features)
