from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vector

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import Beams
from punzinet.processors.candidates import (
    KEPT,
    NO_HYPOTHESIS,
    NOT_FINITE,
    NOT_FINITE_COLUMN,
    READ,
    SAME_CHARGE,
    Candidates,
    merge_cutflows,
    read_candidates,
)
from punzinet.processors.datasets import BEAM, describe_datasets
from punzinet.processors.ntuples.preflight import InputFile

Columns = dict[str, np.ndarray]
Make = Callable[..., Manifest]
Events = Callable[..., Columns]


class ChunkOfEvents(dict[str, np.ndarray]):
    """Columns by name of the branch, with the length and the metadata of a chunk."""

    @property
    def metadata(self) -> dict[str, object]:
        return {"dataset": "any", "filename": "x.root", "entrystart": 0, "entrystop": len(self)}

    @property
    def fields(self) -> list[str]:
        return list(self)

    def __len__(self) -> int:
        return len(self["px1"])


@pytest.fixture
def read(make_manifest: Make) -> Callable[..., Candidates]:
    """Candidates of columns, read as from a file whose branches are named like the columns."""

    def run(
        columns: Columns,
        process: str = "tautau",
        search: dict[str, object] | None = None,
        **settings: object,
    ) -> Candidates:
        files = {
            "signal": {"files": ["s.root"], **(settings if process == "signal" else {})},
            "tautau": {"files": ["t.root"], **(settings if process != "signal" else {})},
        }
        if "mass" in settings:
            files["others"] = {"files": ["o.root"], "process": "signal", "generated": 1}
        found = [
            InputFile(name, "x", "t", 1, dict(zip(columns, columns, strict=True)), "x")
            for name in files
        ]
        described = describe_datasets(make_manifest(files, search=search or {}), found)
        return read_candidates(described[process], ChunkOfEvents(columns))

    return run


def lines_of(candidates: Candidates) -> dict[str, dict[str, float]]:
    return {line["step"]: line for line in candidates.cutflow}


