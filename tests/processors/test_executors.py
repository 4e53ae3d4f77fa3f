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
from punzinet.processors.ledger import Ledger, Work

Count = Callable[[str, object], None]
#: Where workers find this package and this file.
PATHS = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)])


def works(count: int) -> list[Work]:
    return [Work(f"d/{i}", f"key {i}", "d", f"number {i}", 1, i) for i in range(count)]


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
    step = Ledger(folder).run("squares", works(20), square, executor, title="Squares")
    assert dict(step.problems) == {"d/13": "Thirteen is not allowed."}
    records = {w.payload: step.read(w).content for w in step.works if w.payload != 13}
    return (
        {number: content["square"] for number, content in records.items()},
        {content["pid"] for content in records.values()},
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
            step = Ledger(tmp_path / "ledger").run(
                "slow", works(30), slowly, executor, title="Slow"
            )
            assert [step.read(work).content["number"] for work in step.works] == list(range(30))
    record_property("faults", 1)


@pytest.mark.parametrize("name", ["futures", pytest.param("dask", marks=pytest.mark.faults)])
def test_a_killed_worker_costs_no_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Count
) -> None:
    monkeypatch.setenv("PYTHONPATH", PATHS)
    work = [one._replace(payload=(one.payload, str(tmp_path))) for one in works(8)]
    with open_executor(Execution(name, 2)) as executor:
        step = Ledger(tmp_path / "ledger").run("s", work, dies_once, executor, title="Dies")
    assert [step.read(one).content["number"] for one in step.works] == list(range(8))
    record_property("faults", 1)


@pytest.mark.faults
def test_workers_that_always_die_end_in_one_sentence(
    tmp_path: Path, record_property: Count
) -> None:
    with (
        open_executor(Execution("futures", 2)) as executor,
        pytest.raises(InputError, match=r"die again and again .* 2 of 2 chunks are missing"),
    ):
        Ledger(tmp_path).run("s", works(2), dies_always, executor, title="Dies")
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
