"""Executors: the same results wherever jobs are done, and clear refusals."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from commands import wait_for

from punzinet.analysis.io.files import InputError, Record
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Job
from punzinet.processors.runner import run_jobs

#: Where workers find this file, and what it imports.
PATHS = os.pathsep.join([str(Path(__file__).parent), *sys.path])


def do(function, count, executor, folder):
    """What a function says of the numbers below a count; each job is told the folder as well."""
    jobs = [Job(f"d/{i}", f"key {i}", "d", f"number {i}", 1, (i, folder)) for i in range(count)]
    return run_jobs(jobs, function, executor, folder / "l" / "step", "Title")


def contents_of(records):
    return [records.read(job).content for job in records.jobs]


def square(payload):
    if payload[0] == 13:
        raise InputError("Thirteen is not allowed.")
    return Record({"square": payload[0] ** 2, "pid": os.getpid()}, {})


def slowly(payload):
    time.sleep(0.1)
    return Record({"number": payload[0]}, {})


def dies_once(payload):
    number, folder = payload
    if number == 5 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Record({"number": number}, {})


def dies_always(_payload):
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.parametrize(
    "name", ["iterative", "futures", "dask", pytest.param("parsl", marks=pytest.mark.faults)]
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_all_executors_give_the_same(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", PATHS)
    with open_executor(Execution(name, 2)) as executor:
        records = do(square, 20, executor, tmp_path)
    with pytest.raises(InputError, match=r"^Thirteen is not allowed\.$"):
        records.read(records.jobs.pop(13))
    found = contents_of(records)
    assert [content["square"] for content in found] == [i**2 for i in range(20) if i != 13]
    assert (os.getpid() in {content["pid"] for content in found}) == (name == "iterative")


@pytest.mark.faults
def test_a_running_dask_cluster_is_joined_and_may_lose_a_worker(tmp_path):
    """Scheduler and workers are processes of their own, as on a batch system."""
    address = tmp_path / "scheduler.json"
    program, options = [sys.executable, "-m"], ["--scheduler-file", address, "--no-dashboard"]
    scheduler = [*program, "distributed.cli.dask_scheduler", *options, "--port", "0"]
    worker = [*program, "distributed.cli.dask_worker", *options, "--nthreads", "1", "--no-nanny"]
    env = {**os.environ, "PYTHONPATH": PATHS, "DASK_TEMPORARY_DIRECTORY": str(tmp_path)}
    with contextlib.ExitStack() as stack:
        processes = []
        for command in (scheduler, worker, worker):
            started = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=env)
            processes.append(stack.enter_context(started))
            stack.callback(processes[-1].kill)
        wait_for(address.exists)
        where = json.loads(address.read_text())["address"]
        with open_executor(Execution("dask", scheduler=where)) as executor:
            executor.client.wait_for_workers(2, timeout=60)
            threading.Timer(1.0, processes[1].kill).start()
            records = do(slowly, 30, executor, tmp_path)
            assert [content["number"] for content in contents_of(records)] == list(range(30))


@pytest.mark.parametrize("name", ["futures", pytest.param("dask", marks=pytest.mark.faults)])
def test_a_killed_worker_costs_no_work(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", PATHS)
    with open_executor(Execution(name, 2)) as executor:
        records = do(dies_once, 8, executor, tmp_path)
    assert [content["number"] for content in contents_of(records)] == list(range(8))


KILLED = """
import os, signal
from punzinet.processors.executors import Execution, open_executor
with open_executor(Execution("futures", 2)) as executor, executor.pool(max_workers=2) as pool:
    print(*{pool.submit(os.getpid).result() for _ in range(9)}, flush=True)
    pool._processes_management_lock.acquire()  # as while it starts workers
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_of_a_killed_process_end(tmp_path):
    environment = {**os.environ, "PYTHONPATH": PATHS}
    with (tmp_path / "workers").open("w") as file:  # a pipe would stay open as long as they live
        subprocess.run([sys.executable, "-c", KILLED], env=environment, stdout=file, check=False)
    workers = {int(number) for number in (tmp_path / "workers").read_text().split()}
    assert workers
    wait_for(lambda: not any(map(psutil.pid_exists, workers)), 60)


@pytest.mark.faults
def test_workers_that_always_die_end_in_one_sentence(tmp_path):
    sentence = r"die again and again .* 2 of 2 chunks are missing"
    with open_executor(Execution("futures", 2)) as pool, pytest.raises(InputError, match=sentence):
        do(dies_always, 2, pool, tmp_path)


@pytest.mark.parametrize(
    ("execution", "library", "sentence"),
    [
        (Execution("condor"), None, "'condor': choose one of auto, iterative, futures, dask"),
        (Execution("futures", scheduler="tcp://x:1"), None, "add `--executor dask`"),
        (Execution("dask", scheduler="tcp://127.0.0.1:9"), None, "No Dask scheduler answers"),
        (Execution("dask"), "dask.dataframe", r"pip install 'punzinet\[dask\]'"),
        (Execution("parsl"), "parsl", r"pip install 'punzinet\[parsl\]'"),
    ],
)
def test_refusals_are_one_sentence(execution, library, sentence, monkeypatch):
    monkeypatch.setattr("punzinet.processors.executors.CONNECT_SECONDS", 1)
    if library:
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=sentence), open_executor(execution):
        pass
