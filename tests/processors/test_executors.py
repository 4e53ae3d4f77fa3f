"""Executors: the same results wherever chunks are processed, and clear refusals."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coffea.processor.executor import ExecutorBase

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import Record
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Job, Ledger
from punzinet.processors.runner import run_jobs

Count = Callable[[str, object], None]
#: Where workers find this package and this file.
PATHS = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)])


def jobs(count: int) -> list[Job]:
    return [Job(f"d/{i}", f"key {i}", "d", f"number {i}", 1, i) for i in range(count)]


def square(number: int) -> Record:
    if number == 13:
        raise InputError("Thirteen is not allowed.")
    return Record({"square": number**2, "pid": os.getpid()}, {})


def slowly(number: int) -> Record:
    time.sleep(0.1)
    return Record({"number": number}, {})


def dies_once(payload: tuple[int, str]) -> Record:
    number, folder = payload
    mark = Path(folder) / "died"
    if number == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Record({"number": number}, {})


def dies_always(_number: int) -> Record:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def squares(executor: ExecutorBase, folder: Path) -> tuple[dict[int, int], set[int]]:
    """Squares by number, and the processes that computed them."""
    records = run_jobs(jobs(20), square, executor, Ledger(folder), step="squares", title="Squares")
    with pytest.raises(InputError, match=r"^Thirteen is not allowed\.$"):
        records.read(records.jobs[13])
    contents = {j.payload: records.read(j).content for j in records.jobs if j.payload != 13}
    return (
        {number: content["square"] for number, content in contents.items()},
        {content["pid"] for content in contents.values()},
    )


EXPECTED = {number: number**2 for number in range(20) if number != 13}


@pytest.mark.parametrize(
    "name", ["iterative", "futures", "dask", pytest.param("parsl", marks=pytest.mark.faults)]
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_all_executors_give_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", PATHS)
    with open_executor(Execution(name, 2)) as executor:
        found, processes = squares(executor, tmp_path)
    assert found == EXPECTED
    assert (os.getpid() in processes) == (name == "iterative")


@pytest.mark.faults
def test_a_running_dask_cluster_is_joined_and_may_lose_a_worker(
    tmp_path: Path, record_property: Count
) -> None:
    """Scheduler and workers are processes of their own, as on a batch system."""
    environment = {**os.environ, "PYTHONPATH": PATHS}
    address = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = [*dask, "--scheduler-file", str(address), "--port", "0", "--no-dashboard"]
    worker = [
        sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(address),
        "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path),
    ]  # fmt: skip
    quiet: dict[str, Any] = {"stderr": subprocess.DEVNULL, "env": environment, "cwd": tmp_path}
    with contextlib.ExitStack() as stack:
        processes = []
        for command in (scheduler, worker, worker):
            processes.append(stack.enter_context(subprocess.Popen(command, **quiet)))
            stack.callback(processes[-1].kill)
        deadline = time.monotonic() + 60
        while not address.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        where = json.loads(address.read_text())["address"]
        with open_executor(Execution("dask", scheduler=where)) as executor:
            executor.client.wait_for_workers(2, timeout=60)
            threading.Timer(1.0, processes[1].kill).start()
            ledger = Ledger(tmp_path / "ledger")
            records = run_jobs(jobs(30), slowly, executor, ledger, step="slow", title="Slow")
            assert [records.read(job).content["number"] for job in records.jobs] == list(range(30))
    record_property("faults", 1)


@pytest.mark.parametrize("name", ["futures", pytest.param("dask", marks=pytest.mark.faults)])
def test_a_killed_worker_costs_no_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Count
) -> None:
    monkeypatch.setenv("PYTHONPATH", PATHS)
    work = [one._replace(payload=(one.payload, str(tmp_path))) for one in jobs(8)]
    with open_executor(Execution(name, 2)) as executor:
        ledger = Ledger(tmp_path / "ledger")
        records = run_jobs(work, dies_once, executor, ledger, step="s", title="Dies")
    assert [records.read(job).content["number"] for job in records.jobs] == list(range(8))
    record_property("faults", 1)


@pytest.mark.faults
def test_workers_that_always_die_end_in_one_sentence(
    tmp_path: Path, record_property: Count
) -> None:
    with (
        open_executor(Execution("futures", 2)) as executor,
        pytest.raises(InputError, match=r"die again and again .* 2 of 2 chunks are missing"),
    ):
        run_jobs(jobs(2), dies_always, executor, Ledger(tmp_path), step="s", title="Dies")
    record_property("faults", 1)


def test_refusals_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for execution, sentence in (
        (Execution("condor"), "no executor 'condor': choose one of auto, iterative, futures, dask"),
        (Execution("futures", scheduler="tcp://x:1"), "add `--executor dask`"),
        (Execution("dask", scheduler="tcp://127.0.0.1:9"), "No Dask scheduler answers"),
    ):
        monkeypatch.setattr("punzinet.processors.executors.CONNECT_SECONDS", 1)
        with pytest.raises(InputError, match=sentence), open_executor(execution):
            pass
    for name, library in (("dask", "dask.dataframe"), ("parsl", "parsl")):
        monkeypatch.setitem(sys.modules, library, None)
        with (
            pytest.raises(InputError, match=rf"pip install 'punzinet\[{name}\]'"),
            open_executor(Execution(name)),
        ):
            pass
