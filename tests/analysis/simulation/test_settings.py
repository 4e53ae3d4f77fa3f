"""Settings of the simulation: every value can be set, explained, and refused."""

import pytest
from pydantic import BaseModel, ValidationError

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.simulation.settings import DetectorSettings, Scale, SimulationSettings


def sections(model: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [f.annotation for f in model.model_fields.values()]
    nested = [m for m in inner if isinstance(m, type) and issubclass(m, BaseModel)]
    return [model, *(s for m in nested for s in sections(m))]


@pytest.mark.parametrize("section", [*sections(SimulationSettings), Scale])
def test_every_setting_says_what_it_is(section: type[BaseModel]) -> None:
    for name, field in section.model_fields.items():
        assert field.description, f"{section.__name__}.{name}"


def test_survives_a_round_trip_through_the_manifest() -> None:
    settings = SimulationSettings(seed=7)
    assert SimulationSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_scales_are_those_of_the_search_and_of_the_paper() -> None:
    settings = SimulationSettings()
    assert settings.size("default").luminosity >= 4 * 50
    assert settings.size("paper") == Scale(luminosity=1000.0, signal_events=20000)


def test_unknown_scale_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'huge'.*default, paper"):
        SimulationSettings().size("huge")


@pytest.mark.parametrize(
    "wrong",
    [
        {"energy_spreed": 0.1},
        {"energy_spread": -0.1},
        {"muons": {"barrel_efficiency": 1.1}},
        {"calorimeter": {"gaps": [[31.4]]}},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DetectorSettings.model_validate(wrong)
