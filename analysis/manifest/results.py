"""Settings of what is made of trained networks: limits, baselines, the paper's ensembles."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: Relative uncertainty. Above 1 a log-normal factor says nothing any more.
Uncertainty = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
BatchSize = Annotated[int, Field(ge=1)]


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


class BaselineSettings(BaseModel):
    """What is compared with the Punzi-net."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trees: int = Field(100, ge=1, description="boosted trees, one after the other")
    ranking_events: int = Field(
        100_000, ge=1, description="events of signal, and of background, that rank observables"
    )
    background_uncertainty: float = Field(
        0.1,
        gt=0,
        le=10,
        description="relative uncertainty of all background in the study of systematics, where "
        "`figure_of_merit` has none",
    )


class PaperSettings(BaseModel):
    """How much work goes into the reproduction of the paper.

    The recipe is that of the section `training`, of which only the batch size and the number of
    networks are changed. The paper averages over 25 networks everywhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    networks: int = Field(
        25, ge=2, description="networks of the main study: batches as in `training.punzi`"
    )
    unbatched_networks: int = Field(
        10, ge=2, description="networks trained without batches, for Fig. 2, 3 and 4"
    )
    further_batch_sizes: tuple[BatchSize, ...] = Field(
        (25_000, 200_000), description="other batch sizes whose losses Fig. 2 shows"
    )
    further_networks: int = Field(
        3,
        ge=2,
        description="networks of each of these batch sizes, and of each variation of the recipe "
        "(`--studies`)",
    )
