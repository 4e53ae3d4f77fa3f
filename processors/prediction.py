"""Prediction: the output of a trained network for every entry of an ntuple, as a friend tree.

The friend has one entry for each entry of the ntuple, in the same order: in ROOT,
``tree->AddFriend("punzinet", "file.punzinet.root")``. Where a momentum is not a number, nor are
output, features and recoil mass, and the entry is not selected.
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
from analysis.kinematics import FEATURES, dimuon_kinematics
from analysis.network import SavedNetwork
from analysis.provenance import digest
from analysis.reproducible_root import create_root_file
from processors.columns import BEAM, MOMENTA
from processors.preflight import InputFile
from processors.runner import Chunk, plan_chunks

TREE = "punzinet"
"""Name of the friend tree."""
BRANCHES: dict[str, Any] = {
    "punzinet_output": np.float32,
    "punzinet_selected": np.bool_,
    **dict.fromkeys(FEATURES, np.float32),
    "m2_recoil": np.float64,
}
"""Its branches and their types."""


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
        InputError: If the ntuple is damaged, the network has no cut or takes something else
            than the features, or `target` cannot be written.
    """
    cut = saved.single_cut
    unknown = set(saved.network.features) - set(FEATURES)
    if unknown:
        raise InputError(
            f"The network takes {', '.join(sorted(unknown))}, which is computed nowhere; there "
            f"are {', '.join(FEATURES)}."
        )
    entries = selected = undefined = 0
    identity = digest([saved.provenance, cut, file.path, file.entries])
    with uproot.open(file.path) as source, create_root_file(target, identity) as sink:
        tree, friend = source[file.tree], sink.mktree(TREE, BRANCHES)
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
    kinematics = dimuon_kinematics((px1, py1, pz1), (px2, py2, pz2), beam, beams.electron_direction)
    # Rounded as for the selection, so that an event is on the same side of the cut as there.
    features = kinematics.features.astype(np.float32)
    defined = np.isfinite(kinematics.m2_recoil) & np.isfinite(features).all(axis=1)
    order = [FEATURES.index(name) for name in saved.network.features]
    # Nothing is larger than a NaN: what has no output is not selected.
    logit = np.full(len(features), np.nan)
    logit[defined] = saved.network.logit_numpy(features[defined][:, order])
    return {
        "punzinet_output": expit(logit).astype(np.float32),
        "punzinet_selected": logit >= cut,
        **{
            name: np.where(defined, features[:, i], np.float32(np.nan))
            for i, name in enumerate(FEATURES)
        },
        "m2_recoil": np.where(defined, kinematics.m2_recoil, np.nan),
    }
