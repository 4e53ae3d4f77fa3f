"""All stages: each declares what it reads, follows, writes and does."""

from punzinet.stages.features import DATA, FEATURES, VARIATIONS
from punzinet.stages.limits import LIMITS, SHAPE
from punzinet.stages.paper import BASELINES, PAPER
from punzinet.stages.plot import PLOT, REPORT
from punzinet.stages.select import SELECT
from punzinet.stages.simulate import SIMULATE
from punzinet.stages.train import TRAIN
from punzinet.stages.validate import VALIDATE

#: In the order in which they run; the last ones are optional.
STAGES = (SIMULATE, FEATURES, VARIATIONS, DATA, TRAIN, SELECT, LIMITS, PLOT, REPORT, PAPER,
          BASELINES, SHAPE, VALIDATE)  # fmt: skip
#: Commands of the chain from nothing to figures.
CHAIN = ("simulate", "features", "train", "select", "limits", "plot")
