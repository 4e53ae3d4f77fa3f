"""Where chunks are processed: coffea's own executors, by name.

``iterative`` is this process, ``futures`` one process a worker, ``dask`` a Dask cluster (one
on this machine, or one that is running already and is joined by its address), ``parsl``
worker processes of Parsl; ``auto`` is the first for few events, and the second for many.
"""

import gc
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import loky
import numpy as np
from coffea.processor import DaskExecutor, FuturesExecutor, IterativeExecutor, ParslExecutor
from coffea.processor.executor import ExecutorBase

from punzinet.analysis.io.errors import InputError
from punzinet.processors.ntuples.opening import prepare_xrootd

NAMES = ("auto", "iterative", "futures", "dask", "parsl")
POOL_PAYS: Final = 8_000_000
"""Entries from which on a pool of workers is worth its start, which takes four seconds."""
CONNECT_SECONDS = 20
"""How long a Dask scheduler may take to answer."""
_MEMORY_IS_KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 1024**2),
}
"""Environment of workers (read by glibc): the memory of one chunk is kept for the next one. By
default large arrays are given back to the system at once, which then has to clear every page
anew: that takes as long as reading the chunk. Of more than this, loky would think it is lost, and
start the worker anew."""


@dataclass(frozen=True)
class Execution:
    """How the chunks of a stage are run; no byte of a result depends on it.

    Attributes:
        executor: One of `NAMES`.
        workers: Number of worker processes; none are started where a cluster is joined.
        scheduler: Address of a running Dask scheduler to join, such as ``tcp://host:8786``.
    """

    executor: str = "iterative"
    workers: int = 1
    scheduler: str | None = None


@contextmanager
def open_executor(execution: Execution, entries: int | None = None) -> Iterator[ExecutorBase]:
    """Make one of coffea's executors, and end what was started for it afterwards.

    Args:
        execution: Which, and how many workers.
        entries: How many entries there are to process, if that is what takes the time.

    Yields:
        The executor.

    Raises:
        InputError: If there is no executor of that name, a library for it is not installed, or
            the scheduler does not answer.
    """
    name = execution.executor
    if execution.scheduler is not None and name != "dask":
        raise InputError(
            f"`--scheduler {execution.scheduler}` is the address of a Dask cluster; add "
            "`--executor dask` (EXECUTOR=dask for make)."
        )
    if name == "auto":
        few = execution.workers == 1 or (entries is not None and entries < POOL_PAYS)
        name = "iterative" if few else "futures"
    prepare_xrootd()  # for the workers as well
    # No retries by coffea, which does not wait: the stages know what is worth a second attempt.
    if name == "iterative":
        yield IterativeExecutor(retries=0)
    elif name == "futures":
        yield FuturesExecutor(
            workers=execution.workers, pool=_shared_pool, compression=None, retries=0
        )
    elif name == "dask":
        with _dask_client(execution) as client:
            yield DaskExecutor(client=client, compression=None, retries=0)
    elif name == "parsl":
        with _parsl_workers(execution.workers):
            yield ParslExecutor(compression=None, retries=0)
    else:
        raise InputError(f"There is no executor {name!r}: choose one of {', '.join(NAMES)}.")


def _load() -> None:
    """Load what chunks need, in all workers at once, not when each has its first chunk.

    Numba takes a second for the first function that it has compiled before.
    """
    importlib.import_module("punzinet.processors.features")
    kinematics = importlib.import_module("punzinet.analysis.features")
    one = (np.ones(1, np.float32),) * 3
    kinematics.dimuon_kinematics(one, one, np.eye(4)[0], np.eye(3)[2])
    gc.freeze()  # what is imported stays: collections need not look at it again and again


@contextmanager
def _shared_pool(max_workers: int) -> Iterator[Any]:
    """Worker processes that outlive a stage's step, but not an error or Ctrl-C."""
    pool = loky.get_reusable_executor(max_workers, initializer=_load, env=_MEMORY_IS_KEPT)
    try:
        yield pool
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise


@contextmanager
def _dask_client(execution: Execution) -> Iterator[Any]:
    """Connect to a Dask cluster: the one with the given address, or a new one on this machine.

    Raises:
        InputError: If Dask is not installed, or nothing answers at the address.
    """
    try:
        import dask.dataframe  # noqa: F401, PLC0415 - coffea's executor needs it, most runs do not
        from distributed import Client, LocalCluster  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "The dask executor needs libraries that are not installed: pip install "
            "'punzinet[dask]'."
        ) from None
    with warnings.catch_warnings():
        # Thousands of chunks carry their processor along, which Dask remarks upon.
        warnings.filterwarnings("ignore", message="Sending large graph")
        if execution.scheduler is not None:
            try:
                client = Client(execution.scheduler, timeout=CONNECT_SECONDS)
            except (OSError, ValueError) as error:
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                raise InputError(
                    f"No Dask scheduler answers at {execution.scheduler} ({reason}); start it, or "
                    "leave --scheduler out for a cluster on this machine."
                ) from None
            with client:
                yield client
            return
        logging.getLogger("distributed").setLevel(logging.ERROR)
        with (
            TemporaryDirectory(prefix="punzinet-dask-") as scratch,
            LocalCluster(
                n_workers=execution.workers,
                threads_per_worker=1,
                dashboard_address=None,
                local_directory=scratch,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


@contextmanager
def _parsl_workers(workers: int) -> Iterator[None]:
    """Start Parsl with worker processes on this machine.

    Raises:
        InputError: If Parsl is not installed.
    """
    try:
        import parsl  # noqa: PLC0415 - an optional library
        from parsl.config import Config  # noqa: PLC0415
        from parsl.executors import HighThroughputExecutor  # noqa: PLC0415
        from parsl.providers import LocalProvider  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "The parsl executor needs libraries that are not installed: pip install "
            "'punzinet[parsl]'."
        ) from None
    with TemporaryDirectory(prefix="punzinet-parsl-") as scratch, _own_programs_first():
        parsl.load(
            Config(
                executors=[
                    HighThroughputExecutor(
                        label="workers",
                        address="127.0.0.1",
                        max_workers_per_node=workers,
                        provider=LocalProvider(init_blocks=1, max_blocks=1),
                    )
                ],
                run_dir=str(Path(scratch) / "runinfo"),
                initialize_logging=False,
            )
        )
        try:
            yield
        finally:
            parsl.dfk().cleanup()
            parsl.clear()


@contextmanager
def _own_programs_first() -> Iterator[None]:
    """Let programs of this environment be found although nobody activated it: Parsl's workers."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before
