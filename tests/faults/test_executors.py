"""The same bytes from every executor, also on a batch system as the documentation has it.

For that, the test runs this file in a network of its own: FOLDER holds a manifest and cluster.py,
which starts a Dask cluster whose workers are jobs. Programs that are called like HTCondor's start
and end jobs on this machine.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import PUNZINET, run_in_private_network, wait_for
from pages import ROOT, blocks

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
#: What a user sees of HTCondor: a job is described by a file, gets a number, and can be removed.
SUBMIT = r"""#!{python}
import os, pathlib, re, subprocess, sys
jobs = pathlib.Path({jobs!r})
text = pathlib.Path(sys.argv[-1]).read_text()
executable = re.search(r"^Executable = (.*)$", text, re.M)[1]
arguments = re.search(r"^Arguments = (.*)$", text, re.M)[1]
option, command = re.fullmatch(r'"(\S+) \'(.*)\'"', arguments).groups()
command = command.replace("''", "'").replace('""', '"')
number = os.getpid()  # jobs are submitted at the same time, so counting gives no number twice
with (jobs.parent / f"job{{number}}.log").open("w") as log:
    job = subprocess.Popen(
        [executable, option, "exec " + command], stdout=log, stderr=log, start_new_session=True
    )
(jobs / str(number)).write_text(str(job.pid))
print(f"1 job(s) submitted to cluster {{number}}.")
"""
REMOVE = r"""#!{python}
import contextlib, os, pathlib, signal, sys
jobs = pathlib.Path({jobs!r})
for name in sys.argv[1:]:
    with contextlib.suppress(OSError):
        os.killpg(int((jobs / name.split(".")[0]).read_text()), signal.SIGKILL)
"""


def main(folder):
    """Start the cluster, run the stage, kill one of the jobs meanwhile, and end the cluster."""
    programs, jobs = folder / "programs", folder / "jobs"
    programs.mkdir()
    jobs.mkdir()
    for name, text in (("condor_submit", SUBMIT), ("condor_rm", REMOVE)):
        (programs / name).write_text(text.format(python=sys.executable, jobs=str(jobs)))
        (programs / name).chmod(0o755)
    os.environ["PATH"] = os.pathsep.join([str(programs), os.environ["PATH"]])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    cluster = subprocess.Popen([sys.executable, "cluster.py"], text=True, **pipes)
    try:
        (address,) = re.findall(r"tcp://[0-9.:]+", cluster.stdout.readline())
        wait_for(lambda: len(list(jobs.iterdir())) == 2, 200)
        command = [*PUNZINET, "features", "--executor", "dask", "--scheduler", address]
        stage = subprocess.Popen(command)
        pattern = "output/.ledger/features/features/**/*.safetensors"
        wait_for(lambda: len(list(folder.glob(pattern))) > 1 or stage.poll() is not None, 200)
        assert stage.poll() is None
        started = sorted(jobs.iterdir())
        os.killpg(int(started[0].read_text()), signal.SIGKILL)
        assert stage.wait(200) == 0
        assert len(started) == 2
    finally:
        with contextlib.suppress(OSError):
            cluster.communicate("\n", timeout=60)
        cluster.kill()
        for job in jobs.iterdir():
            with contextlib.suppress(OSError):
                os.killpg(int(job.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("stage", "executor"),
    [("simulate", "dask"), ("features", "dask"), ("select", "dask"), ("features", "parsl")],
)
def test_a_stage_gives_the_same_bytes_with(chain, tmp_path, stage, executor):
    """Undisturbed, it runs with processes on this machine."""
    folder = chain.before(stage, tmp_path)
    chain.complete(folder, stage, "--executor", executor)


def test_the_example_on_htcondor_runs_and_loses_a_worker(chain, tmp_path):
    folder = chain.before("features", tmp_path / "run")
    example, *_ = blocks("python", ROOT / "docs" / "clusters.md")
    assert "HTCondorCluster(" in example
    (folder / "cluster.py").write_text(example.replace("jobs=100", "jobs=2"))
    run_in_private_network(__file__, folder)
    shutil.rmtree(folder / "output" / ".dask", ignore_errors=True)
    chain.check(folder, "features")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
