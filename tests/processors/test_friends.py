"""Friends of ntuples: every entry is there, in its place."""

import numpy as np
import pytest
import uproot
from scipy.special import expit
from small_data import kinematics_of, make_events, write_ntuple
from small_runs import ONE_WINDOW, range_of, untrained
from small_runs import predict as write_friend

from punzinet.analysis.io.files import InputError
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.saved_network import SavedNetwork
from punzinet.processors.friends import TREE

ENTRIES, BROKEN = 5000, (0, 1700, 4999)
GOOD = np.isin(np.arange(ENTRIES), BROKEN, invert=True)
CUT = -0.2
LIKE = {"tree": "mine", "branches": {"px1": "mu*[0]_px"}}


def saved_network(cut):
    """A network that takes the features in another order."""
    network = untrained(FEATURES[::-1])
    # Half of all features uniform in the range of the training are on either side of `CUT`.
    uniform = np.random.default_rng(1).uniform(*range_of(network.features), (1000, 4))
    network.linear_layers[-1].bias.data += CUT - float(np.median(network.perceptron.logit(uniform)))
    return SavedNetwork(network.perceptron, ONE_WINDOW, cut, {}, {})


@pytest.fixture(scope="module")
def events():
    columns = make_events(9, ENTRIES)
    columns["px1"][~GOOD] = np.nan
    return columns


@pytest.fixture(scope="module")
def ntuple(tmp_path_factory, events):
    return write_ntuple(tmp_path_factory.mktemp("predict") / "mine.root", events, *LIKE.values())


def predict(ntuple, target, chunk_size=1300, cut=CUT, **how):
    """Write the friend of an ntuple, and read it."""
    done = write_friend(saved_network(cut), ntuple, target, chunk_size, **LIKE | how)
    with uproot.open(target) as friend:
        assert friend[TREE].classname == "TTree"
        return done, friend[TREE].arrays(library="np")


def test_friend_has_the_same_entries_in_the_same_order(ntuple, events, tmp_path):
    done, friend = predict(ntuple, tmp_path / "friend.root")
    expected = kinematics_of(events)
    logit = saved_network(CUT).network.logit(expected.features[:, ::-1][GOOD])
    assert friend["punzinet_output"][GOOD] == pytest.approx(expit(logit), abs=1e-6)
    assert friend["m2_recoil"][GOOD] == pytest.approx(expected.m2_recoil[GOOD], rel=1e-12)
    for i, name in enumerate(FEATURES):
        assert friend[name][GOOD] == pytest.approx(expected.features[GOOD, i], rel=1e-6)
    assert np.array_equal(friend["punzinet_selected"][GOOD], logit >= CUT)
    assert 0 < done.selected < ENTRIES - len(BROKEN)
    assert done == (ENTRIES, friend["punzinet_selected"].sum(), len(BROKEN))
    # What is no number has no output.
    for name in ("punzinet_output", "m2_recoil", *FEATURES):
        assert np.flatnonzero(np.isnan(friend[name])).tolist() == list(BROKEN)
    assert not friend["punzinet_selected"][~GOOD].any()


def test_chunks_change_nothing_but_baskets(ntuple, tmp_path):
    both = (predict(ntuple, tmp_path / f"{size}.root", size) for size in (700, 10_000))
    (small, first), (large, second) = both
    assert small == large
    for name, values in first.items():
        assert np.array_equal(values, second[name], equal_nan=values.dtype.kind == "f")


def test_a_network_without_cut_is_refused_and_nothing_is_left(ntuple, tmp_path):
    with pytest.raises(InputError, match="no cut"):
        predict(ntuple, tmp_path / "friend.root", cut=None)
    assert not list(tmp_path.iterdir())
