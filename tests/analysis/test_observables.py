"""Candidate observables: definitions by other means, symmetries, and their place among features."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from small_data import random_muons

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.features import MuonPairs, dimuon_kinematics
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.observables import CANDIDATES, FEATURES, OBSERVABLES

AT_REST = np.array([10.58, 0.0, 0.0, 0.0])
Z = np.array([0.0, 0.0, 1.0])
BEAMS = Beams()


def observe(p1, p2, beam=AT_REST, z=Z):
    pairs = MuonPairs(p1, p2, beam, z)
    found = {name: observable.compute(pairs) for name, observable in OBSERVABLES.items()}
    assert {values.shape for values in found.values()} == {(p1.shape[1],)}
    return found


def test_the_features_are_among_them_for_beams_of_every_event():
    p1, p2 = random_muons(300)
    found = observe(p1, p2, BEAMS.total, BEAMS.electron_direction)
    kinematics = dimuon_kinematics(p1, p2, BEAMS.total, BEAMS.electron_direction)
    assert len(CANDIDATES) == 20
    for name, column in zip(FEATURES, kinematics.features.T, strict=True):
        np.testing.assert_array_equal(found[name], column)
    np.testing.assert_array_equal(found["m2_recoil"], kinematics.m2_recoil)
    each = observe(p1, p2, np.tile(BEAMS.total, (300, 1)), BEAMS.electron_direction)
    for name, values in found.items():
        np.testing.assert_allclose(each[name], values, rtol=1e-9, atol=1e-12)


def test_definitions_in_the_centre_of_mass_system():
    p1, p2 = random_muons(500, seed=2)
    found = observe(p1, p2)
    size = np.linalg.norm([p1, p2], axis=1)
    order = size[0] >= size[1]
    largest, smallest = np.where(order, p1, p2), np.where(order, p2, p1)
    energy = np.sqrt(size**2 + MUON_MASS**2)
    total = p1 + p2
    phi = np.arctan2([p1[1], p2[1]], [p1[0], p2[0]])
    apart = np.abs(np.angle(np.exp(1j * (phi[0] - phi[1]))))
    expected = {
        "p_mumax": size.max(axis=0),
        "p_mumin": size.min(axis=0),
        "pt_mumax": np.hypot(largest[0], largest[1]),
        "pt_mumin": np.hypot(smallest[0], smallest[1]),
        "cos_mumax": np.abs(largest[2]) / size.max(axis=0),
        "cos_mumin": np.abs(smallest[2]) / size.min(axis=0),
        "cos_opening": (p1 * p2).sum(axis=0) / size.prod(axis=0),
        "acoplanarity": np.pi - apart,
        "p_mumu": np.linalg.norm(total, axis=0),
        "cos_mumu": np.abs(total[2]) / np.linalg.norm(total, axis=0),
        "m_mumu": np.sqrt(energy.sum(axis=0) ** 2 - (total**2).sum(axis=0)),
        "energy_asymmetry": np.abs(energy[0] - energy[1]) / energy.sum(axis=0),
    }
    # Energies and momenta along the flight of the pair, boosted to its rest frame by hand.
    flight = total / np.linalg.norm(total, axis=0)
    beta = expected["p_mumu"] / energy.sum(axis=0)
    along = (p1 * flight).sum(axis=0)
    at_rest = (along - beta * energy[0]) / np.sqrt(1 - beta**2)
    across = np.sqrt(size[0] ** 2 - along**2)
    expected["cos_helicity"] = np.abs(at_rest) / np.hypot(at_rest, across)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-7, err_msg=name)
    longitudinal = np.hypot(found["pl_mumax_mumin"], found["pt_mumax_mumin"])
    np.testing.assert_allclose(longitudinal, found["p_mumin"], rtol=5e-10)
    # Half of the two-muon momentum at least is along its thrust axis.
    assert ((found["thrust"] >= np.sqrt(0.5) - 1e-12) & (found["thrust"] <= 1 + 1e-12)).all()
    assert (2 * found["pt_thrust"] <= size.sum(axis=0) * (1 + 1e-12)).all()


def test_charges_and_turns_about_the_beams_change_nothing():
    p1, p2 = random_muons(200, seed=3)
    found = observe(p1, p2)
    turn = Rotation.from_rotvec([0, 0, 1.234]).as_matrix()
    turned, swapped = observe(turn @ p1, turn @ p2), observe(p2, p1)
    for name, values in found.items():
        for other in (turned, swapped):
            np.testing.assert_allclose(other[name], values, rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("p2", [[0.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
def test_what_has_no_direction_is_a_number_all_the_same(p2):
    one, two = np.array([[1.0], [0.0], [0.0]]), np.array(p2)[:, np.newaxis]
    assert np.isfinite(list(observe(one, two).values())).all()
