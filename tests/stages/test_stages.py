"""Stages: what makes one run again, asked of the whole chain, what runs before it, and locks."""

import json
import os
from contextlib import nullcontext

import pytest

from punzinet.analysis.io.files import InputError, _file_digest
from punzinet.stages import (
    BASELINES,
    DATA,
    FEATURES,
    LIMITS,
    PLOT,
    REPORT,
    SELECT,
    SIMULATE,
    TRAIN,
    VARIATIONS,
)
from punzinet.stages.options import PLAIN
from punzinet.stages.run import run_command
from punzinet.stages.stage import NOT_RUN, Stage, differences, out_of_date, reasons, refusal
from punzinet.stages.train import networks_to_train, remember_networks

SETTINGS = {"luminosity": 50.0, "training": {"seed": 1, "rates": [1, 2]}}
FILES = [["a.root", 10, 20], ["b.root", 10, 20]]
THEN = {"version": "1", "settings": SETTINGS, "after": {"features": "abc"}, "files": FILES}
COMMANDS = {"features": "punzinet features"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"version": "2"}, ['`version of punzinet` changed from "1" to "2"']),
        ({"settings": {"luminosity": 40.0, "training": {"seed": 2, "rates": [1, 2]}}},
         ["`luminosity` changed from 50.0 to 40.0", "`training.seed` changed from 1 to 2"]),
        ({"settings": {"training": {**SETTINGS["training"], "device": "cuda"}}},
         ["`luminosity` is gone: it was 50.0", '`training.device` is new: "cuda"']),
        ({"settings": {**SETTINGS, "training": {"seed": 1, "rates": (1, 2)}}}, []),  # as JSON says
        ({"after": {"features": "xyz"}}, ["`punzinet features` has run again"]),
        ({"files": [["a.root", 11, 20], ["c.root", 10, 20]]},
         ["input file c.root is new", "input file b.root is not used any more",
          "input file a.root has changed"]),
    ],
)  # fmt: skip
def test_each_difference_is_one_line_of_some_length(change, said):
    assert differences(THEN, {**THEN, **change}, COMMANDS) == said
    settings = {**SETTINGS, "masses": list(range(99))}
    (line,) = differences(THEN, {**THEN, "settings": settings}, COMMANDS)
    assert len(line) < 90


def finish(context, *stages):
    """Leave the records of stages that have run."""
    for stage in stages:
        stage.finish(context, [], stage.begin(context.output))


def stale(stage, context):
    """Names of the stages before one that are out of date."""
    return [one.stage.name for one in out_of_date(stage, context)]


CONTENT = b"root" + bytes(500)
UUID = b"root" + bytes(43) + b"uuid" + bytes(453)  # at its place in the header of a ROOT file


@pytest.mark.parametrize(
    ("content", "later", "changed"),
    [(UUID, 0, True), (CONTENT + b"0", 0, True), (CONTENT, 1, True), (CONTENT, 0, False)],
)
def test_another_input_file_is_a_reason_to_run_again(tmp_path, context, content, later, changed):
    path = tmp_path / "x.root"
    path.write_bytes(CONTENT)
    status = path.stat()
    stage = Stage(name="x", run=lambda _: (), files=lambda _: [str(path)])
    finish(context(), stage)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + later))
    assert reasons(stage, context()) == [f"input file {path} has changed"] * changed


def test_what_has_not_run_is_named_in_the_order_to_run_it(context):
    here = context()
    assert stale(SELECT, here) == ["simulate", "features", "train"]  # no data where there is none
    said = refusal(SELECT, out_of_date(SELECT, here), here)
    assert f"`punzinet simulate` has not run in {here.output.root}; " in said
    assert said.endswith(
        "Run `punzinet simulate`, `punzinet features` and `punzinet train` first, or "
        "`punzinet select --upstream`."
    )


