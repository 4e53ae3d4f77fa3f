from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uproot
from scipy.special import expit

from analysis.beams import Beams
from analysis.datasets import Dataset
from analysis.errors import InputError
from analysis.kinematics import FEATURES, dimuon_kinematics
from analysis.network import PunziNet, SavedNetwork
from analysis.windows import Windows
from processors.prediction import TREE, Prediction, predict_file
from processors.preflight import inspect_file

ENTRIES, BROKEN = 5000, (0, 1700, 4999)
CUT = -0.2


def saved_network(cut: float | None = CUT) -> SavedNetwork:
    """A network that takes the features in another order."""
    network = PunziNet(
        FEATURES[::-1], [0.0, -5.0, 0.0, 0.0], [5.0] * 4, rng=np.random.default_rng(3)
    )
    # Half of all features uniform in the range of the training are on either side of `CUT`.
    uniform = np.random.default_rng(1).uniform([0.0, -5.0, 0.0, 0.0], 5.0, (1000, 4))
    shift = CUT - float(np.median(network.logit_numpy(uniform)))
    network.linear_layers[-1].bias.data += shift
    windows = Windows(np.array([1.0]), np.array([0.3]), np.array([True]), np.array([True]), (None,))
    return SavedNetwork(network, windows, cut, {}, {})


@pytest.fixture(scope="module")
def events(make_events: Callable) -> dict[str, np.ndarray]:
    columns = make_events(9, ENTRIES)
    columns["px1"][list(BROKEN)] = np.nan
    return columns


@pytest.fixture(scope="module")
def ntuple(tmp_path_factory, events: dict, write_ntuple: Callable) -> Path:
    return write_ntuple(
        tmp_path_factory.mktemp("predict") / "mine.root", events, "mine", {"px1": "mu_px"}
    )


def predict(
    ntuple: Path, target: Path, chunk_size: int = 1300, cut: float | None = CUT
) -> tuple[Prediction, list[int]]:
    dataset = Dataset(
        name="mine",
        process="tautau",
        files=(str(ntuple),),
        luminosity=1.0,
        tree="mine",
        branches={"px1": "mu_px"},
    )
    steps: list[int] = []
    done = predict_file(
        inspect_file(dataset, str(ntuple), "mine"),
        saved_network(cut),
        Beams(),
        target,
        chunk_size=chunk_size,
        advance=steps.append,
    )
    return done, steps


def test_friend_has_the_same_entries_in_the_same_order(
    ntuple: Path, events: dict, tmp_path: Path
) -> None:
    done, steps = predict(ntuple, tmp_path / "friend.root")
    assert sum(steps) == ENTRIES
    assert max(steps) <= 1300
    beams = Beams()
    muons = [tuple(events[f"p{axis}{i}"] for axis in "xyz") for i in (1, 2)]
    expected = dimuon_kinematics(*muons, beams.total, beams.electron_direction)
    good = np.ones(ENTRIES, dtype=bool)
    good[list(BROKEN)] = False
    with uproot.open(tmp_path / "friend.root") as file:
        assert file[TREE].classname == "TTree"
        friend = file[TREE].arrays(library="np")
    logit = saved_network().network.logit_numpy(expected.features[:, ::-1][good])
    assert friend["punzinet_output"][good] == pytest.approx(expit(logit), abs=1e-6)
    assert friend["m2_recoil"][good] == pytest.approx(expected.m2_recoil[good], rel=1e-12)
    for i, name in enumerate(FEATURES):
        assert friend[name][good] == pytest.approx(expected.features[good, i], rel=1e-6)
    assert np.array_equal(friend["punzinet_selected"][good], logit >= CUT)
    assert done.entries == ENTRIES
    assert done.selected == friend["punzinet_selected"].sum()
    assert 0 < done.selected < ENTRIES - len(BROKEN)


def test_what_is_no_number_has_no_output_and_is_counted(ntuple: Path, tmp_path: Path) -> None:
    done, _ = predict(ntuple, tmp_path / "friend.root")
    assert done.undefined == len(BROKEN)
    with uproot.open(tmp_path / "friend.root") as file:
        friend = file[TREE].arrays(library="np")
    for name in ("punzinet_output", "m2_recoil", *FEATURES):
        assert np.flatnonzero(np.isnan(friend[name])).tolist() == list(BROKEN)
    assert not friend["punzinet_selected"][list(BROKEN)].any()


def test_chunks_change_nothing_but_baskets(ntuple: Path, tmp_path: Path) -> None:
    small, large = tmp_path / "small.root", tmp_path / "large.root"
    assert predict(ntuple, small, 700)[0] == predict(ntuple, large, 10_000)[0]
    with uproot.open(small) as one, uproot.open(large) as other:
        first, second = (file[TREE].arrays(library="np") for file in (one, other))
    for name, values in first.items():
        assert np.array_equal(values, second[name], equal_nan=values.dtype.kind == "f")


def test_a_network_without_cut_is_refused_and_nothing_is_left(ntuple: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cut"):
        predict(ntuple, tmp_path / "friend.root", cut=None)
    assert not list(tmp_path.iterdir())
