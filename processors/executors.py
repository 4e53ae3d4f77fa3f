"""Where jobs are done: coffea's own executors, by name, and again if workers die.

``iterative`` is this process, ``futures`` one process a worker, ``dask`` a Dask cluster (one
on this machine, or one that is running already and is joined by its address), ``parsl``
worker processes of Parsl; ``auto`` is the first for few events, and the second for many.
"""

import gc
import importlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

import loky
import numpy as np
from coffea.processor import DaskExecutor, FuturesExecutor, IterativeExecutor, ParslExecutor
from coffea.processor.executor import ExecutorBase
from coffea.util import coffea_console

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.workers import end_with, handled
from punzinet.processors.ledger import Records
from punzinet.processors.opening import prepare_xrootd, reason

LOG = logging.getLogger(__name__)
NAMES = ("auto", "iterative", "futures", "dask", "parsl")
POOL_PAYS: Final = 8_000_000  # entries that are worth the start of a pool, which takes 4 seconds
CONNECT_SECONDS = 20  # that a Dask scheduler may take to answer
ROUNDS: Final = 4  # that jobs are handed out in, anew when workers died under them
#: Names of the exceptions with which Dask and Parsl say that workers are gone.
_LOST_WORKERS: Final = frozenset(
    {"CommClosedError", "FutureCancelledError", "KilledWorker", "ManagerLost", "WorkerLost"}
)
#: Environment of workers (read by glibc): the memory of one chunk is kept for the next one. By
#: default large arrays are given back to the system, which then has to clear every page anew: that
#: takes as long as reading the chunk. If a worker kept more, loky would start it anew, as leaking.
_MEMORY_IS_KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 1024**2),
}

Result = TypeVar("Result")


@dataclass(frozen=True)
class Execution:
    """Where the jobs of a stage are done; no byte of a result depends on it."""

    executor: str = "iterative"  # one of `NAMES`
    workers: int = 1  # processes; none are started where a cluster is joined
    scheduler: str | None = None  # address of a running Dask scheduler, tcp://host:8786


@contextmanager
def open_executor(execution: Execution, entries: int | None = None) -> Iterator[ExecutorBase]:
    """Make one of coffea's executors, and end what was started for it afterwards.

    How many entries there are to process is said if that is what takes the time. InputError if
    there is no such executor, a library is not installed, or the scheduler does not answer.
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
        # Merged in a thread, results need not be sent back; coffea's own bar would never fill.
        yield FuturesExecutor(
            workers=execution.workers, pool=_shared_pool, merging=True,
            mergepool=ThreadPoolExecutor, compression=None, retries=0,
        )  # fmt: skip
    elif name == "dask":
        with _dask_client(execution) as client:
            yield DaskExecutor(client=client, compression=None, retries=0)
    elif name == "parsl":
        with _parsl_workers(execution.workers):
            yield ParslExecutor(compression=None, retries=0)
    else:
        raise InputError(f"There is no executor {name!r}: choose one of {', '.join(NAMES)}.")


def _load(parent: int) -> None:
    """Load what chunks need, in all workers at once, not when each has its first chunk."""
    end_with(parent)
    importlib.import_module("punzinet.processors.features")
    kinematics = importlib.import_module("punzinet.analysis.features")
    # Numba takes a second for the first function that it has compiled before.
    one = (np.ones(1, np.float32),) * 3
    kinematics.dimuon_kinematics(one, one, np.eye(4)[0], np.eye(3)[2])
    gc.freeze()  # what is imported stays: collections need not look at it again and again


@contextmanager
def _shared_pool(max_workers: int) -> Iterator[Any]:
    """Worker processes that outlive a stage's step, but not an error or Ctrl-C."""
    pool = loky.get_reusable_executor(
        max_workers, initializer=_load, initargs=(os.getpid(),), env=_MEMORY_IS_KEPT
    )
    try:
        yield pool
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise


def _load_optional(name: str, *modules: str) -> list[Any]:
    try:
        return [importlib.import_module(module) for module in modules]
    except ImportError:
        install = f"pip install 'punzinet[{name}]'"
        raise InputError(f"The {name} executor needs more libraries: {install}.") from None