def test_only_what_depends_on_data_runs_again(tmp_path, context):
    (tmp_path / "runs.root").write_bytes(CONTENT)
    data = {"process": "data", "files": [str(tmp_path / "runs.root")], "luminosity": 1}
    here, unblinded = (context({"unblind": u}, {"runs": data}) for u in (False, True))
    assert DATA in SELECT.before(here)
    finish(here, FEATURES, DATA, TRAIN, SELECT, LIMITS)
    assert DATA in LIMITS.before(unblinded)
    for stage in (FEATURES, TRAIN, LIMITS):
        assert stage.inputs(context()) == stage.inputs(here)
    for stage in (DATA, SELECT, LIMITS):
        assert reasons(stage, here) == []
        assert any("unblind" in reason for reason in reasons(stage, unblinded))
    finish(unblinded, DATA)
    assert reasons(SELECT, here) == ["`punzinet features` has run again"]
    assert reasons(TRAIN, here) == reasons(LIMITS, here) == []
    finish(unblinded, SELECT, LIMITS)
    finish(here, DATA)
    again = [one.typed for one in out_of_date(PLOT, here)][-2:]
    assert again == ["`punzinet select`", "`punzinet limits`"]  # data hidden again stays so


@pytest.mark.parametrize(("asked", "again"), [(0.1, []), ("measured", [TRAIN, BASELINES])])
def test_systematics_are_a_reason_to_train_only_if_asked_for(tmp_path, context, asked, again):
    (tmp_path / "varied.root").write_bytes(CONTENT)

    def case(luminosity=1, **more):
        files = [str(tmp_path / "varied.root")]
        varied = {"process": "tautau", "variation_of": "tautau", "files": files}
        return context(
            datasets={"varied": {**varied, "luminosity": luminosity}},
            figure_of_merit={"background_uncertainty": asked},
            systematics={"x": {"samples": {"tautau": {"up": "varied"}}}, **more},
        )

    finish(case(), SIMULATE, FEATURES, VARIATIONS, TRAIN, LIMITS, BASELINES)
    now = case(y={"normalisation": {"tautau": 0.1}})
    assert [one for one in (TRAIN, BASELINES) if reasons(one, now)] == again
    assert reasons(LIMITS, now)  # which always know them
    finish(case(luminosity=2), VARIATIONS)
    assert [one for one in (TRAIN, BASELINES) if reasons(one, case())] == again


def test_what_was_injected_is_asked_for_again(context):
    inject = ["2.5:30fb", "3:1e1fb"]
    pseudo = context({"inject": inject})
    finish(pseudo, SIMULATE, FEATURES, TRAIN, LIMITS)
    assert reasons(LIMITS, pseudo) == []
    assert any("inject" in reason for reason in reasons(LIMITS, context()))
    (again,) = (o for o in out_of_date(PLOT, context(luminosity=40.0)) if o.stage is LIMITS)
    assert again.context.options.inject == inject
    assert again.typed == "`punzinet limits --inject 2.5:30fb --inject 3:1e1fb`"


def test_another_luminosity_reaches_everything_that_follows(context):
    before, now = context(luminosity=50.0), context(luminosity=40.0)
    chain = (FEATURES, TRAIN, SELECT, LIMITS, PLOT, REPORT)
    finish(before, SIMULATE, *chain)
    for stage in chain:
        assert stale(stage, before) == []
    assert stale(TRAIN, now) == ["features"]
    assert stale(REPORT, now) == ["features", "train", "select", "limits", "plot"]
    said = refusal(REPORT, out_of_date(REPORT, now), now)
    assert said.startswith("`punzinet features` in ")
    assert "out of date with data_manifest.yaml: `luminosity` changed from 50.0 to 40.0. " in said
    titles = context(luminosity=50.0, processes={"signal": "A", "tautau": "B", "other": "C"})
    assert [one for one in chain[:-1] if reasons(one, titles)] == [PLOT]
    assert '`processes.other` is new: "C"' in reasons(REPORT, titles)
    finish(now, FEATURES)
    assert stale(SELECT, now) == ["train"]  # whose network is one of older features
    assert reasons(TRAIN, now) == ["`punzinet features` has run again"]


