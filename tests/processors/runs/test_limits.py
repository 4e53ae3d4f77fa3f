import csv
import json
import math

import cabinetry
import numpy as np
import pyhf
import pytest
import yaml
from experiments import observation
from hepdata_validator.full_submission_validator import FullSubmissionValidator
from outputs import settings_of
from small_data import make_manifest
from small_runs import limits_of, linked

from punzinet.analysis.io.files import InputError, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.limits.result import Limits, known_sigma_over_g2, read_sigma_over_g2
from punzinet.analysis.limits.shape import ShapeLimits
from punzinet.analysis.limits.tables import write_hepdata, write_note
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.training.data import judging_events
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.runs.limits import run_limits, run_shape
from punzinet.processors.runs.selection import run_selection


@pytest.fixture(scope="module")
def manifest(ntuples, tmp_path_factory):
    table = tmp_path_factory.mktemp("table") / "table.json"
    table.write_text(json.dumps({"2": {"sigma_over_g2_fb": 4.0e4}}))
    return make_manifest(ntuples, limits={"cross_sections": str(table)})


@pytest.fixture(scope="module")
def done(tmp_path_factory, manifest):
    output = limits_of(manifest, tmp_path_factory.mktemp("limits"), "punzi-00", "bce-00")
    run_selection(manifest, output, Execution(), "punzi-00")
    return output


def test_limits_of_a_part_of_the_events_say_so(tmp_path, manifest):
    output = limits_of(manifest, tmp_path, trial={"files": None, "chunks": 1})
    found, expected = map(settings_of, (output.limits, output.completeness))
    assert found["trial"] == {"files": None, "chunks": 1}
    assert found["processed"] == expected["processed"]


def test_single_cut_counts_what_the_selection_counts(done):
    single = Limits.read(done.limits).selections["single"]
    rows = json.loads(done.selection_cutflow.read_text())["hypotheses"]
    for i, row in enumerate(rows):
        background = sum(v for name, v in row["after"].items() if name != "signal")
        assert single.efficiency[i] == pytest.approx(row["after"]["signal"], rel=1e-4)
        assert single.background[i] == pytest.approx(background, rel=1e-4)


def test_limits_grow_along_the_bands_and_give_the_coupling(done):
    limits = Limits.read(done.limits)
    assert set(limits.selections) == {"single", "best"}
    for selection in limits.selections.values():
        assert (np.diff(selection.asymptotic) > 0).all()
        assert (np.diff(selection.counting) >= 0).all()
    median = limits.selections["single"].asymptotic[:, 2]
    coupling = limits.coupling(median)
    assert np.flatnonzero(np.isfinite(coupling)).tolist() == [1]
    assert coupling[1] == pytest.approx(math.sqrt(median[1] / 4e4))


def test_every_workspace_is_one_for_pyhf(done):
    paths = sorted(done.workspaces.glob("*.json"))
    assert [path.stem for path in paths] == ["1", "2", "3", "4", "5", "6"]
    for path in paths:
        pyhf.Workspace(json.loads(path.read_text())).model()


def test_shapes_gain_over_counting_and_every_bin_has_its_place(done, manifest):
    written, shapes = run_shape(manifest, done)
    workspaces = [done.shapes / f"{mass}.json" for mass in range(1, 7)]
    cards = [done.limits.parent / f"datacards/shape/{mass}.txt" for mass in range(1, 7)]
    assert written[:7] == [done.shape, *workspaces]
    assert written[7:] == [path.with_suffix(to) for path in cards for to in (".txt", ".root")]
    np.testing.assert_array_equal(ShapeLimits.read(done.shape).shape, shapes.shape)
    assert (shapes.gain > 0.999).all()
    single = Limits.read(done.limits).selections["single"]
    for path, edges, background in zip(workspaces, shapes.edges, single.background, strict=True):
        workspace = pyhf.Workspace(json.loads(path.read_text()))
        ((_, bins),) = workspace.model().config.channel_nbins.items()
        assert bins == len(edges) - 1
        assert sum(workspace.data(workspace.model(), include_auxdata=False)) > background


