"""What is reproduced of the paper, and with how many networks."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

BatchSize = Annotated[int, Field(ge=1)]


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
    further_networks: int = Field(3, ge=1, description="networks of each of these batch sizes")
    variation_networks: int = Field(
        3, ge=2, description="networks of each variation of the recipe (`--studies`)"
    )
    replicas: int = Field(
        100, ge=2, description="resampled samples behind the errors from finite simulation"
    )