def test_limits_are_shown_if_there_are_any_of_the_same_settings(context):
    before, now = context(), context(limits={"confidence_level": 0.95})
    finish(before, SIMULATE, FEATURES, TRAIN, SELECT, PLOT)
    assert stale(REPORT, now) == []
    finish(before, LIMITS, PLOT)
    assert stale(REPORT, now) == ["limits", "plot"]


def test_trial_runs_and_networks_of_earlier_stages_are_those_of_their_last_run(context):
    trial = context({"limit_files": 1, "networks": 7})
    remember_networks(trial)
    finish(trial, SIMULATE, FEATURES, TRAIN, SELECT)
    assert stale(SELECT, context()) == []
    assert stale(SELECT, context(training={"networks": 3})) == ["train"]
    (last,) = out_of_date(TRAIN, context(luminosity=7.0))
    assert "Run `punzinet features --limit-files 1` first" in refusal(TRAIN, [last], context())
    for stage in (FEATURES, SELECT):
        (reason,) = reasons(stage, context())
        assert reason == '`trial` is gone: it was {"files": 1, "chunks": null}'
    assert stale(PLOT, context({"network": "punzi-01"})) == ["select"]


@pytest.mark.parametrize(
    ("asked", "manifest", "trained"),
    # In the last case the manifest says something else than at that time.
    [((), 1, 1), ((25,), 1, 25), ((25, None, None), 1, 25), ((25, 1, None), 1, 1), ((25,), 3, 3)],
)
def test_an_ensemble_that_was_asked_for_stays_one(context, asked, manifest, trained):
    for networks in asked:
        remember_networks(context({"networks": networks}, training={"networks": 1}))
    assert networks_to_train(context(training={"networks": manifest})) == trained


def test_an_ensemble_is_remembered_if_it_is_there_and_not_if_its_training_is_refused(context):
    three = context({"networks": 3})
    finish(three, SIMULATE, FEATURES, TRAIN)
    run_command(TRAIN, three)  # up to date
    with pytest.raises(InputError, match="out of date"):
        run_command(TRAIN, context({"networks": 5}, luminosity=7.0))
    assert stale(LIMITS, context()) == []


@pytest.mark.parametrize("content", ["25", '{"asked": 25}', '{"asked": "x", "manifest": 1}', "{"])
def test_damaged_memory_is_one_sentence(context, content):
    here = context()
    here.output.stages.mkdir()
    (here.output.stages / "networks.json").write_text(content)
    with pytest.raises(InputError, match=r"networks.json .*again"):
        networks_to_train(here)


def written(context, *names):
    """Files of a stage, and the stage that makes the first of them, or as many as it is told."""
    paths = [context.output.root / name for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    return paths


FOUND = Stage(name="found", run=lambda _: (), writes=("a",), finds="a/*.txt")


@pytest.mark.parametrize("killed", [False, True])
def test_only_what_the_last_record_names_is_removed(context, killed):
    here = context()
    own, edited, again = written(here, "a/own.txt", "a/edited.txt", "a/again.txt")
    deep, mine = written(here, "a/deep/own.txt", "a/mine.dat")
    FOUND.finish(here, [own, edited, again, deep], FOUND.begin(here.output))
    edited.write_text("by me")
    if killed:
        FOUND.begin(here.output)
    with pytest.raises(InputError, match=r"a/edited.txt is no file of the last `punzinet found`"):
        FOUND.finish(here, [again], FOUND.begin(here.output))
    assert {*here.output.root.glob("a/*")} == {edited, again, mine}
    edited.unlink()
    assert reasons(FOUND, here) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own, *_: own.write_text("num.txt"), "a/own.txt is gone or has changed"),
        (lambda own, other, _: other.replace(own), "a/other.txt is gone or has changed"),
        (lambda own, *_: own.with_name("x.txt").touch(), "a/x.txt is no file of the last `punzin"),
        (lambda *of: of[2].write_text(of[2].read_text().replace("own", "x")), "changed.*delete it"),
    ],
)
def test_files_that_a_stage_did_not_write_are_found_out(context, change, said):
    here, later = context(), Stage(name="later", run=lambda _: (), after=(FOUND,))
    own, other = written(here, "a/own.txt", "a/other.txt")
    FOUND.finish(here, [own, other], FOUND.begin(here.output))
    finish(here, later)
    change(own, other, here.output.stages / "found.json")
    _file_digest.cache_clear()  # all of this takes less than a tick of the clock
    with pytest.raises(InputError, match=said):
        FOUND.check(here.output)
    with pytest.raises(InputError, match=said):
        run_command(later, here)


