"""Numbers that cannot be: refused before anything is written; those that can be are used."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from outputs import contents, datasets_of, read_tensors
from small_data import MASSES, make_events, make_manifest, make_signal, with_beams, write_ntuple

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.processors.datasets import MOMENTA, DatasetInfo
from punzinet.processors.executors import Execution
from punzinet.processors.runs.features import check_efficiencies, run_features
from punzinet.stages import features

N = 400  # signal events of each mass
RNG = np.random.default_rng(1)


@pytest.fixture
def run(tmp_path):
    """Function (dataset, columns, settings) that makes features of samples with other columns."""
    events = {"signal": make_signal(1, N), "tautau": make_events(2, 900)}

    def make(dataset, columns, **settings):
        files = {name: {"files": [str(tmp_path / f"{name}.root")]} for name in events}
        files["signal"]["generated"] = N
        files[dataset] |= settings
        for name, own in events.items():
            write_ntuple(tmp_path / f"{name}.root", own | (columns if name == dataset else {}))
        manifest = make_manifest(files, features={"chunk_size": 500})
        output = OutputFolder(tmp_path / "output")
        try:
            run_features(manifest, output, Execution("iterative", 1))
        except InputError:
            assert not contents(output.root)
            raise
        return datasets_of(output.features_cutflow)[dataset]

    return make


def ones(n, at=slice(0), value=0.0, *, of=1):
    """The same number n times, or those given, but for another one here and there."""
    values = np.full(n, of, dtype=np.float64)
    values[at] = value
    return values


def masses(at, value):
    return ones(6 * N, at, value, of=np.repeat(MASSES, N))


EVERY = slice(None)


@pytest.mark.parametrize(
    ("dataset", "columns", "settings", "sentence"),
    [
        ("tautau", {"weight": ones(900, slice(0, 900, 3), -1)}, {},
         r"tautau: 300 of its 900 entries have a negative weight .__weight__.*, first in .*tautau"),
        ("signal", {"weight": ones(6 * N, slice(0, 2 * N), -1)}, {}, "800 of its 2400 .*neg"),
        ("tautau", {"weight": ones(900, EVERY, np.nan)}, {}, "900 of its 900 .*no weight"),
        ("signal", {"weight": ones(6 * N, EVERY, 0)}, {}, "2400 of its 2400 .* no weight"),
        ("tautau", {"weight": ones(900, 7, 1e308)}, {}, "1 of its 900 .* of 1e.30 or more"),
        ("tautau", {"px1": ones(900, EVERY, np.nan)}, {}, r"900 of its 900 .*used \(dropped: mom"),
        ("tautau", {name: 1e3 * of for name, of in make_events(2, 900).items() if name in MOMENTA},
         {}, r"900 of its 900 .* m2_recoil that none has at these beams .are momenta in GeV"),
        ("tautau", {"charge1": ones(900), "charge2": ones(900)}, {}, "cannot be used .* charges"),
        ("signal", {}, {"generated": N // 2}, "of 400 usable .* 1 GeV .* only 200 events were"),
        ("signal", {}, {"generated": N - 1}, "to 400, but only 399 events were generated"),
        ("signal", {"weight": ones(6 * N, EVERY, 3)}, {}, "to 1200, but only 400"),
        ("signal", {"generated_mass": masses(slice(0, 9), 1.0003)}, {},
         r"9 entries of .*signal\.root have generatedMass = 1\.0003 GeV, nearly"),
        ("signal", {"generated_mass": masses(EVERY, 1000)}, {}, "2400 entries .* no hypothesis"),
        ("tautau", {"event": np.zeros(900, np.uint32)}, {}, "900 entries of .*root are 2 ev"),
        *(("tautau", {"event": values}, {}, rf"__event__ of .*tautau.root holds {said}, but")
          for values, said in (
              (np.arange(900, dtype=np.float32) + 2**24 - 100, "16777216 as float32"),
              (np.arange(900.0) + 2**53, "9.007199255e.15 as float64"),
              (np.arange(900) + 0.5, "0.5 as float64"),
              (ones(900, 800, np.nan), "nan as float64"),
              (ones(900, 800, np.inf), "inf as float64"))),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be(run, dataset, columns, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        run(dataset, columns, **settings)


@pytest.mark.parametrize(
    ("dataset", "columns", "dropped"),
    [
        ("tautau", {"weight": ones(900, slice(0, 90), np.nan)}, 90),
        ("tautau", {"weight": ones(900, slice(0, 90))}, 0),
        ("tautau", {"event": np.arange(900, dtype=np.float32)}, 0),
        ("signal", {"weight": RNG.exponential(size=6 * N)}, 0),
        ("signal", {"event": np.repeat(np.arange(2 * N), 3).astype(np.int32)}, 0),
        # Masses that nothing searches for, and single precision.
        ("signal", {"generated_mass": masses(slice(0, 90), 1.5)}, 90),
        ("signal", {"generated_mass": np.repeat(MASSES, N).astype(np.float32)}, 0),
    ],
)
def test_numbers_that_can_be(run, dataset, columns, dropped):
    steps = {line["step"]: line["entries"] for line in run(dataset, columns)["cutflow"]}
    no_window = sum(count for step, count in steps.items() if "window" in step)
    assert steps["entries read"] - no_window - steps["kept"] == dropped


def split_signal(folder, low, high):
    """A manifest with one signal dataset of 1 to 3 GeV and one of 4 to 6, generated as given."""
    events = make_signal(1, N)
    files = {"tautau": write_ntuple(folder / "tautau.root", make_events(2, 900))}
    for name, generated, heavy in (("low", low, False), ("high", high, True)):
        own = (events["generated_mass"] > 3.5) == heavy
        path = write_ntuple(folder / f"{name}.root", {k: v[own] for k, v in events.items()})
        files[name] = {"process": "signal", "files": [str(path)], "generated": generated}
    return make_manifest(files, features={"chunk_size": 500})


def test_generated_events_count_at_the_masses_that_a_sample_holds(tmp_path):
    output, serial = OutputFolder(tmp_path / "output"), Execution("iterative", 1)
    sentence = "low: .generated: 400. counts .* no usable .* of 4, 5, 6 GeV; .*1: 400, 2: 400, 3: "
    with pytest.raises(InputError, match=sentence):
        run_features(split_signal(tmp_path, N, N), output, serial)
    halves = ({mass: N for mass in MASSES if (mass > 3.5) == heavy} for heavy in (False, True))
    run_features(split_signal(tmp_path, *halves), output, serial)
    found = datasets_of(output.features_cutflow)
    rows = [row for name in ("low", "high") for row in found[name]["hypotheses"]]
    assert [row["usable"] for row in rows] == [N] * 3 + [0] * 6 + [N] * 3
    efficiency = np.array([row["efficiency"] for row in rows]).reshape(2, -1).sum(axis=0)
    assert (efficiency > 0.8 * 0.9).all()


def test_one_sample_cannot_hide_what_another_has_too_little_of(tmp_path):
    """Of which there are fewer generated than usable events, beside ten times as many of others."""
    files, events = {}, make_signal(1, N)
    for name, generated in (("one", N // 4), ("other", 10 * N)):
        path = write_ntuple(tmp_path / f"{name}.root", events | {"production": ones(6 * N)})
        files[name] = {"process": "signal", "files": [str(path)], "generated": generated}
    files["tautau"] = write_ntuple(tmp_path / "t.root", make_events(2, 900))
    with pytest.raises(InputError, match=r"one: .* 400 usable .* but only 100 events were"):
        run_features(make_manifest(files), OutputFolder(tmp_path / "o"), Execution("iterative", 1))


@pytest.mark.parametrize(("part", "share"), [(0.02, None), (1.0, "50%")])
def test_an_event_that_makes_much_of_a_dataset_is_said(run, tmp_path, part, share):
    run("tautau", {})
    kept = read_tensors(OutputFolder(tmp_path / "output").tensors, "tautau")
    kept = kept.filter(kept["window_start"] < kept["window_stop"])["event"]
    run("tautau", {"weight": ones(900, kept[0], part * len(kept))})
    said = json.loads((tmp_path / "output/features/completeness.json").read_text())["twice"]
    assert [share in line for line in said] == [True] * (share is not None)


def test_what_is_said_of_the_signal_of_one_mass_is_of_that_mass(tmp_path, monkeypatch):
    """Not a share of all: its efficiency, what repeated events make of it, and heavy ones."""
    files = {"tautau": write_ntuple(tmp_path / "t.root", make_events(2, 900))}
    weight = 0.5 * ones(N, 100, 15.0)  # 3.6 % of its mass
    for mass in MASSES:
        events = make_events(3, N, mass) | {"weight": weight}
        events = {name: np.append(of, of[:40]) for name, of in events.items()}
        path = write_ntuple(tmp_path / f"{mass}.root", events)
        about = {"generated": N, "mass": mass, "files": [str(path)]}
        files[f"z{mass:g}"] = about | {"process": "signal"}
    manifest, output = make_manifest(files), OutputFolder(tmp_path / "output")
    run_features(manifest, output, Execution("iterative", 1))
    (row, *_) = datasets_of(output.features_cutflow)["z1"]["hypotheses"]
    efficiency = f"{row['efficiency']:.3f}"
    said = json.loads(output.completeness.read_text())["twice"]
    assert [f" of {efficiency} in efficiency" in line for line in said if "z1" in line] == [True]
    assert not [line for line in said if "one event" in line]
    monkeypatch.setattr(features.console, "width", 200)
    with features.console.capture() as shown:
        features.say_cutflow(output.features_cutflow, manifest)
    assert f"ε = {efficiency}" in shown.get()


def test_background_that_no_window_holds_is_said(run, tmp_path):
    in_tev = {name: 1e-3 * of for name, of in make_events(2, 900).items() if name in MOMENTA}
    assert run("tautau", in_tev)["cutflow"][-1]["entries"] == 0
    (said,) = json.loads((tmp_path / "output/features/completeness.json").read_text())["twice"]
    assert "tautau: none of its entries lies in a window" in said


def test_one_file_of_several_that_has_another_unit_is_refused(tmp_path):
    """Of all files it may be a small part; a few badly measured entries may be all of a file."""

    def files_of(seeds, n, scale):
        events = {name: make_events(2 + seed, n) for seed, name in enumerate(seeds)}
        paths = [
            write_ntuple(tmp_path / f"{name}.root", own | {of: scale * own[of] for of in MOMENTA})
            for name, own in events.items()
        ]
        return [*map(str, paths)]

    write_ntuple(tmp_path / "signal.root", make_signal(1, N))
    signal = {"files": [str(tmp_path / "signal.root")], "generated": N}
    good, few = files_of("ab", 450, 1), files_of("cdefg", 1, 1e3)
    output, serial = OutputFolder(tmp_path / "output"), Execution("iterative", 1)
    small = make_manifest({"signal": signal, "tautau": {"files": good + few}})
    run_features(small, output, serial)
    wrong = good + files_of("h", 100, 1e3)
    mixed = make_manifest({"signal": signal, "tautau": {"files": wrong}})
    sentence = r"tautau: 100 of its 1000 entries have a m2_recoil that none .*first in .*h\.root"
    with pytest.raises(InputError, match=sentence):
        run_features(mixed, output, serial)


@pytest.mark.parametrize("wrong", [{"charge1": -1}, {"weight": 0}])
def test_a_file_of_which_nothing_is_kept_unlike_of_others_is_said(tmp_path, wrong):
    """Pairs of the same charge, or without a weight; one of few entries may be so by chance."""
    paths = {"signal": write_ntuple(tmp_path / "signal.root", make_signal(1, N))}
    for seed, (name, n) in enumerate({"a": 900, "b": 300, "c": 10}.items()):
        columns = {"charge1": 1, "charge2": -1, "weight": 1} | ({} if name == "a" else wrong)
        added = {column: np.full(n, float(value)) for column, value in columns.items()}
        events = make_events(2 + seed, n) | added
        paths[name] = write_ntuple(tmp_path / f"{name}.root", events)
    background = {"files": [str(paths[name]) for name in "abc"]}
    signal = {"files": [str(paths["signal"])], "generated": N}
    manifest = make_manifest({"signal": signal, "tautau": background})
    output = OutputFolder(tmp_path / "output")
    run_features(manifest, output, Execution("iterative", 1))
    kept = datasets_of(output.features_cutflow)["tautau"]["cutflow"][-1]["weight"] / (
        0.9 * 50 / 100
    )
    (said,) = json.loads(output.completeness.read_text())["twice"]
    like = f"b.root is kept with any weight, but about {300 * kept / 1210:.0f} of as many others"
    assert "none of the 300 entries of" in said
    assert like in said


@pytest.mark.parametrize("value", [-999.0, 9999.0, -1e10])
def test_a_number_that_may_stand_for_a_missing_one_is_counted_unless_it_is_said(run, value):
    def said(**settings):
        momenta = {"px1": RNG.normal(size=900), "py2": RNG.normal(size=900)}
        momenta["px1"][:37] = momenta["py2"][100:105] = value
        return run("tautau", with_beams(make_events(2, 900)) | momenta, **settings)

    branches = {f"daughter__bo{i}__cm__spp{x}__bc": n for i, x, n in ((0, "x", 37), (1, "y", 5))}
    counts = {f"{branch} is {value:g}": n for branch, n in branches.items()}
    assert said()["not_missing"] == counts
    assert "not_missing" not in said(missing=[value])


@given(
    st.integers(1, 10_000), st.integers(0, 10_000), st.integers(0, 20),
    st.floats(0, 2), st.floats(0.5, 1.2),
)  # fmt: skip
def test_an_efficiency_is_refused_where_it_is_above_one_by_more_than_its_error(
    generated, usable, further, spread, correction
):
    """With weights 1 ± spread, half of them each, and all events in their windows."""
    signal = DatasetInfo("z", "signal", np.array([correction / generated]), np.array([1.0]))
    scale = signal.scale[0]
    sums = [usable, usable, usable * scale, usable * scale, usable * (1 + spread**2) * scale**2]
    part = {"further": further, "hypotheses": np.array([sums])}
    allowed = generated + further + 5 * spread * np.sqrt(usable)
    above = max(1.0, correction) * usable - allowed
    assume(abs(above) > 1e-6 * generated or above == 0)
    refused = pytest.raises(InputError, match="Dataset z: the weights of")
    with refused if above > 0 else nullcontext():
        check_efficiencies(signal, part, correction, np.array([generated]))
