import json
import math

import numpy as np
import pyhf
import pytest
import yaml
from hepdata_validator.full_submission_validator import FullSubmissionValidator
from outputs import settings_of
from small_data import make_manifest
from small_runs import make_features, save_network, untrained

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import read_tensor_events
from punzinet.analysis.limits.result import Limits, read_sigma_over_g2
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.ntuples.trial import Trial
from punzinet.processors.runs.limits import run_limits
from punzinet.processors.runs.selection import run_selection


@pytest.fixture(scope="module")
def manifest(ntuples, tmp_path_factory):
    table = tmp_path_factory.mktemp("table") / "table.json"
    table.write_text(json.dumps({"2": {"sigma_over_g2_fb": 4.0e4}}))
    return make_manifest(ntuples, limits={"cross_sections": str(table)})


def limits_of(manifest, folder, *networks, **options):
    """Features, networks that know nothing, and limits."""
    output = make_features(manifest, folder, **options)
    for seed, name in enumerate(networks):
        save_network(output, name, -10.0, untrained(seed=seed))
    run_limits(manifest, output, "punzi-00")
    return output


@pytest.fixture(scope="module")
def done(tmp_path_factory, manifest):
    output = limits_of(manifest, tmp_path_factory.mktemp("limits"), "punzi-00", "bce-00")
    run_selection(manifest, output, Execution(), "punzi-00")
    return output


def test_limits_of_a_part_of_the_events_say_so(tmp_path, manifest):
    output = limits_of(manifest, tmp_path, "punzi-00", trial=Trial(chunks=1))
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


# The validator leaves files to the garbage collector to be closed.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_hepdata_takes_the_submission(done):
    folder = done.limits.parent / "hepdata"
    validator = FullSubmissionValidator()
    assert validator.validate(directory=str(folder)), validator.get_messages()
    table = yaml.safe_load((folder / "cross_section.yaml").read_text())
    assert len(table["dependent_variables"]) == 4
    assert len(table["independent_variables"][0]["values"]) == 6


def test_a_wrong_table_of_cross_sections_is_one_sentence(tmp_path):
    path = tmp_path / "table.json"
    path.write_text('{"1": {"sigma_over_g2_fb": -1}}')
    with pytest.raises(InputError, match="does not hold cross-sections by mass"):
        read_sigma_over_g2(path, np.array([1.0]))


def test_sidebands_of_a_run_expect_what_simulation_does_and_are_written(done, manifest, tmp_path):
    sections = manifest.limits.model_copy(update={"background": "sidebands"})
    output = OutputFolder(tmp_path)
    for name in ("tensors", "networks", "windows.json", "features"):
        (tmp_path / name).symlink_to(done.root / name)
    run_limits(manifest.model_copy(update={"limits": sections}), output, "punzi-00")
    assumed, found = (Limits.read(one.limits).selections["single"] for one in (done, output))
    assert found.background == pytest.approx(assumed.background)
    content = json.loads(output.sidebands.read_text())
    assert content["said"][0] == "Sidebands normalise the background at 6 of 6 masses."
    windows = Windows.read(done.windows)
    events = read_tensor_events(done.tensors, windows.search)
    table = events[~events.signal].of_fold(manifest.training.folds.judging)
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