def test_a_run_is_compared_only_if_its_results_are_of_its_settings(context, tmp_path_factory):
    other = context({"output": tmp_path_factory.mktemp("other")})
    here = context({"compare": str(other.output.root)})
    with pytest.raises(InputError, match="run `punzinet train` first"):
        REPORT.prepare(here)
    finish(other, SIMULATE, FEATURES, TRAIN)
    REPORT.prepare(here)  # without figures
    finish(other, SELECT, PLOT)
    REPORT.prepare(here)
    changed = context({"output": other.output.root}, luminosity=20.0)
    for stage, since in ((FEATURES, "train"), (TRAIN, "select"), (SELECT, "plot")):
        finish(changed, stage)
        said = f"`punzinet features` has run again since `punzinet {since}`; run that again"
        with pytest.raises(InputError, match=said):
            REPORT.prepare(here)
    finish(changed, PLOT)
    REPORT.prepare(here)
    TRAIN.begin(other.output)
    with pytest.raises(InputError, match=r"train\.json is not there"):
        REPORT.prepare(here)


@pytest.mark.parametrize(("network", "files"), [("punzi-00", 0), ("../x", 2), ("/x", 2)])
def test_a_network_from_elsewhere_is_an_input(context, network, files):
    here = context({"network": network})
    for stage in (SELECT, LIMITS):
        assert len(stage.inputs(here)["files"]) == files
    with pytest.raises(InputError, match=r"one of .*networks;") if files else nullcontext():
        PLOT.prepare(here)


@pytest.mark.parametrize("place", ["a", "a/own.txt", ".ledger"])
def test_nothing_is_written_behind_a_link(context, tmp_path_factory, place):
    here, elsewhere = context(), tmp_path_factory.mktemp("elsewhere")
    finish(here, SIMULATE)
    FOUND.finish(here, written(here, "a/own.txt"), FOUND.begin(here.output))
    path = here.output.root / place
    if path.exists():
        path.rename(elsewhere / "moved")
    path.symlink_to(elsewhere / "moved")
    assert reasons(FOUND, here) == []
    with pytest.raises(InputError, match=rf"{place} is a link, and nothing behind a link is"):
        run_command(FOUND, here.with_options(force=True))
    assert reasons(FOUND, here) == []


def test_where_a_training_runs_is_no_reason_to_repeat_it(context):
    def inputs(**training):
        return json.dumps(TRAIN.inputs(context(training=training)))

    assert inputs() == inputs(device="cuda") == inputs(storage="disk")
    assert len({inputs(), inputs(networks=2), inputs(seed=2)}) == 3


def test_all_letters_have_plain_ones():
    assert "σ in fb⁻¹ < ∞ \udcff".encode("ascii", PLAIN) == rb"sigma in fb^-1 < \u221e \udcff"


def test_a_record_that_another_process_puts_aside_is_none(context, monkeypatch):
    here, inputs = context(), Stage.inputs
    stage = Stage(name="shared", run=lambda _: [])
    run_command(stage, here)

    def begun_by_another(self, on):
        monkeypatch.undo()
        self.begin(on.output)
        return inputs(self, on)

    assert reasons(stage, here) == []
    monkeypatch.setattr(Stage, "inputs", begun_by_another)
    reasons(stage, here)  # in the midst of which it goes
    assert reasons(stage, here) == [NOT_RUN]
