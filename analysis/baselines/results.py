"""Baselines judged as networks are: cuts chosen on validation events, σ_min on test events.

What they achieve at every mass has the form of sensitivity.json.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import TypeAdapter

from punzinet.analysis.baselines.rectangular_cuts import RectangularCuts
from punzinet.analysis.cuts import interpolated_cuts
from punzinet.analysis.evaluation import Judge
from punzinet.analysis.io.files import OrInfinite, read_result, write_json
from punzinet.analysis.sensitivity import Judged, Selection
from punzinet.analysis.types import FloatArray


@dataclass(frozen=True, eq=False)
class Baseline:
    """What one way of selecting events achieves."""

    label: str  # how figures and tables call it
    selection: Selection
    mean_error: OrInfinite  # of the mean σ_min over the training hypotheses in fb, from the sample


_BASELINES = TypeAdapter(dict[str, Baseline])


@dataclass(frozen=True, eq=False)
class Baselines(Judged):
    """What several ways of selecting events, in the order of tables, achieve on the same events."""

    baselines: dict[str, Baseline]

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write them as JSON; what is infinite there is null."""
        entries = _BASELINES.dump_python(self.baselines)
        for name, entry in entries.items():  # columns stand beside the rest
            entries[name] = entry | entry.pop("selection")
        self._write(path, provenance, baselines=entries)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; InputError if the file is absent or something else."""
        with read_result(path, "baselines", "punzinet baselines") as content:
            entries = content["baselines"].items()
            found = _BASELINES.validate_python({name: {**e, "selection": e} for name, e in entries})
            selections = [one.selection for one in found.values()]
            return cls(*cls._frame(content, selections), found)


def judge_scores(
    judge: Judge, label: str, in_validation: FloatArray, in_judging: FloatArray
) -> dict[str, Baseline]:
    """Judge a classifier by its outputs before the sigmoid for the events of both folds.

    There are ``interpolated``, the best cut of each training hypothesis interpolated to the others,
    and ``single``, the one cut that is best; as for networks, validation events choose.
    """
    chooses, known = judge.folds["validation"].rank(in_validation), judge.training
    events, (best, single) = judge.judging_fold.rank(in_judging), judge.cuts(chooses)
    cuts = interpolated_cuts(judge.mass[known], best[known], judge.mass)
    return {
        "interpolated": Baseline(f"{label}, interpolated cuts", *judge.judge(events, cuts)),
        "single": Baseline(f"{label}, one cut", *judge.judge(events, single)),
    }


def judge_rectangular(judge: Judge, label: str, cuts: RectangularCuts) -> Baseline:
    """Judge cuts on the features; the mean is uncertain as if all windows varied together."""
    fold, columns = judge.judging_fold, []
    for h in range(len(judge.mass)):
        passes = cuts.passes(fold.events.features, h).astype(np.float64)
        one, _ = judge.judge(fold.rank(passes), 0.5)
        columns.append([column[h] for column in astuple(one)])
    _, *achieved = np.array(columns).T
    selection = Selection(np.full(len(columns), np.inf), *achieved)  # of no output
    return Baseline(label, selection, float(selection.sigma_min_error[judge.training].mean()))


@dataclass(frozen=True, eq=False)
class Ranking:
    """How important observables are to boosted trees, the most important one first."""

    names: tuple[str, ...]
    importance: FloatArray  # growth of the cross-entropy when each is permuted
    error: FloatArray  # standard deviation of that between permutations
    separation: FloatArray  # area under the ROC curve of each by itself, at least 0.5

    def write(self, path: Path, provenance: Mapping[str, Any], cross_entropy: float) -> None:
        """Write the table as JSON, with the cross-entropy of the trees with all observables."""
        keys = ("rank", "observable", "importance", "error", "auc")
        columns = (np.asarray(column).tolist() for column in vars(self).values())
        rows = zip(range(1, len(self.names) + 1), *columns, strict=True)
        content = {"provenance": dict(provenance), "cross_entropy": cross_entropy}
        write_json(path, content | {"observables": [dict(zip(keys, r, strict=True)) for r in rows]})
