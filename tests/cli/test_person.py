"""What a person types and reads."""

import logging
import os
import re
import shutil
import subprocess
from importlib import metadata

import pytest
from commands import PUNZINET, run, run_here, run_python, sentence_of
from small_data import damage, make_events, make_manifest, varied, write_manifest, write_ntuple
from small_runs import ONE_WINDOW, untrained
from typer.main import get_command
from typer.testing import CliRunner

from punzinet.analysis.io.files import InputError
from punzinet.cli import app
from punzinet.stages.options import SHARED, console

GROUP = get_command(app)


@pytest.fixture
def folder(tmp_path, ntuples, monkeypatch):
    """A folder with a manifest of small ntuples, which is the current one."""
    manifest = make_manifest(ntuples, features={"chunk_size": 2000})
    write_manifest(tmp_path / "data_manifest.yaml", manifest)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(folder, old, new):
    path = folder / "data_manifest.yaml"
    changed = re.sub(old, new, path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)


@pytest.fixture(autouse=True)
def _loggers():
    """Leave the logger of the package as it was."""
    logger = logging.getLogger("punzinet")
    handlers, level = logger.handlers, logger.level
    yield
    console.quiet = False
    logger.handlers = handlers
    logger.setLevel(level)


def punzinet(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


FEATURES = ("features", "--executor", "iterative")


def features(*arguments):
    result = punzinet(*FEATURES, *arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("command", sorted(GROUP.commands))
def test_every_command_has_an_example(command):
    assert f"Example: punzinet {command}" in punzinet(command, "--help").output


def test_help_documents_exit_codes_and_completion_and_a_version_is_that_of_the_package():
    said = re.sub(r"\s+", " ", punzinet("--help").output)
    for text in ("Exit codes: 0 done, 1", "2 wrong usage, 130 interrupted", "--install-completion"):
        assert text in said
    assert punzinet("--version").output == f"punzinet {metadata.version('punzinet')}\n"


def test_parameters_are_few():
    every = [one.name for command in GROUP.commands.values() for one in command.params]
    own = [name for name in every if name not in SHARED]
    assert len(own) + len(GROUP.params) + len(SHARED) <= 60


@pytest.mark.parametrize("wrong", [("--no-such-option",), ("--limit-files", "0")])
def test_wrong_usage_is_exit_code_2(wrong):
    assert punzinet("features", *wrong).exit_code == 2


def test_completion_offers_commands():
    asked = {"_PUNZINET_COMPLETE": "complete_bash", "COMP_WORDS": "punzinet fe", "COMP_CWORD": "1"}
    program = "import sys; sys.argv[0] = 'punzinet'; from punzinet.cli import app; app()"
    assert run_python("-c", program, folder=None, env=asked).stdout.split() == ["features"]


def test_features_end_with_a_cutflow_and_a_trial_run_says_so(folder, monkeypatch):
    assert "--limit-chunks 1" in features("--limit-chunks", "1").output
    assert "Trial run" in punzinet("status").output
    monkeypatch.setattr("punzinet.processors.runs.training.run_training", lambda *_, **__: None)
    assert "Trial run" in punzinet("train", "--networks", "1").output
    said = features().output
    assert (folder / "output" / "windows.json").exists()
    assert re.search(r"tautau +│ entries read +│ +7,000 +│ +100.0% +│ +3,150", said)
    assert "ε = 0." in said
    assert "Trial run" not in said + punzinet("status").output


def test_events_that_count_twice_are_said_at_the_end_and_in_the_status(folder):
    """A merged file that was left beside its parts has another UUID and the same events."""
    write_ntuple(folder / "more.root", make_events(2, 7000))
    change(folder, r"( +- )(\S*tautau\.root)", r"\1\2\n\1more.root")
    where = ("--output", "out[red]/[/y]")  # a name, and no colour
    for said in (features(*where).output, punzinet("status", *where).output):
        assert re.search(r"Dataset tautau: \S+ repeats 7000 events .* 50 fb⁻¹; take copies", said)


def test_files_that_may_be_missing_are_named_at_the_end_and_in_the_status(folder, ntuples):
    tautau = {"files": [str(ntuples["tautau"]), "gone.root"], "entries": 10_000}
    manifest = make_manifest({**ntuples, "tautau": tautau})
    write_manifest(folder / "data_manifest.yaml", manifest)
    for said in (features("--allow-missing").output, punzinet("status").output):
        assert "llowed to be missing: Dataset tautau: gone.root is not there" in said


def test_a_dry_run_says_why_and_does_nothing(folder):
    said = features("--dry-run").output
    assert said == "features: would run because it has not run to its end\n"
    assert punzinet("train", "--networks", "7", "--dry-run", "--upstream").output.splitlines() == [
        *said.splitlines(),
        "train: would run because a stage before it runs again",
    ]
    assert not (folder / "output").exists()
    features()
    assert features("--dry-run").output == "features: up to date\n"
    assert "because --force asks for it" in features("--force", "--dry-run").output
    change(folder, "luminosity: 50.0", "luminosity: 40.0")
    assert "because `luminosity` changed from 50.0 to 40.0\n" in features("--dry-run").output
    assert "features` in output is out of date" in str(punzinet("train", "--dry-run").exception)


def test_levels_of_talking(folder):
    assert punzinet("-q", *FEATURES).output == ""
    told = punzinet("-v", *FEATURES, "--force").output
    assert "Features: 0 of 12 chunks are done already" in told
    assert "tautau-0-1750" not in told
    assert "tautau-0-1750" in punzinet("-vv", *FEATURES, "--force").output
    change(folder, "luminosity: 50.0", "luminosity: 40.0")
    told = punzinet("-v", *FEATURES).output
    assert "features runs: `luminosity` changed from 50.0 to 40.0" in told


def test_status_says_why_a_stage_failed_until_it_is_mended(folder, ntuples):
    """A file that can be opened, and whose middle cannot be read."""
    shutil.copy(ntuples["tautau"], folder / "other.root")
    damage(folder / "other.root")
    write_ntuple(folder / "other2.root", make_events(7, 3000))
    good = (folder / "data_manifest.yaml").read_text()
    change(folder, r"\S*tautau\.root", "other*.root")
    why = sentence_of(run(*PUNZINET, *FEATURES, folder=folder))
    said = punzinet("status").output
    assert re.search(r"features +│ failed", said)
    assert re.search(r"other\.root: branch \S+ cannot be read", why)
    assert "".join(f"features: {why}".split()) in "".join(said.split())  # long paths are cut
    # Chunks are counted that are done, and files that have failed.
    counts = " ".join(re.split(r"[\s│]+", said))
    assert re.search(r"features features tautau [1-5]/6 [\d,]+ 10,000 1 ", counts)
    (folder / "data_manifest.yaml").write_text(good)
    features()
    said = punzinet("status").output
    assert re.search(r"features +│ finished", said)
    assert "other.root" not in said


def test_data_is_blinded_until_unblinding_is_asked_for(folder, ntuples):
    with pytest.raises(InputError, match="there is no data; give the manifest a dataset"):
        raise punzinet("features", "--unblind").exception or AssertionError
    features()
    path = write_ntuple(folder / "runs.root", make_events(9, 3000))
    data = {"process": "data", "files": [str(path)], "luminosity": 30}
    manifest = make_manifest({**ntuples, "runs": data}, features={"chunk_size": 2000})
    write_manifest(folder / "data_manifest.yaml", manifest)
    said = punzinet("status").output
    assert re.search(r"features +│ finished +│\n│ data +│ not run", said)
    said = features().output
    assert "features: up to date" in said
    assert "Blinded: only 10 % of the data is seen; --unblind shows all." in said
    anew = features("--dry-run", "--output", "other").output
    assert anew.endswith("data: would run because a stage before it runs again\n")
    assert re.search(r"blinded: not to be seen[^│]*│ +2,[67]\d\d +│ +[89]\d\.", said)
    assert re.search(r"data +│ finished", punzinet("status").output)
    said = features("--unblind").output
    assert "Unblinded: all of the data is seen." in said
    assert "blinded: not to be seen" not in said
    assert features("--unblind").output.count("up to date") == 2
    assert "Blinded: only 10 %" in features().output
    hidden = manifest.blinding.model_copy(update={"signal_region": (2.0, 6.0)})
    write_manifest(folder / "data_manifest.yaml", manifest.model_copy(update={"blinding": hidden}))
    assert "The windows of 2, 6 GeV reach beyond that region, and part" in features().output


@pytest.mark.parametrize(
    ("further", "sentence"),
    [
        ([], "Datasets signal and tautau differ in `frame`: say with --dataset which"),
        (["--dataset", "mumu"], "--dataset mumu: the manifest only has signal, tautau"),
        (["--dataset", "tautau"], "run `punzinet train` first"),  # the next thing that is missing
    ],
)
def test_where_datasets_are_read_differently_one_has_to_be_named(further, sentence, tmp_path):
    manifest = make_manifest({"signal": "s.root", "tautau": {"files": ["t.root"], "frame": "cms"}})
    write_manifest(tmp_path / "mine.yaml", manifest)
    with pytest.raises(InputError, match=sentence):
        run_here("predict", "x.root", "-m", tmp_path / "mine.yaml", "-o", tmp_path, *further)


def test_files_may_be_read_like_a_varied_sample_of_signal(folder, ntuples):
    shifted = varied("signal", ntuples["signal"], generated=2000, branches={"px1": "px1_up"})
    of = {"samples": {"signal": {"up": "v"}}}
    manifest = make_manifest({**ntuples, "v": shifted}, systematics={"s": of})
    write_manifest(folder / "data_manifest.yaml", manifest)
    write_ntuple(folder / "x.root", make_events(3, 50, 2.0), names={"px1": "px1_up"})
    untrained().save(folder / "net", ONE_WINDOW, {}, {}, cut=0.0)
    said = run_here("predict", "x.root", "--network", folder / "net", "--dataset", "v")
    assert "50 entries" in said


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii", "RANK": "abc", "WORLD_SIZE": "4", "TERM": "dumb"},
        {"PYTHONIOENCODING": "latin-1", "RANK": "1", "COLUMNS": "10", "TZ": "Nowhere"},
        dict.fromkeys(("HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "TMPDIR"), "/proc/nowhere"),
    ],
)
def test_any_environment_will_do(folder, environment):
    how = {"env": {**os.environ, **environment}, "encoding": "utf-8", "errors": "replace"}
    done = run(*PUNZINET, *FEATURES, folder=folder, **how)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert (folder / "output" / ".stages" / "features.json").exists()
    assert done.stdout.isascii() or environment.get("PYTHONIOENCODING") != "ascii"


def test_who_reads_no_further_loses_nothing(folder):
    reading, writing = os.pipe()
    os.close(reading)
    command, said = (*PUNZINET, *FEATURES), {"stdout": writing, "stderr": subprocess.PIPE}
    done = subprocess.run(command, cwd=folder, **said, text=True, check=True)
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert (folder / "output" / ".stages" / "features.json").exists()


def test_a_traceback_is_shown_if_asked_for(folder):
    done = run(*PUNZINET, "--debug", "features", "--manifest", "no.yaml", folder=folder)
    assert "Traceback" in done.stderr
