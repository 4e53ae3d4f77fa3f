"""Numbers that cannot be, by what processors count of them in the chunks of each dataset.

They are refused here and not where they are found: what is wrong in some chunks is no part of a
dataset that could be left out.
"""

import itertools
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.processors import candidates
from punzinet.processors.datasets import Chunk, DatasetInfo

#: Rows of one event, on average, that no reconstruction leaves in a file.
ROWS_PER_EVENT: Final = 50
#: Standard deviations of a sum of weights; there is one such sum for each of many masses.
FLUCTUATION: Final = 5.0
_UNUSABLE = (
    *(candidates.FURTHER, candidates.SEVERAL, candidates.SAME_CHARGE),
    *(candidates.NOT_FINITE, candidates.NOT_FINITE_COLUMN),
)


def check_numbers(datasets: Mapping[str, DatasetInfo], chunks: Mapping[Chunk, Any]) -> None:
    """Refuse datasets, by the results of a `PeakProcessor` or `FeatureProcessor` for their chunks.

    InputError if a weight is negative or too large, all are zero or missing, not one entry is
    usable, or rows have the identity of one event that cannot all be of it.
    """
    for name, group in itertools.groupby(chunks, lambda chunk: chunk.dataset):
        own = list(group)
        due, above, below, large = sum(chunks[chunk]["weights"] for chunk in own)
        branch = (datasets[name].columns or BRANCHES).get("weight", "of weights")
        advice = "correct the branch, or say which number is `missing`"
        for count, kind, what in (
            (below, 2, "negative, with which nothing can be trained"),
            (large, 3, f"{candidates.LARGEST:g} or more once it is scaled"),
            (0 if above else due, 0, "zero or missing"),
        ):
            if count:
                file = next(chunk.file for chunk in own if chunks[chunk]["weights"][kind])
                raise InputError(
                    f"Dataset {name}: the weight of {count} of {due} entries is {what} (branch "
                    f"{branch}, first in {file}); {advice}."
                )
        lines = candidates.merge_cutflows(chunks[chunk]["cutflow"] for chunk in own)
        lost = {line["step"]: line["entries"] for line in lines if line["step"] in _UNUSABLE}
        if 0 < (entries := lines[0]["entries"]) == sum(lost.values()):
            why = ", ".join(f"{count} {step}" for step, count in lost.items())
            raise InputError(
                f"Dataset {name}: not one of its {entries} entries can be used ({why}); correct "
                "`branches`, or leave the dataset out."
            )
        for file, parts in itertools.groupby(own, lambda chunk: chunk.file):
            rows = np.array([[chunk.entries, chunks[chunk].get("further", 0)] for chunk in parts])
            entries, further = rows.sum(axis=0)
            if entries > ROWS_PER_EVENT * (entries - further):
                raise InputError(
                    f"Dataset {name}: the {entries} entries of {file} are {entries - further} "
                    "events by their experiment, run, event and production number; correct these "
                    "branches, which have to tell events apart."
                )


def check_efficiencies(
    datasets: Mapping[str, DatasetInfo], chunks: Mapping[Chunk, Any], correction: float
) -> None:
    """Refuse signal of which more is usable than was generated, by results of a `FeatureProcessor`.

    The number of events that pass is never larger than that of all; what fluctuates is their
    weights. Further candidates of an event may come on top. InputError names the first mass.
    """
    parts = {chunk: part for chunk, part in chunks.items() if datasets[chunk.dataset].is_signal}
    dataset = datasets[next(iter(parts)).dataset]
    further = sum(part["further"] for part in parts.values())
    sums = sum(part["hypotheses"] for part in parts.values())
    (usable, _, inside, *_), generated = sums.T, correction / dataset.scale
    weight, squares = sums.T[3] / dataset.scale, sums.T[4] / dataset.scale**2
    variance = np.maximum(squares - weight**2 / np.maximum(usable, 1), 0.0)
    found = np.maximum(weight, generated * inside)
    limit = generated * (1 + 1e-9) + FLUCTUATION * np.sqrt(variance) + further
    names = ", ".join(dict.fromkeys(chunk.dataset for chunk in parts))
    for m in np.flatnonzero(found > limit):
        raise InputError(
            f"Dataset {names}: the weights of the {usable[m]:.0f} usable entries of "
            f"{dataset.hypotheses[m]:g} GeV sum up to {found[m]:.6g}, an efficiency of "
            f"{found[m] / generated[m]:.4g} of {generated[m]:.6g} generated events; correct "
            "`generated`, which counts events before any selection, the weights or `corrections`."
        )
