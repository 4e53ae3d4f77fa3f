from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uproot
import yaml
from scipy.special import expit
from typer.testing import CliRunner

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.manifest.datasets import CMS_BRANCHES
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.network import PunziNet, SavedNetwork
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.windows import Windows
from punzinet.cli import app
from punzinet.processors.datasets import BEAM, describe_datasets
from punzinet.processors.ntuples.preflight import inspect_file
from punzinet.processors.prediction import TREE, Prediction, predict_file

ENTRIES, BROKEN = 5000, (0, 1700, 4999)
CUT = -0.2
LIKE = {"tree": "mine", "branches": {"px1": "mu_px"}}


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
    return write_ntuple(tmp_path_factory.mktemp("predict") / "mine.root", events, *LIKE.values())


@pytest.fixture(scope="module")
def predict(make_manifest: Callable) -> Callable:
    """Function that writes the friend of an ntuple, which is read like the dataset `mine`."""

    def run(
        ntuple: Path,
        target: Path,
        chunk_size: int = 1300,
        cut: float | None = CUT,
        beams: Beams | None = None,
        **settings: object,
    ) -> tuple[Prediction, list[int]]:
        mine = {"process": "tautau", "files": [str(ntuple)], **LIKE, **settings}
        manifest = make_manifest({"mine": mine, "signal": "s.root"}, beams=beams or Beams())
        alone = manifest.model_copy(update={"datasets": {"mine": manifest.datasets["mine"]}})
        file = inspect_file(manifest.datasets["mine"], str(ntuple), "mine")
        steps: list[int] = []
        done = predict_file(
            file,
            saved_network(cut),
            describe_datasets(alone, [file])["mine"],
            target,
            chunk_size=chunk_size,
            advance=steps.append,
        )
        return done, steps

    return run


def test_friend_has_the_same_entries_in_the_same_order(
    predict: Callable, ntuple: Path, events: dict, tmp_path: Path
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


def test_what_is_no_number_has_no_output_and_is_counted(
    predict: Callable, ntuple: Path, tmp_path: Path
) -> None:
    done, _ = predict(ntuple, tmp_path / "friend.root")
    assert done.undefined == len(BROKEN)
    with uproot.open(tmp_path / "friend.root") as file:
        friend = file[TREE].arrays(library="np")
    for name in ("punzinet_output", "m2_recoil", *FEATURES):
        assert np.flatnonzero(np.isnan(friend[name])).tolist() == list(BROKEN)
    assert not friend["punzinet_selected"][list(BROKEN)].any()


def test_chunks_change_nothing_but_baskets(predict: Callable, ntuple: Path, tmp_path: Path) -> None:
    small, large = tmp_path / "small.root", tmp_path / "large.root"
    assert predict(ntuple, small, 700)[0] == predict(ntuple, large, 10_000)[0]
    with uproot.open(small) as one, uproot.open(large) as other:
        first, second = (file[TREE].arrays(library="np") for file in (one, other))
    for name, values in first.items():
        assert np.array_equal(values, second[name], equal_nan=values.dtype.kind == "f")


def test_a_network_without_cut_is_refused_and_nothing_is_left(
    predict: Callable, ntuple: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no cut"):
        predict(ntuple, tmp_path / "friend.root", cut=None)
    assert not list(tmp_path.iterdir())


def in_cms(events: dict) -> dict:
    """The same events in the CMS, z along the electron, for beams that collide head-on."""
    beams = Beams(crossing_angle=0.0).total
    mass, beta = np.sqrt(beams[0] ** 2 - beams[3] ** 2), beams[3] / beams[0]
    found = dict(events)
    for i in "12":
        p = [events[f"p{axis}{i}"] for axis in "xyz"]
        energy = np.sqrt(MUON_MASS**2 + p[0] ** 2 + p[1] ** 2 + p[2] ** 2)
        found[f"pz{i}"] = beams[0] / mass * (p[2] - beta * energy)
    return found


def test_a_file_is_read_as_a_dataset_of_the_manifest(
    predict: Callable, ntuple: Path, events: dict, write_ntuple: Callable, tmp_path: Path
) -> None:
    """Frame, missing values and beams of each event give what the laboratory gives."""
    head_on = Beams(crossing_angle=0.0)
    moved = in_cms(events)
    moved |= {
        name: np.full(ENTRIES, value) for name, value in zip(BEAM, head_on.total, strict=True)
    }
    moved["px1"] = np.nan_to_num(moved["px1"], nan=-999.0)
    moved["beam_E"][2] = -999.0
    other = write_ntuple(tmp_path / "other.root", moved, "variables", CMS_BRANCHES)
    assert predict(ntuple, tmp_path / "laboratory.friend", beams=head_on)[0].undefined == 3
    like = {"frame": "cms", "missing": [-999], "tree": "variables", "branches": {}}
    # The beams of the manifest are others: those of each event win.
    assert predict(other, tmp_path / "cms.friend", **like)[0].undefined == 4
    friends = []
    for name in ("laboratory", "cms"):
        with uproot.open(tmp_path / f"{name}.friend") as file:
            friends.append(file[TREE].arrays(library="np"))
    good = np.ones(ENTRIES, dtype=bool)
    good[[*BROKEN, 2]] = False
    for name, values in friends[0].items():
        np.testing.assert_allclose(values[good], friends[1][name][good], atol=1e-5)
        assert not good[np.isnan(friends[1][name])].any()


def test_where_datasets_are_read_differently_one_has_to_be_named(
    make_manifest: Callable, tmp_path: Path
) -> None:
    manifest = make_manifest({"signal": "s.root", "tautau": {"files": ["t.root"], "frame": "cms"}})
    content = manifest.model_dump(mode="json", exclude_unset=True)
    for dataset in content["datasets"].values():
        del dataset["name"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    command = ["predict", "x.root", "-m", str(tmp_path / "mine.yaml"), "-o", str(tmp_path)]
    for further, sentence in (
        ([], "Datasets signal and tautau differ in `frame`: say with --dataset which"),
        (["--dataset", "mumu"], "--dataset mumu: the manifest only has signal, tautau"),
        (["--dataset", "tautau"], "punzi-00"),  # the next thing that is missing
    ):
        result = CliRunner().invoke(app, [*command, *further])
        assert isinstance(result.exception, InputError)
        assert sentence in str(result.exception)
