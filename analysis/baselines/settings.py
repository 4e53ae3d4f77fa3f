"""Settings of the baselines, in one block."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TreeSettings(BaseModel):
    """Histogram gradient boosting with scikit-learn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trees: int = Field(100, ge=1, description="boosted one after the other")
    learning_rate: Positive = Field(0.1, description="share of each tree's answer that is added")
    leaves: int = Field(15, ge=2, description="most leaves of a tree")
    events_per_leaf: int = Field(200, ge=1, description="fewest training events of a leaf")


class BaselineSettings(BaseModel):
    """What is compared with the Punzi-net."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trees: TreeSettings = Field(TreeSettings(), description="recipe of the boosted trees")
    ranking_events: int = Field(
        100_000, ge=1, description="events of signal, and of background, that rank observables"
    )
    repetitions: int = Field(5, ge=2, description="permutations that rank each observable")
    masses_per_range: int = Field(
        4, ge=1, description="neighbouring training masses that share rectangular cuts"
    )
    significance_learning_rate: Positive = Field(
        1.0, description="of the significance loss, whose slopes are not those of a σ_min in fb"
    )
    background_uncertainty: float = Field(
        0.1,
        gt=0,
        le=10,
        description="relative uncertainty of all background in the study of systematics, where "
        "`figure_of_merit` has none",
    )
