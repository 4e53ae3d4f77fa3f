"""What makes a stage run again, asked of the whole chain, and what is said of it."""

import os

import pytest

from punzinet.stages import DATA, FEATURES, LIMITS, PLOT, REPORT, SELECT, SIMULATE, TRAIN
from punzinet.stages.stage import Stage, differences, out_of_date, reasons, refusal

SETTINGS = {"luminosity": 50.0, "training": {"seed": 1, "rates": [1, 2]}}
FILES = [["a.root", 10, 20], ["b.root", 10, 20]]
THEN = {"version": "1", "settings": SETTINGS, "after": {"features": "abc"}, "files": FILES}
COMMANDS = {"features": "punzinet features"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"version": "2"}, ['`version of punzinet` changed from "1" to "2"']),
        (
            {"settings": {"luminosity": 40.0, "training": {"seed": 2, "rates": [1, 2]}}},
            ["`luminosity` changed from 50.0 to 40.0", "`training.seed` changed from 1 to 2"],
        ),
        (
            {"settings": {"training": {**SETTINGS["training"], "device": "cuda"}}},
            ["`luminosity` is gone: it was 50.0", '`training.device` is new: "cuda"'],
        ),
        ({"settings": {**SETTINGS, "training": {"seed": 1, "rates": (1, 2)}}}, []),  # as JSON says
        ({"after": {"features": "xyz"}}, ["`punzinet features` has run again"]),
        (
            {"files": [["a.root", 11, 20], ["c.root", 10, 20]]},
            ["input file c.root is new", "input file b.root is not used any more",
             "input file a.root has changed"],
        ),
    ],
)  # fmt: skip
def test_each_difference_is_one_line_of_some_length(change, said):
    assert differences(THEN, {**THEN, **change}, COMMANDS) == said
    settings = {**SETTINGS, "masses": list(range(99))}
    (line,) = differences(THEN, {**THEN, "settings": settings}, COMMANDS)
    assert len(line) < 90
    assert len(differences({}, THEN, COMMANDS)) == 6  # of a record that says nothing


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


def test_a_failure_is_told_until_the_stage_runs_again(context):
    output = context().output
    stage = Stage(name="x", run=lambda _: ())
    stage.begin(output)
    stage.fail(output, "The file is gone.")
    assert (stage.failure(output), stage.has_run(output)) == (["The file is gone."], False)
    finish(context(), stage)
    assert (stage.failure(output), stage.has_run(output)) == ([], True)


def test_what_has_not_run_is_named_in_the_order_to_run_it(context):
    here = context()
    assert stale(SELECT, here) == ["simulate", "features", "train"]  # no data where there is none
    said = refusal(SELECT, out_of_date(SELECT, here), here)
    assert f"`punzinet simulate` has not run in {here.output.root}; " in said
    assert said.endswith(
        "Run `punzinet simulate`, `punzinet features` and `punzinet train` first, or "
        "`punzinet select --upstream`."
    )
    data = {"process": "data", "files": ["runs.root"], "luminosity": 1}
    measured = context(
        datasets={**here.manifest.model_dump(exclude_unset=True)["datasets"], "runs": data}
    )
    assert DATA in SELECT.before(measured)


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
    TRAIN.prepare(trial)
    finish(trial, SIMULATE, FEATURES, TRAIN, SELECT)
    assert stale(SELECT, context()) == []
    assert stale(SELECT, context(training={"networks": 3})) == ["train"]
    (last,) = out_of_date(TRAIN, context(luminosity=7.0))
    assert "Run `punzinet features --limit-files 1` first" in refusal(TRAIN, [last], context())
    for stage in (FEATURES, SELECT):
        (reason,) = reasons(stage, context())
        assert reason == '`trial` is gone: it was {"files": 1, "chunks": null}'
    assert stale(PLOT, context({"network": "punzi-01"})) == ["select"]
