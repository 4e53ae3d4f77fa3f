"""Folds from event identity: the same event is in the same fold, whatever file or row it is in.

The identity of an event is its experiment, run, event and production number, (n,) each, and the
name of its dataset: generators number their events from zero in each sample. All candidates of an
event share its fold, so no event can be in training and validation at once.
"""

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from punzinet.analysis.io.compiled import njit
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

FOLDS = 5  # number of folds of equal expected size
IDENTITY = ("experiment", "run", "event", "production")  # what tells events apart
#: Odd, so that its multiples differ: what tells masses of one identity apart.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Folds(NamedTuple):
    """Which fold validates, and which one judges; the others train.

    Validation events choose: the best epoch, and cuts. Without test events they judge, too (80/20).
    """

    validation: int
    test: int | None

    @property
    def judging(self) -> int:
        """The fold that everything quoted is measured on."""
        return self.validation if self.test is None else self.test

    def rows(self, fold: IntArray) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Which of n events, by their folds, train, validate and test, (n,) each."""
        validates, tests = fold == self.validation, fold == self.test
        return ~(validates | tests), validates, tests

    @property
    def known(self) -> float:
        """Share of all events that train or validate, as expected."""
        return 1.0 if self.test is None else (FOLDS - 1) / FOLDS


def fold_of(
    experiment: IntArray, run: IntArray, event: IntArray, production: IntArray, dataset: str
) -> NDArray[np.int8]:
    """Folds of events from 0 to `FOLDS` - 1, (n,), by a hash of their identity."""
    hashes = identity_hash(experiment, run, event, production, dataset)
    return (hashes % np.uint64(FOLDS)).astype(np.int8)


def uniform_of(
    experiment: IntArray, run: IntArray, event: IntArray, production: IntArray, dataset: str
) -> FloatArray:
    """A number in [0, 1) for every event, (n,), by its identity and independent of its fold."""
    hashes = identity_hash(experiment, run, event, production, dataset)
    _mix_in(hashes, np.zeros(len(hashes), dtype=np.int64))
    return (hashes >> np.uint64(11)) * 2.0**-53  # their upper 53 bits


def identity_hash(
    experiment: IntArray, run: IntArray, event: IntArray, production: IntArray, dataset: str
) -> NDArray[np.uint64]:
    """Hash the identity of every event to 64 bits, (n,).

    Numbers are mixed in by bijections: events which differ in one of them only never have the same
    hash, any other two with a probability of 2⁻⁶⁴.
    """
    seed = hashlib.blake2b(dataset.encode(), digest_size=8).digest()
    hashes = np.full(len(event), int.from_bytes(seed, "little"), dtype=np.uint64)
    for numbers in (experiment, run, event, production):
        _mix_in(hashes, numbers.astype(np.int64, copy=False))
    return hashes


@njit(nogil=True, cache=True)
def _mix_in(states: NDArray[np.uint64], numbers: IntArray) -> None:
    for i in range(len(states)):
        states[i] = _mix(states[i], numbers[i])


@njit(nogil=True, cache=True)
def _mix(state: np.uint64, number: np.int64) -> np.uint64:
    """One step of splitmix64 (Steele, Lea, Flood 2014), a bijection that scatters all bits."""
    x = (state ^ np.uint64(number)) + GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