@contextmanager
def _dask_client(execution: Execution) -> Iterator[Any]:
    """Connect to a Dask cluster: the one with the given address, or a new one on this machine."""
    # Coffea's executor needs the first of them.
    _, distributed = _load_optional("dask", "dask.dataframe", "distributed")
    with warnings.catch_warnings():
        # Thousands of chunks carry their processor along, which Dask remarks upon.
        warnings.filterwarnings("ignore", message="Sending large graph")
        if execution.scheduler is not None:
            try:
                client = distributed.Client(execution.scheduler, timeout=CONNECT_SECONDS)
            except (OSError, ValueError) as error:
                raise InputError(
                    f"No Dask scheduler answers at {execution.scheduler} ({reason(error)}); start "
                    "it, or leave --scheduler out for a cluster on this machine."
                ) from None
            with client:
                yield client
            return
        logging.getLogger("distributed").setLevel(logging.ERROR)
        with TemporaryDirectory(prefix="punzinet-dask-") as scratch:
            with handled(signal.SIG_IGN, signal.SIGINT):  # workers leave Ctrl-C to this process
                # Two runs at once need two ports.
                cluster = distributed.LocalCluster(
                    n_workers=execution.workers, threads_per_worker=1, dashboard_address=None,
                    local_directory=scratch, scheduler_kwargs={"dashboard_address": ":0"},
                )  # fmt: skip
            with cluster, distributed.Client(cluster) as client:
                yield client


@contextmanager
def _parsl_workers(workers: int) -> Iterator[None]:
    """Start Parsl with worker processes on this machine."""
    names = ("parsl", "parsl.config", "parsl.executors", "parsl.providers")
    parsl, config, executors, providers = _load_optional("parsl", *names)
    # Parsl looks its workers up there, and nobody may have activated this environment.
    programs, path = str(Path(sys.executable).parent), os.environ.get("PATH", "")
    if programs not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, path])
    here = providers.LocalProvider(init_blocks=1, max_blocks=1)
    processes = executors.HighThroughputExecutor(
        "workers", here, address="127.0.0.1", max_workers_per_node=workers
    )
    with TemporaryDirectory(prefix="punzinet-parsl-") as scratch:
        quiet = {"run_dir": f"{scratch}/runinfo", "initialize_logging": False}
        with handled(signal.SIG_IGN, signal.SIGINT):  # workers leave Ctrl-C to this process
            running = parsl.load(config.Config([processes], **quiet))
        with running:
            yield


def is_lost_worker(error: BaseException) -> bool:
    """Whether an exception means that workers are gone, and not that something is wrong."""
    named = type(error).__name__ in _LOST_WORKERS or "KilledWorker" in str(error)
    return named or isinstance(error, BrokenExecutor | CancelledError)


def survive(attempt: Callable[[], Result], records: Records, title: str) -> Result:
    """Do the jobs that have no record, again if workers die; InputError if they go on dying."""
    todo, count, why = records.unfinished(), len(records.jobs), ""
    LOG.info("%s: %d of %d chunks are done already", title, count - len(todo), count)
    for job in todo:
        LOG.debug("%s: %s", title, job.name)
    for _ in range(ROUNDS):
        try:
            with _progress():
                return attempt()
        except (Exception, CancelledError) as error:
            if not is_lost_worker(error):
                raise
            why = reason(error)
    raise InputError(
        f"{title}: worker processes die again and again ({why}); {len(records.unfinished())} of "
        f"{count} chunks are missing. The same command continues: with fewer --workers or a "
        "smaller `features.chunk_size` if memory runs out."
    )


@contextmanager
def _progress() -> Iterator[None]:
    """Show coffea's progress on stderr unless commands are quiet; silence tracebacks it prints."""
    quiet = coffea_console.quiet
    coffea_console.quiet = not LOG.isEnabledFor(logging.WARNING)
    coffea_console.file = sys.stderr
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        coffea_console.quiet = quiet
        coffea_console.file = None
