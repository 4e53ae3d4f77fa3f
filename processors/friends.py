"""Friend trees of ntuples, for use elsewhere.

A friend tree holds the output of a trained network for every entry of the ntuple, in the same
order: in ROOT, ``tree->AddFriend("punzinet", "file.punzinet.root")``. Momenta, beams and columns
are read as those of a dataset of the manifest: its aliases, its frame, what stands for a missing
value. Where one of them is no finite number, nor are output, features and window variable, and the
entry is not selected. What else `punzinet select` asks for, one candidate of an event or muons of
opposite charge, is not asked for here.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from coffea.nanoevents import BaseSchema, NanoEventsFactory
from numpy.typing import NDArray
from scipy.special import expit

from punzinet.analysis.features import MuonPairs
from punzinet.analysis.io.output import digest
from punzinet.analysis.io.reproducible_root import create_root_file
from punzinet.analysis.saved_network import SavedNetwork
from punzinet.processors.candidates import Columns
from punzinet.processors.datasets import METADATA, DatasetInfo, as_json, split
from punzinet.processors.opening import open_file
from punzinet.processors.preflight import InputFile

TREE = "punzinet"  # name of the friend tree


class Prediction(NamedTuple):
    """What became of a file."""

    entries: int  # that were written
    selected: int  # with an output of at least the cut
    undefined: int  # without an output, because an input is not a finite number


def predict_file(
    file: InputFile,
    saved: SavedNetwork,
    dataset: DatasetInfo,
    target: Path,
    *,
    chunk_size: int,
    advance: Callable[[int], None],
) -> Prediction:
    """Write the friend tree of one ntuple, which is read like the dataset, chunk by chunk.

    Search and single cut are those of the network; `advance` is told of the entries of each chunk.
    InputError if the ntuple is damaged, the network has no cut or takes something that is computed
    nowhere, or `target` cannot be written.
    """
    cut, search = saved.single_cut, saved.search
    dataset = replace(dataset, search=search)
    branches: dict[str, Any] = {"punzinet_output": np.float32, "punzinet_selected": np.bool_}
    branches |= dict.fromkeys(search.feature_names, np.float32)
    branches[search.variable.name] = np.float64
    selected = undefined = 0
    identity = digest([saved.provenance, cut, as_json(dataset), file.path, file.entries])
    with (
        open_file(file.location, file.dataset) as source,
        create_root_file(target, identity) as sink,
    ):
        friend = sink.mktree(TREE, branches)
        for chunk in split(file.dataset, file.location, file.entries, chunk_size):
            factory = NanoEventsFactory.from_root(
                source, treepath=file.tree, entry_start=chunk.start, entry_stop=chunk.stop,
                mode="virtual", schemaclass=BaseSchema,
                metadata=dict(zip(METADATA, chunk, strict=True)),
                iteritems_options={"filter_name": set(file.columns.values()).__contains__},
            )  # fmt: skip
            columns = _evaluate(Columns(dataset, factory.events()).pairs, saved, cut)
            friend.extend(columns)
            selected += int(columns["punzinet_selected"].sum())
            undefined += int(np.isnan(columns["punzinet_output"]).sum())
            advance(chunk.entries)
    return Prediction(file.entries, selected, undefined)


def _evaluate(pairs: MuonPairs, saved: SavedNetwork, cut: float) -> dict[str, NDArray[Any]]:
    search = saved.search
    exact, variable = search.evaluate(pairs)
    # Rounded as for the selection, so that an event is on the same side of the cut as there.
    features = exact.astype(np.float32)
    defined = np.isfinite(variable) & np.isfinite(features).all(axis=1)
    # Nothing is larger than a NaN: what has no output is not selected.
    logit = np.full(len(features), np.nan)
    logit[defined] = saved.network.logit(features[defined])
    named = dict(zip(search.feature_names, features.T, strict=True))
    return {
        "punzinet_output": expit(logit).astype(np.float32),
        "punzinet_selected": logit >= cut,
        **{name: np.where(defined, of, np.float32(np.nan)) for name, of in named.items()},
        search.variable.name: np.where(defined, variable, np.nan),
    }
