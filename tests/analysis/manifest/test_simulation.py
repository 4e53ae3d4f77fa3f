"""Settings of the simulation: they survive the manifest, and nonsense is refused."""

import pytest
from pydantic import ValidationError

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.manifest.sections import Scale, SimulationSettings


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
        {"seed": -1},
        {"scales": {"small": {"luminosity": 0, "signal_events": 1}}},
        {"detector": {"photon_los": 1.0}},
        {"detector": {"momentum_resolution": 0}},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SimulationSettings.model_validate(wrong)