@pytest.mark.parametrize("column", ["px1", "pz2", "weight", "beam_E", "beam_px"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_is_dropped_and_counted(
    column: str, value: float, make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 50)
    events["weight"] = np.full(50, 2.0)
    for name, component in zip(
        ("beam_E", "beam_px", "beam_py", "beam_pz"), Beams().total, strict=True
    ):
        events[name] = np.full(50, component)
    events[column][[7, 30]] = value
    found = read(events)
    assert np.flatnonzero(~found.alive).tolist() == [7, 30]
    lines = lines_of(found)
    assert lines[NOT_FINITE]["entries"] == 2
    scale = 2.0 * 0.9 * 50 / 100
    assert lines[KEPT]["weight"] == pytest.approx(48 * scale)
    assert lines[READ]["weight"] == pytest.approx((48 if column == "weight" else 50) * scale)


def test_muons_of_the_same_charge_are_dropped(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 6)
    events["charge1"] = np.array([1.0, 1, -1, -1, 0, np.nan])
    events["charge2"] = np.array([-1.0, 1, -1, 1, 1, 1])
    found = read(events)
    assert found.alive.tolist() == [True, False, False, True, False, False]
    assert lines_of(found)[SAME_CHARGE]["entries"] == 4


def test_background_is_scaled_to_the_target_luminosity(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 4) | {"weight": np.array([1.0, 2.0, 10.0, 0.5])}
    weight = read(events, luminosity=200.0).weight
    np.testing.assert_allclose(weight, events["weight"] * 0.9 * 50 / 200)
    del events["weight"]
    np.testing.assert_allclose(read(events, luminosity=200.0).weight, 0.9 * 50 / 200)


def test_signal_is_scaled_to_one_generated_event_of_its_mass(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 4, np.array([1.0, 2.0, 6.0, 1.5]))
    generated = {1.0: 100, 2.0: 200, 3.0: 10, 4.0: 10, 5.0: 10, 6.0: 600}
    candidates = read(events, "signal", generated=generated)
    np.testing.assert_allclose(candidates.weight, [0.009, 0.0045, 0.0015, 0.0])
    assert candidates.hypothesis.tolist() == [0, 1, 5, -1]
    assert lines_of(candidates)[NO_HYPOTHESIS]["entries"] == 1


def test_a_generated_mass_that_is_missing_is_no_hypothesis(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 3, np.array([1.0, 2.0, 3.0]))
    events["generated_mass"][1] = np.nan
    candidates = read(events, "signal")
    assert candidates.hypothesis.tolist() == [0, -1, 2]
    assert candidates.alive.tolist() == [True, False, True]


def test_a_dataset_can_be_of_one_mass(make_events: Events, read: Callable[..., Candidates]) -> None:
    candidates = read(make_events(1, 5), "signal", mass=3.0)
    assert candidates.hypothesis.tolist() == [2] * 5


def test_single_precision_masses_are_recognised(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 6, np.arange(1.0, 7.0))
    events["generated_mass"] = events["generated_mass"].astype(np.float32)
    assert read(events, "signal").hypothesis.tolist() == [0, 1, 2, 3, 4, 5]


def test_beams_of_the_event_win_over_those_of_the_manifest(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 20)
    momenta = [tuple(events[f"p{axis}{i}"] for axis in "xyz") for i in (1, 2)]
    beams = Beams().total * np.linspace(0.99, 1.01, 20)[:, None]
    nominal = read(events)
    for i, name in enumerate(("beam_E", "beam_px", "beam_py", "beam_pz")):
        events[name] = beams[:, i]
    direction = Beams().electron_direction
    for result, beam in ((nominal, Beams().total), (read(events), beams)):
        expected = dimuon_kinematics(momenta[0], momenta[1], beam, direction)
        np.testing.assert_array_equal(result.variable, expected.m2_recoil)
        np.testing.assert_array_equal(result.features, expected.features)


@pytest.mark.parametrize("where", ["everywhere", "but in the last event"])
def test_beams_that_are_always_the_same_give_the_same_bits(
    make_events: Events, read: Callable[..., Candidates], where: str
) -> None:
    events = make_events(1, 500)
    momenta = [tuple(events[f"p{axis}{i}"] for axis in "xyz") for i in (1, 2)]
    beams = 1.001 * Beams().total * np.ones((500, 1))
    if where != "everywhere":
        beams[-1] *= 0.999
    events |= dict(zip(BEAM, beams.T, strict=True))
    result = read(events)
    # Never one beam for all here: which events share a chunk must not change a single one.
    expected = dimuon_kinematics(*momenta, beams, Beams().electron_direction)
    np.testing.assert_array_equal(result.variable, expected.m2_recoil)
    np.testing.assert_array_equal(result.features, expected.features)


def to_cms(events: Columns, beams: np.ndarray) -> Columns:
    """The same events with momenta in the CMS, z along the electron."""
    n = len(events["px1"])
    total = vector.array(dict(zip(("E", "px", "py", "pz"), beams.T, strict=True)))
    axis = np.tile(Beams().electron_direction, (n, 1)).T
    electron = vector.array({**dict(zip(("px", "py", "pz"), axis, strict=True)),
                             "mass": np.zeros(n)}).boostCM_of_p4(total).to_Vector3D()  # fmt: skip
    found = dict(events)
    for i in (1, 2):
        momenta = {f"p{x}": events[f"p{x}{i}"] for x in "xyz"}
        muon = vector.array({**momenta, "mass": np.full(n, MUON_MASS)}).boostCM_of_p4(total)
        turned = muon.to_Vector3D().rotateZ(-electron.phi).rotateY(-electron.theta)
        found |= {f"p{x}{i}": np.asarray(getattr(turned, x)) for x in "xyz"}
    return found


@pytest.mark.parametrize("of_each_event", [False, True])
def test_momenta_in_the_cms_give_the_same_as_in_the_laboratory(
    make_events: Events, read: Callable[..., Candidates], of_each_event: bool
) -> None:
    events = make_events(1, 200)
    beams = Beams().total * np.ones((200, 1))
    if of_each_event:
        beams = beams * np.linspace(0.99, 1.01, 200)[:, None]
        for name, values in zip(BEAM, beams.T, strict=True):
            events[name] = values
    laboratory = read(events)
    cms = read(to_cms(events, beams), frame="cms")
    np.testing.assert_allclose(cms.variable, laboratory.variable, atol=1e-10)
    np.testing.assert_allclose(cms.features, laboratory.features, atol=1e-10)


def test_old_conventions_for_missing_values_are_dropped_and_counted(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 50) | {"weight": np.ones(50), "charge1": np.ones(50)}
    events["charge2"] = -np.ones(50)
    for row, (column, value) in enumerate(
        [("px1", -999), ("pz2", 1e30), ("weight", -999), ("charge2", -999)]
    ):
        events[column][row] = value
    found = read(events, missing=[-999, 1e30])
    assert np.flatnonzero(~found.alive).tolist() == [0, 1, 2, 3]
    assert lines_of(found)[NOT_FINITE]["entries"] == 3
    assert lines_of(found)[SAME_CHARGE]["entries"] == 1


def test_columns_that_the_search_names_are_features_and_may_be_missing(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 50) | {"roe": np.linspace(0.0, 1.0, 50)}
    events["roe"][[3, 4]] = np.nan, -999
    search = {"features": ["pt_mumu", "roe"], "columns": {"roe": {}}}
    found = read(events, search=search, missing=[-999])
    assert np.flatnonzero(~found.alive).tolist() == [3, 4]
    assert lines_of(found)[NOT_FINITE_COLUMN]["entries"] == 2
    alive = found.alive
    np.testing.assert_array_equal(found.features[alive, 1], events["roe"][alive])
    np.testing.assert_array_equal(found.features[:, 0], read(make_events(1, 50)).features[:, 3])


def test_the_variable_of_the_windows_may_be_a_column(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    events = make_events(1, 50) | {"M": np.linspace(1.0, 9.0, 50, dtype=np.float32)}
    search = {"variable": "M", "columns": {"M": {"unit": "GeV"}}}
    np.testing.assert_array_equal(read(events, search=search).variable, events["M"])


def test_small_files_really_recoil_against_the_generated_mass(
    make_events: Events, read: Callable[..., Candidates]
) -> None:
    mass = np.repeat([1.0, 4.0], 500)
    exact = read(make_events(1, 1000, mass, resolution=0.0), "signal")
    np.testing.assert_allclose(exact.variable, mass**2, atol=1e-9)


def test_small_manifest_is_normalised_by_hand(
    ntuples: dict[str, Path], make_manifest: Make
) -> None:
    manifest = make_manifest(ntuples)
    files = [InputFile(name, str(path), "t", 1, {}, "x") for name, path in ntuples.items()]
    described = describe_datasets(manifest, files)
    assert described["eemumu"].scale.tolist() == [0.9 * 50 / 100]
    assert described["signal"].scale.tolist() == [0.9 / 2000] * 6


@pytest.mark.parametrize("seed", range(3))
def test_every_entry_is_counted_once(
    seed: int, make_events: Events, read: Callable[..., Candidates]
) -> None:
    rng = np.random.default_rng(seed)
    found = read(make_events(1, 1000) | {"weight": rng.exponential(size=1000)})
    for name in "abc":
        found.require(name, rng.random(1000) < 0.7)
    first, *others = found.cutflow
    assert others[-1]["step"] == KEPT
    assert others[-1]["entries"] == found.alive.sum()
    assert sum(line["entries"] for line in others) == first["entries"] == 1000
    assert sum(line["weight"] for line in others) == pytest.approx(first["weight"])


def test_merging_adds_lines_and_keeps_their_order() -> None:
    def cutflow(**entries: int) -> list[dict[str, Any]]:
        return [{"step": name, "entries": n, "weight": n / 2} for name, n in entries.items()]

    total = merge_cutflows([cutflow(read=2, a=1), cutflow(read=2, a=1), cutflow(read=1, b=0)])
    assert total == cutflow(read=5, a=2, b=0)
