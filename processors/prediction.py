"""Prediction: the output of a trained network for every entry of an ntuple, as a friend tree.

The friend has one entry for each entry of the ntuple, in the same order: in ROOT,
``tree->AddFriend("punzinet", "file.punzinet.root")``. Where a momentum is not a number, nor are
output, features and window variable, and the entry is not selected.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray
from scipy.special import expit

from analysis.beams import Beams
from analysis.errors import InputError
from analysis.muon_pairs import MuonPairs
from analysis.network import SavedNetwork
from analysis.provenance import digest
from analysis.reproducible_root import create_root_file
from processors.columns import BEAM, MOMENTA
from processors.preflight import InputFile
from processors.runner import Chunk, plan_chunks

TREE = "punzinet"
"""Name of the friend tree."""


@dataclass(frozen=True)
class Prediction:
    """What became of a file.

    Attributes:
        entries: Entries that were written.
        selected: Entries with an output of at least the cut.
        undefined: Entries without an output, because an input is not a finite number.
    """

    entries: int
    selected: int
    undefined: int


def predict_file(
    file: InputFile,
    saved: SavedNetwork,
    beams: Beams,
    target: Path,
    *,
    chunk_size: int,
    advance: Callable[[int], None],
) -> Prediction:
    """Write the friend tree of one ntuple, chunk by chunk.

    Args:
        file: The ntuple.
        saved: The network and its cut.
        beams: Nominal beams, for ntuples that do not hold those of each event.
        target: The file with the friend tree.
        chunk_size: Largest number of entries in memory.
        advance: Told of the number of entries done, after every chunk.

    Raises:
        InputError: If the ntuple is damaged, the network has no cut or takes something that is
            computed nowhere, or `target` cannot be written.
    """
    cut, search = saved.single_cut, saved.search
    branches: dict[str, Any] = {
        "punzinet_output": np.float32,
        "punzinet_selected": np.bool_,
        **dict.fromkeys(search.feature_names, np.float32),
        search.variable.name: np.float64,
    }
    entries = selected = undefined = 0
    identity = digest([saved.provenance, cut, file.path, file.entries])
    with uproot.open(file.path) as source, create_root_file(target, identity) as sink:
        tree, friend = source[file.tree], sink.mktree(TREE, branches)
        for chunk in plan_chunks([file], chunk_size):
            columns = _evaluate(_read(tree, file, chunk), file, saved, cut, beams)
            friend.extend(columns)
            entries += len(chunk)
            selected += int(columns["punzinet_selected"].sum())
            undefined += int(np.isnan(columns["punzinet_output"]).sum())
            advance(len(chunk))
    return Prediction(entries, selected, undefined)


def _read(tree: Any, file: InputFile, chunk: Chunk) -> Any:
    """Read what features are made of.

    Raises:
        InputError: If the file is damaged.
    """
    try:
        return tree.arrays(
            filter_name=sorted(set(file.columns.values())),
            entry_start=chunk.start,
            entry_stop=chunk.stop,
        )
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{file.path} cannot be read between entries {chunk.start} and {chunk.stop} "
            f"({reason}); the file is damaged, make or fetch it again."
        ) from error


def _evaluate(
    events: Any, file: InputFile, saved: SavedNetwork, cut: float, beams: Beams
) -> dict[str, NDArray[Any]]:
    """All branches of the friend tree for the events of a chunk."""
    columns = {name: ak.to_numpy(events[branch]) for name, branch in file.columns.items()}
    beam = beams.total
    if BEAM[0] in columns:
        beam = np.column_stack([columns[name] for name in BEAM])
    px1, py1, pz1, px2, py2, pz2 = (columns[name] for name in MOMENTA)
    search = saved.search
    further = {name: columns[name] for name in search.columns}
    pairs = MuonPairs((px1, py1, pz1), (px2, py2, pz2), beam, beams.electron_direction, further)
    exact, variable = search.evaluate(pairs)
    # Rounded as for the selection, so that an event is on the same side of the cut as there.
    features = exact.astype(np.float32)
    defined = np.isfinite(variable) & np.isfinite(features).all(axis=1)
    # Nothing is larger than a NaN: what has no output is not selected.
    logit = np.full(len(features), np.nan)
    logit[defined] = saved.network.logit_numpy(features[defined])
    return {
        "punzinet_output": expit(logit).astype(np.float32),
        "punzinet_selected": logit >= cut,
        **{
            name: np.where(defined, features[:, i], np.float32(np.nan))
            for i, name in enumerate(search.feature_names)
        },
        search.variable.name: np.where(defined, variable, np.nan),
    }
