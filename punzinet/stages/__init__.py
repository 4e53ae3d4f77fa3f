"""All stages: each stands in one file, which declares what it reads, follows, writes and does."""

from punzinet.stages.features import DATA, FEATURES, SIMULATE
from punzinet.stages.paper import PAPER
from punzinet.stages.results import LIMITS, PLOT, REPORT, SELECT
from punzinet.stages.train import BASELINES, TRAIN
from punzinet.stages.validate import VALIDATE

#: In the order in which they run, those last that not everybody needs.
STAGES = (SIMULATE, FEATURES, DATA, TRAIN, SELECT, LIMITS, PLOT, REPORT, PAPER, BASELINES,
          VALIDATE)  # fmt: skip
#: Commands of the chain from nothing to figures.
CHAIN = ("simulate", "features", "train", "select", "limits", "plot")
