"""The worked example from pseudo-data to the opened box, on a small sample."""

import re

import pytest
from commands import run_here
from outputs import draft
from pages import ROOT, blocks
from small_data import write_manifest
from small_runs import with_data

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.limits.observed import Observation
from punzinet.plots import style

MASSES = (1.5, 2.5, 2.6)
SETTINGS = {
    "limits": {"experiments": 100},
    "training": {"finish": 5, "pretraining": {"epochs": 10}, "punzi": {"epochs": 10}},
    "systematics": {"rate": {"normalisation": {"tautau": 0.1}}},
}
REHEARSAL, UNBLINDING, BLINDED = blocks("sh", ROOT / "docs" / "observed.md")


def punzinet(*command):
    return " ".join(run_here(*command).split())


def execute(block):
    """What the commands of the page say."""
    commands = re.findall(r"^punzinet (.*)$", block, re.MULTILINE)
    assert commands
    return {command: punzinet(*command.split()) for command in commands}


@pytest.fixture(scope="module")
def output(tmp_path_factory, ntuples):
    """The chain up to the selection of blinded data, in the current folder."""
    folder = tmp_path_factory.mktemp("observed")
    write_manifest(folder / "data_manifest.yaml", with_data(folder, ntuples, MASSES, **SETTINGS))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(style, "save", draft)
        for command in (["features"], ["train", "--networks", "1"], ["select"]):
            punzinet(*command)
        yield OutputFolder(folder / "output")


def drawn(output):
    """What figures of the observation say, by name."""
    found = output.plots.glob("observed_*.txt")
    return {path.stem: path.read_text() for path in found}


def test_the_commands_of_the_page_rehearse_open_the_box_and_close_it(output):
    said = execute(REHEARSAL)
    one = Observation.read(output.observed)
    assert (one.source, one.injected, one.luminosity) == ("pseudo-data", {2.5: 3.0}, 50.0)
    assert "Pseudo-data of background and 3 fb at 2.5 GeV" in said["limits --inject 2.5:3fb"]
    assert set(drawn(output)) == {"observed_p_value", "observed_cross_section"}
    for text in drawn(output).values():
        assert "Pseudo-data (Simulation)" in text
    page = output.report.read_text()
    assert "Pseudo-data of background" in page
    assert "Systematic effects behind the single cut" in page
    assert page.count("By exact Poisson sums where not said") == 1  # below the limits alone
    assert "limits: pseudo-data is observed (--inject 2.5:3fb)." in punzinet("status")
    hidden = r"has hidden data; .* run `punzinet features --unblind` first"
    with pytest.raises(InputError, match=hidden):
        punzinet("limits", "--unblind")
    assert "limits: up to date" in punzinet("limits", "--inject", "2.5:3fb")

    said = execute(UNBLINDING)["limits --unblind"]
    one = Observation.read(output.observed)
    assert (one.source, one.injected, one.luminosity) == ("data", {}, 30.0)
    assert "Data, 30 fb⁻¹" in said
    assert "is scaled from the target of 50 fb⁻¹" in said
    assert re.search(r"Most significant is .* \(100 pseudo-experiments; .* by upcrossings\)", said)
    assert "limits: all of the data is observed." in punzinet("status")
    for text in drawn(output).values():
        assert style.DATA_LABEL in text
        assert "30" in text
        assert "seudo-data" not in text
    assert "Pseudo-data" not in output.report.read_text()

    said = execute(BLINDED)["limits"]
    assert "Expected upper limits" in said
    assert not output.observed.exists()
    assert not drawn(output)
    assert "observed" not in punzinet("status")
    assert not list(output.limits.parent.glob("**/observed*"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--unblind", "--inject", "2.5:1fb"], "but not both"),
        (["--inject", "2.4:1fb"], "2.4 GeV is none of the masses .* inject 1.5 or 2.5 GeV instead"),
        (["--inject", "1fb"], "should read like 2.5:3fb"),
    ],
)
def test_what_cannot_be_observed_leaves_the_last_limits_as_they_are(output, options, sentence):
    punzinet("limits")
    before = output.limits.read_bytes()
    with pytest.raises(InputError, match=sentence):
        punzinet("limits", *options)
    assert output.limits.read_bytes() == before
    assert "limits: up to date" in punzinet("limits")
