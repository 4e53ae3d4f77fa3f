"""What the manifest sets about the default data: how much of it, its seed, two of its errors."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from punzinet.analysis.io.errors import InputError

Positive = Annotated[float, Field(gt=0)]


class _Settings(BaseModel):
    """A section of the manifest: no unknown keys, no changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DetectorSettings(_Settings):
    """Factors on what is least known of the simulated detector; 1 is the default detector."""

    momentum_resolution: Positive = Field(
        1.0, description="factor on the resolution of the muons' transverse momentum"
    )
    photon_loss: Positive = Field(
        1.0, description="factor on the chance that the calorimeter misses a hard photon"
    )


class Scale(_Settings):
    """How much to simulate."""

    luminosity: Positive = Field(
        description="simulated luminosity of every background, fb^-1; its events weigh 1, hence "
        "the target luminosity over this once normalised"
    )
    signal_events: int = Field(gt=0, description="generated signal events at each mass")


class SimulationSettings(_Settings):
    """The default data."""

    seed: int = Field(20211005, ge=0, description="seed of everything that is simulated")
    scales: dict[str, Scale] = Field(
        {
            "default": Scale(luminosity=200.0, signal_events=5000),
            "paper": Scale(luminosity=1000.0, signal_events=20000),
        },
        description="sizes of the sample; `paper` is that of arXiv:2110.00810, section 6",
    )
    detector: DetectorSettings = Field(
        DetectorSettings(), description="variations of the simulated detector"
    )

    def size(self, scale: str) -> Scale:
        """How much a scale simulates.

        Raises:
            InputError: If there is no such scale.
        """
        if scale not in self.scales:
            raise InputError(
                f"There is no scale {scale!r} in `simulation.scales`; "
                f"choose one of {', '.join(self.scales)}."
            )
        return self.scales[scale]