#: All hypotheses and points between them, with as many digits as those of a scan may have.
MASS = np.linspace(1.0, 6.0, 11) + np.where(np.arange(11) % 2, 0.00625, 0.0)
COUNTED = {
    "luminosity": 0.8,
    "count": 12345 + np.arange(11),
    "sigma_over_g2": np.where(MASS == 2, 4e4, np.nan),
}


# The validator leaves files to the garbage collector to be closed.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize(("source", "said"), [("data", "Observed"), ("pseudo-data", "not to be")])
def test_hepdata_takes_what_is_observed(done, tmp_path, source, said):
    seen = observation(MASS, source=source, global_p_value=0.0, global_error=0.01, **COUNTED)
    write_hepdata(tmp_path, Limits.read(done.limits), 3.773, observed=seen)
    validator = FullSubmissionValidator()
    assert validator.validate(directory=str(tmp_path)), validator.get_messages()
    assert said in (index := (tmp_path / "submission.yaml").read_text())
    assert "3.77" in index
    assert "Belle" not in index  # nobody said so
    table = yaml.safe_load((tmp_path / "cross_section.yaml").read_text())
    assert len(table["dependent_variables"]) == 4
    assert len(table["independent_variables"][0]["values"]) == 6
    table = yaml.safe_load((tmp_path / "observed_cross_section.yaml").read_text())
    masses = [row["value"] for row in table["independent_variables"][0]["values"]]
    assert masses == MASS.tolist()
    expected, exact, approximate = table["dependent_variables"]
    assert [q["value"] for q in exact["qualifiers"]][1] == "CLs, exact Poisson sums, observed"
    assert [row["value"] for row in exact["values"]] == pytest.approx(seen.limit, rel=1e-3)
    assert [row["value"] for row in approximate["values"]] == pytest.approx(
        seen.asymptotic, rel=1e-3
    )
    assert len(expected["values"][0]["errors"]) == 2
    coupling = yaml.safe_load((tmp_path / "observed_coupling.yaml").read_text())
    known = [row["value"] for row in coupling["dependent_variables"][1]["values"]]
    assert known[2] == pytest.approx(math.sqrt(seen.limit[2] / 4e4), rel=1e-3)
    assert {*known[:2], *known[3:]} == {"-"}
    assert "global p-value below 0.01" in " ".join(index.split())
    local = yaml.safe_load((tmp_path / "local_p-value.yaml").read_text())
    assert [v["value"] for v in local["dependent_variables"][0]["values"]] == seen.count.tolist()


