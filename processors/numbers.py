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

    InputError if a weight is negative or too large, all are zero or missing, most events are
    impossible, not one entry is usable, or rows have the identity of one event that cannot all be
    of it.
    """
    for name, group in itertools.groupby(chunks, lambda chunk: chunk.dataset):
        own = list(group)
        (read, *others) = candidates.merge_cutflows(chunks[chunk]["cutflow"] for chunk in own)
        counts = {line["step"]: line["entries"] for line in others if line["entries"]}
        lost = {step: counts.pop(step) for step in _UNUSABLE if step in counts}
        none = read["entries"] == sum(lost.values())
        # Signal of no hypothesis weighs nothing; squares of what weighs less than this may be zero.
        least = read["entries"] / candidates.LARGEST
        weightless = read["weight"] <= least and candidates.NO_HYPOTHESIS not in counts
        negative, large, impossible = sum(chunks[chunk]["odd"] for chunk in own)
        impossible *= 2 * impossible > read["entries"]  # else they may be badly measured
        branch = (datasets[name].columns or BRANCHES).get("weight", "which no branch has")
        variable, hint = datasets[name].search.variable.name, "are momenta in GeV, `missing` said?"
        file = next((c.file for c in own if chunks[c]["odd"].any()), own[0].file)
        for count, problem in (
            (negative, f"have a negative weight ({branch}), with which nothing can be trained"),
            (large, f"have a weight ({branch}) of {candidates.LARGEST:g} or more once scaled"),
            (weightless * read["entries"], f"have no weight to speak of ({branch})"),
            (impossible, f"have a {variable} that none has at these beams ({hint})"),
            (none * read["entries"], f"cannot be used ({', '.join(lost)})"),
        ):
            if count:
                raise InputError(
                    f"Dataset {name}: {count} of its {read['entries']} entries {problem}, first in "
                    f"{file}; correct its branches, or leave it out."
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

    All of it is of one period, whose share of the luminosity is part of the correction.

    The number of events that pass is never larger than that of all; what fluctuates is their
    weights. Further candidates of an event may come on top. InputError names the first mass.
    """
    signal = [chunk for chunk in chunks if datasets[chunk.dataset].is_signal]
    dataset = datasets[signal[0].dataset]
    usable, _, inside, weight, squares = sum(chunks[chunk]["hypotheses"] for chunk in signal).T
    scale = np.where(dataset.scale > 0, dataset.scale, np.inf)  # 0 if that mass has other datasets
    generated = correction / scale
    variance = np.maximum(squares - weight**2 / np.maximum(usable, 1), 0) / scale**2
    found = np.maximum(weight / scale, inside * generated)
    limit = generated * (1 + 1e-9) + FLUCTUATION * np.sqrt(variance)
    for m in np.flatnonzero(found > limit + sum(chunks[chunk]["further"] for chunk in signal)):
        raise InputError(
            f"Dataset {', '.join({chunk.dataset: 0 for chunk in signal})}: the weights of "
            f"{usable[m]:.0f} usable entries of {dataset.hypotheses[m]:g} GeV sum up to "
            f"{found[m]:.6g}, an efficiency of {found[m] / generated[m]:.4g} of {generated[m]:.6g} "
            "generated events; correct `generated`, which counts events before any selection, the "
            "weights or `corrections`."
        )
