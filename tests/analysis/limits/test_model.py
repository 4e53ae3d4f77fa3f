"""Statistical models of yields, and as pyhf and HEPData understand them."""

import numpy as np
import pyhf
import pytest

from punzinet.analysis.limits.hepdata import hepdata_reaction
from punzinet.analysis.limits.model import Background, CountingExperiment, Yields
from punzinet.analysis.manifest.sections import LimitSettings
from punzinet.analysis.search import RECOIL


def experiment_of(background, error, efficiency=0.2, **settings):
    yields = Yields(
        backgrounds=("tautau", "eemumu"),
        efficiency=np.array([efficiency]),
        efficiency_error=np.array([0.01 * efficiency]),
        background=np.array(background)[:, None],
        background_error=np.array(error)[:, None],
        typical_weight=np.array([0.3]),
    )
    return CountingExperiment.of(yields, 0, 2.5, 50.0, LimitSettings(**settings))


def test_effective_events_are_those_of_a_poisson_count():
    weight, count = 0.3, 7
    (one,) = experiment_of([count * weight, 0.0], [weight * np.sqrt(count), 0.0]).backgrounds
    assert one.name == "tautau"
    assert one.effective == pytest.approx(count)


def test_half_an_event_stands_for_no_background_and_no_signal_has_no_limit():
    (unseen,) = experiment_of([0.0, 0.0], [0.0, 0.0]).backgrounds
    assert unseen == Background("unseen", 0.15, 0.5, ("background", 0.1))
    assert experiment_of([1.0, 1.0], [1.0, 1.0], efficiency=0.0) is None


@pytest.mark.parametrize(
    ("uncertainty", "names"),
    [
        (0.1, ["background", "background"]),
        ({"tautau": 0.2, "eemumu": 0.3}, ["background_tautau", "background_eemumu"]),
    ],
)
def test_one_uncertainty_is_common_and_several_are_independent(uncertainty, names):
    experiment = experiment_of([3.0, 1.0], [1.0, 0.5], background_uncertainty=uncertainty)
    samples = experiment.workspace()["channels"][0]["samples"]
    factors = [m for s in samples for m in s["modifiers"] if m["type"] == "normsys"]
    assert [m["name"] for m in factors if m["name"].startswith("background")] == names
    for factor in factors:  # log-normal
        assert factor["data"]["hi"] * factor["data"]["lo"] == pytest.approx(1)


def test_workspace_is_histfactory_and_expects_what_the_yields_say():
    workspace = pyhf.Workspace(experiment_of([3.0, 1.0], [1.0, 0.5]).workspace())
    model = workspace.model()
    parameters = np.array(model.config.suggested_init())
    for cross_section in (0.0, 0.7):
        parameters[model.config.poi_index] = cross_section
        expected = model.expected_actualdata(parameters)
        assert expected == pytest.approx([4.0 + 0.2 * 50 * cross_section])
    assert workspace.data(model, include_auxdata=False) == [4.0]


@pytest.mark.parametrize(
    ("mathtext", "words"),
    [
        (RECOIL.reaction, "E+ E- --> MU+ MU- Z'"),
        (r"e^+e^-\to\gamma X", "E+ E- --> GAMMA X"),
        (r"\mathrm{e}^{+}e^-\to\mu^+\mu^-\phi", "E+ E- --> MU+ MU- PHI"),
    ],
)
def test_reactions_are_written_as_hepdata_does(mathtext, words):
    assert hepdata_reaction(mathtext) == words
