"""Every hyperparameter of the training, in one block."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from punzinet.analysis.folds import Folds
from punzinet.analysis.manifest.sections import Positive, Section

Width = Annotated[int, Field(ge=1, le=1024)]


class PretrainingSettings(Section):
    """Weighted binary cross-entropy, without which the Punzi-loss does not converge."""

    # The paper's recipe (EPJC 82, 121, section 5): 200 epochs of SGD in batches of 2048 at
    # learning rate 1, halved after 10 epochs without improvement.
    epochs: int = Field(200, ge=0)
    """passes over the training sample"""
    batch_size: int | None = Field(2048, ge=1)
    """events a step; null for all at once"""
    learning_rate: Positive = 1.0
    """of SGD at the start"""
    patience: int = Field(10, ge=1)
    """epochs without a better validation loss that halve the rate"""
    signal_weights: Literal["total", "hypothesis"] = "hypothesis"
    """'total' scales all signal weights by one factor so that their sum is the background's, as in
    the paper; 'hypothesis' gives every hypothesis an equal share of that sum, so that one with few
    accepted events is not given up"""
    # What the Punzi-loss has settings for: here no average, and no limit.
    smoothing: ClassVar[int] = 1
    max_step: ClassVar[float | None] = None


class PunziSettings(Section):
    """The Punzi-loss: the average of σ_min over all training hypotheses, in fb."""

    # The paper's recipe: 2000 epochs of SGD in batches of 50 000 at learning rate 5e-4, halved on
    # a plateau. The rate goes with its sample: on the default data networks learn too slowly with
    # it. The step limit is ours; it keeps one hypothesis with hardly any signal left from throwing
    # the parameters away, and leaves the optimum where it is.
    epochs: int = Field(1000, ge=0)
    """passes over the training sample"""
    batch_size: int | None = Field(50_000, ge=1)
    """events a step; null for all at once"""
    learning_rate: Positive = 1e-2
    """of SGD at the start, per fb"""
    patience: int = Field(60, ge=1)
    """epochs without a better validation loss that halve the rate"""
    smoothing: int = Field(10, ge=1)
    """epochs over which that loss is averaged (exponentially) for it"""
    max_step: Positive | None = 0.02
    """longest step in parameter space (Euclidean norm); null for no limit"""


class TrainingSettings(Section):
    """What is trained, on which events, and where."""

    networks: int = Field(1, ge=1)
    """independently initialised networks"""
    seed: int = Field(1, ge=0)
    """seed of initial parameters and of shuffling"""
    hidden: tuple[Width, ...] = Field((8, 4), min_length=1)
    """units of hidden layers"""
    validation_fold: int = Field(4, ge=0, le=4)
    """fold (of 5) that chooses: the best epoch and the cuts"""
    test_fold: int | None = Field(3, ge=0, le=4, validate_default=True)
    """fold (of 5) that judges: everything quoted is measured on it; null to judge by the validation
    fold, as in the paper"""
    device: str = "cpu"
    """'cpu' runs compiled kernels; any other name is a device of PyTorch, such as cuda or mps,
    whose automatic differentiation is used there (cpu:0 for it on the CPU)"""
    storage: Literal["memory", "disk"] = "memory"
    """where the events lie that are trained on: in memory, or, if they are more than it holds, in
    files of the output folder that are mapped into it"""
    significance_cross_section: Positive | None = None
    """of every signal, in fb: with it, 1/Z² of the significance Z = S/√(S+B) (arXiv:1806.00322),
    averaged over the hypotheses, takes the place of the Punzi-loss"""
    finish: int = Field(400, ge=0)
    """quasi-Newton steps (L-BFGS) with all events at once, at most, that follow in both phases from
    the best epoch on, until 60 of them bring no better validation loss; 0 for none, as in the
    paper"""
    pretraining: PretrainingSettings = PretrainingSettings()
    """recipe of the weighted cross-entropy"""
    punzi: PunziSettings = PunziSettings()
    """recipe of the Punzi-loss"""

    @field_validator("test_fold")
    @classmethod
    def _folds_differ(cls, fold: int | None, info: ValidationInfo) -> int | None:
        if fold is not None and fold == info.data.get("validation_fold"):
            raise ValueError("events of one fold cannot both validate and test")
        return fold

    @property
    def folds(self) -> Folds:
        """Which events train, validate and test."""
        return Folds(self.validation_fold, self.test_fold)

    @property
    def loss(self) -> Literal["punzi", "significance"]:
        """What follows the pretraining."""
        return "punzi" if self.significance_cross_section is None else "significance"
