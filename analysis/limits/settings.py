"""Settings of the upper limits: confidence level and systematic uncertainties."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: Relative uncertainty. Above 1 a log-normal factor says nothing any more.
Uncertainty = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class LimitSettings(BaseModel):
    """What the limits assume beside the yields and their finite simulated samples.

    The defaults of background and efficiency are of the size that searches of this kind quote
    and stand in for a measurement in control samples, which simulation alone cannot give.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence_level: float = Field(
        0.9, gt=0.5, lt=1, description="confidence level of the limits, by the CLs method"
    )
    background_uncertainty: Uncertainty | dict[str, Uncertainty] = Field(
        0.1,
        description="relative uncertainty of the expected background: one number is common to all "
        "processes, one for each background process makes them independent",
    )
    efficiency_uncertainty: Uncertainty = Field(
        0.05, description="relative uncertainty of the signal efficiency"
    )
    luminosity_uncertainty: Uncertainty = Field(
        0.01, description="relative uncertainty of the luminosity, common to all processes"
    )
    cross_sections: str | None = Field(
        None,
        description="JSON file with sigma/g'^2 by mass, relative to the manifest; by default that "
        "of the simulation",
    )
