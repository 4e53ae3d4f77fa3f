"""Folds from event identity: the same event is in the same fold, whatever file or row it is in."""

import hashlib

import numpy as np
from numba import njit
from numpy.typing import NDArray

from analysis.types import IntArray

#: Number of folds of equal expected size.
FOLDS = 5
#: The fold that validates; the other four train (80/20).
VALIDATION_FOLD = 4


def fold_of(
    experiment: IntArray, run: IntArray, event: IntArray, production: IntArray, dataset: str
) -> NDArray[np.int8]:
    """Assign every event to a fold by a hash of its identity.

    All candidates of an event share its fold, so no event can be in training and validation
    at once. The dataset's name is part of the identity because generators number their
    events from zero in each sample.

    Args:
        experiment: (n,) experiment numbers.
        run: (n,) run numbers.
        event: (n,) event numbers.
        production: (n,) production numbers.
        dataset: Name of the dataset in the manifest.

    Returns:
        (n,) folds from 0 to `FOLDS` - 1.
    """
    state = identity_hash(experiment, run, event, production, dataset)
    return (state % np.uint64(FOLDS)).astype(np.int8)


def uniform_of(
    experiment: IntArray, run: IntArray, event: IntArray, production: IntArray, dataset: str
) -> NDArray[np.float64]:
    """Give every event a number in [0, 1) by its identity, independent of its fold.

    Args:
        experiment: (n,) experiment numbers.
        run: (n,) run numbers.
        event: (n,) event numbers.
        production: (n,) production numbers.
        dataset: Name of the dataset in the manifest.
    """
    state = identity_hash(experiment, run, event, production, dataset)
    _mix(state, np.zeros_like(event))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def identity_hash(
    experiment: IntArray, run: IntArray, event: IntArray, production: IntArray, dataset: str
) -> NDArray[np.uint64]:
    """Hash the identity of every event to 64 bits.

    Each further number is mixed in by a bijection, so that of events which differ in one of
    them only, no two have the same hash; any other two have with a probability of 2⁻⁶⁴.

    Args:
        experiment: (n,) experiment numbers.
        run: (n,) run numbers.
        event: (n,) event numbers.
        production: (n,) production numbers.
        dataset: Name of the dataset in the manifest.

    Returns:
        (n,) hashes.
    """
    seed = hashlib.blake2b(dataset.encode(), digest_size=8).digest()
    state = np.full(len(event), int.from_bytes(seed, "little"), dtype=np.uint64)
    for identity in (experiment, run, event, production):
        _mix(state, identity.astype(np.int64, copy=False))
    return state


@njit(nogil=True, cache=True)
def _mix(state: NDArray[np.uint64], number: IntArray) -> None:
    """Mix a number into each state, in place.

    One step of splitmix64 (Steele, Lea, Flood 2014), a bijection that scatters all bits.
    """
    for i in range(len(state)):
        x = (state[i] ^ np.uint64(number[i])) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state[i] = x ^ (x >> np.uint64(31))
