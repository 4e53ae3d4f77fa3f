"""Several processes that train together, each on its share of the events.

Every process that `torchrun` starts (a *rank*) has the same networks and batches, but only its
share of the events of each. What a batch sums up to is added up over the ranks before anything that
is not linear is done with it, and so is the gradient. All ranks then take the same step, which but
for rounding is that of one process. Rank 0 writes.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from punzinet.analysis.io.files import InputError, Interrupted
from punzinet.analysis.types import FloatArray


class LostRankError(Exception):
    """Another process has ended before its time."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, as one of them sees them: number `number` of `count`."""

    number: int = 0
    count: int = 1

    def sum_tensor(self, values: torch.Tensor) -> torch.Tensor:
        """Add up tensors over all ranks, the same to the last bit on each.

        All ranks share the one loss that comes of it: the gradient with respect to a rank's own
        values is that with respect to the sum. LostRankError if another process has ended.
        """
        if self.count == 1:
            return values
        total = values.clone()
        try:
            distributed.all_reduce(total.detach())  # in place, behind the back of the gradient
        except RuntimeError as error:
            raise LostRankError from error
        return total

    def sum(self, values: FloatArray) -> FloatArray:
        """Add up arrays over all ranks, see `sum_tensor`."""
        if self.count == 1:
            return values
        return self.sum_tensor(torch.from_numpy(np.ascontiguousarray(values))).numpy()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank; waits until all have come here."""
        return bool(self.sum(np.array([float(flag)]))[0])

    def device(self, name: str) -> str:
        """The device of this process; with several GPUs in a machine, each rank has its own."""
        several = self.count > 1 and name == "cuda"
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if several else name


@contextmanager
def open_ranks() -> Iterator[Ranks]:
    """Join the other processes that torchrun has started; without it, there is one alone.

    The cores of a machine are divided between its ranks.

    Raises:
        InputError: If the processes do not find each other, or one of them ended without a word.
        SystemExit: Instead of an `InputError` or `Interrupted`, on all ranks but the one that
            is first to say what is wrong.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    try:
        store, rank, count = next(rendezvous("env://"))
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=count)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"The processes of the training do not find each other ({error}); start them with "
            "torchrun, which sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT."
        ) from error
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(count)))
    numba.set_num_threads(max(1, numba.get_num_threads() // local))
    try:
        yield Ranks(rank, count)
    except (InputError, Interrupted, LostRankError) as error:
        # torchrun ends all processes once it sees one lost; not before this one has spoken.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if store.add("speakers", 1) > 1:
            raise SystemExit(130 if isinstance(error, Interrupted) else 1) from None
        if isinstance(error, LostRankError):
            raise InputError(
                "Another process of this training has ended before its time; see to it that it "
                "is not killed (it may need more memory) and run the same command again, which "
                "continues from the last checkpoint."
            ) from error
        raise
    finally:
        distributed.destroy_process_group()
