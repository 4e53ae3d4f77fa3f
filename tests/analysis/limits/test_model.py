import numpy as np
import pyhf
import pytest

from punzinet.analysis.limits.model import Background, CountingExperiment, Yields
from punzinet.analysis.manifest.sections import LimitSettings


def yields(background: list[float], error: list[float], efficiency: float = 0.2) -> Yields:
    """Yields of one hypothesis."""
    return Yields(
        backgrounds=("tautau", "eemumu"),
        efficiency=np.array([efficiency]),
        efficiency_error=np.array([0.01 * efficiency]),
        background=np.array(background)[:, None],
        background_error=np.array(error)[:, None],
        typical_weight=np.array([0.3]),
    )


def experiment_of(content: Yields, **settings: object) -> CountingExperiment:
    experiment = CountingExperiment.of(content, 0, 2.5, 50.0, LimitSettings(**settings))
    assert experiment is not None
    return experiment


def test_signal_is_that_of_one_femtobarn() -> None:
    assert experiment_of(yields([3.0, 1.0], [1.0, 0.5])).signal == pytest.approx(0.2 * 50)


def test_effective_events_are_those_of_a_poisson_count() -> None:
    weight, count = 0.3, 7
    experiment = experiment_of(yields([count * weight, 0.0], [weight * np.sqrt(count), 0.0]))
    assert [b.name for b in experiment.backgrounds] == ["tautau"]
    assert experiment.backgrounds[0].effective == pytest.approx(count)


def test_where_nothing_is_left_half_an_event_stands_for_it() -> None:
    (unseen,) = experiment_of(yields([0.0, 0.0], [0.0, 0.0])).backgrounds
    assert unseen == Background("unseen", 0.15, 0.5, ("background", 0.1))


def test_no_signal_no_limit() -> None:
    empty = yields([1.0, 1.0], [1.0, 1.0], efficiency=0.0)
    assert CountingExperiment.of(empty, 0, 2.5, 50.0, LimitSettings()) is None


def test_one_uncertainty_is_common_and_several_are_independent() -> None:
    content = yields([3.0, 1.0], [1.0, 0.5])
    common = experiment_of(content).workspace()
    own = experiment_of(content, background_uncertainty={"tautau": 0.2, "eemumu": 0.3}).workspace()
    names = [
        [m["name"] for s in w["channels"][0]["samples"][1:] for m in s["modifiers"]
         if m["name"].startswith("background")]
        for w in (common, own)
    ]  # fmt: skip
    assert names == [["background"] * 2, ["background_tautau", "background_eemumu"]]


def test_workspace_is_histfactory_and_expects_what_the_yields_say() -> None:
    experiment = experiment_of(yields([3.0, 1.0], [1.0, 0.5]))
    spec = experiment.workspace()
    workspace = pyhf.Workspace(spec)
    model = workspace.model()
    parameters = np.array(model.config.suggested_init())
    for cross_section in (0.0, 0.7):
        parameters[model.config.poi_index] = cross_section
        expected = model.expected_actualdata(parameters)
        assert expected == pytest.approx([4.0 + 10.0 * cross_section])
    assert workspace.data(model, include_auxdata=False) == [4.0]


def test_normal_systematics_are_log_normal() -> None:
    spec = experiment_of(yields([3.0, 1.0], [1.0, 0.5])).workspace()
    factors = [
        m["data"] for s in spec["channels"][0]["samples"] for m in s["modifiers"]
        if m["type"] == "normsys"
    ]  # fmt: skip
    assert factors
    for factor in factors:
        assert factor["hi"] * factor["lo"] == pytest.approx(1)