def test_tables_of_results_are_what_the_files_say(done, tmp_path):
    limits = Limits.read(done.limits)
    folder = done.limits.parent
    assert (folder / "hepdata/submission.yaml").is_file()
    with (folder / "limits.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    single = limits.selections["single"]
    assert [float(row["mass_gev"]) for row in rows] == limits.mass.tolist()
    for name, values in (("median", 2), ("+1sigma", 3), ("-2sigma", 0)):
        column = [float(row[f"expected_{name}_fb"]) for row in rows]
        np.testing.assert_array_equal(column, single.counting[:, values])
    assert [bool(row["expected_coupling"]) for row in rows] == [False, True] + [False] * 4
    assert (folder / "limits.tex").read_text().count(r"\\" + "\n") == 7
    seen = observation(MASS, source="data", **COUNTED)
    table, latex = write_note(tmp_path, limits, seen)
    with table.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [float(row["data"]) for row in rows] == seen.count.tolist()
    assert [float(row["local_p_value"]) for row in rows] == seen.p_value.tolist()
    body = latex.read_text().splitlines()
    assert len([line for line in body if line.endswith(r"\\")]) == 7  # the hypotheses alone
    assert all(line.count("&") == 8 for line in body if "&" in line)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cabinetry_finds_the_same_fit_and_the_same_limits(done):
    limits = Limits.read(done.limits)
    path = done.workspaces / f"{limits.mass[1]:g}.json"
    model, data = cabinetry.model_utils.model_and_data(workspace := json.loads(path.read_text()))
    precise = {"poi_tolerance": 1e-4, "tolerance": 1e-3}
    found = cabinetry.fit.limit(model, data, confidence_level=0.9, **precise)
    expected = limits.selections["single"].asymptotic[1]
    np.testing.assert_allclose(found.expected_limit, expected, rtol=1e-3)
    # A fit of twice the background is the difference over the signal that 1 fb makes.
    (background,) = workspace["observations"][0]["data"]
    signal = workspace["channels"][0]["samples"][0]["data"][0]
    workspace["observations"][0]["data"] = [2 * background]
    model, data = cabinetry.model_utils.model_and_data(workspace)
    fit, strength = cabinetry.fit.fit(model, data), model.config.poi_index
    best, value = pyhf.infer.mle.fit(data, model, return_fitted_val=True)
    assert fit.bestfit[strength] == pytest.approx(best[strength], rel=1e-3)
    assert fit.bestfit[strength] == pytest.approx(background / signal, rel=1e-3)
    assert fit.best_twice_nll == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"1": -1}, "does not hold cross-sections by mass"),
        ({"nan": 1}, "does not hold cross-sections by mass"),
        ({"1": 5, "1.0": 7}, "two cross-sections for one mass"),
        ({"1000": 5}, "none of the masses .*; are they in GeV"),
    ],
)
def test_a_wrong_table_of_cross_sections_is_one_sentence(tmp_path, table, said):
    path = tmp_path / "table.json"
    write_json(path, {mass: {"sigma_over_g2_fb": one} for mass, one in table.items()})
    with pytest.raises(InputError, match=said):
        read_sigma_over_g2(path, np.array([1.0]))


def test_cross_sections_are_those_of_the_signal(ntuples, manifest, tmp_path):
    output, mass = OutputFolder(tmp_path), np.array([1.0, 2.0])
    write_json(output.cross_sections, {"2": {"sigma_over_g2_fb": 7.0}})  # of the simulation
    simulated = {name: {"process": name, "simulate": name} for name in ("signal", "tautau")}
    ours = Manifest.model_validate({"datasets": simulated})
    for one, known in ((manifest, 4.0e4), (make_manifest(ntuples), np.nan), (ours, 7.0)):
        np.testing.assert_array_equal(known_sigma_over_g2(one, output, mass), [np.nan, known])


def test_sidebands_of_a_run_expect_what_simulation_does_and_are_written(done, manifest, tmp_path):
    sections = manifest.limits.model_copy(update={"background": "sidebands"})
    output = linked(done, tmp_path)
    run_limits(manifest.model_copy(update={"limits": sections}), output, "punzi-00")
    assumed, found = (Limits.read(one.limits).selections["single"] for one in (done, output))
    assert found.background == pytest.approx(assumed.background)
    content = json.loads(output.sidebands.read_text())
    assert content["said"][0] == "Sidebands normalise the background at 6 of 6 masses."
    windows = Windows.read(done.windows)
    events = judging_events(done.tensors, windows, manifest.training.folds)
    table = events[~events.signal]
    for i, row in enumerate(content["rows"]):
        distance = np.abs(table.variable - windows.centre[i]) / windows.sigma[i]
        beside = table.weight[(distance > 3) & (distance < row["outer"])].sum()
        assert row["count"] == row["expected"] == pytest.approx(beside)
        assert row["found"] == pytest.approx(found.background[i], rel=1e-4)
        workspace = json.loads((output.workspaces / f"{row['mass']:g}.json").read_text())
        modifiers = workspace["channels"][0]["samples"][1]["modifiers"]
        sizes = {m["name"][:9]: m["data"].get("hi") for m in modifiers if m["type"] == "normsys"}
        assert sizes["sidebands"] == pytest.approx(1 + row["uncertainty"])
        assert "background" not in [m["name"] for m in modifiers]
