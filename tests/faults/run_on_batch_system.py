"""Runs the features stage on a Dask cluster whose workers are jobs; run by test_batch_system.py.

Usage: run_on_batch_system.py FOLDER, which holds cluster.py, the script that starts the cluster,
and a manifest. Programs that are called like HTCondor's start and end jobs on this machine.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def main(folder: Path) -> None:
    """Start the cluster, run the stage, kill one of the jobs meanwhile, and end the cluster."""
    programs, jobs = folder / "programs", folder / "jobs"
    programs.mkdir()
    jobs.mkdir()
    for name, text in (("condor_submit", SUBMIT), ("condor_rm", REMOVE)):
        (programs / name).write_text(text.format(python=sys.executable, jobs=str(jobs)))
        (programs / name).chmod(0o755)
    os.environ["PATH"] = os.pathsep.join([str(programs), os.environ["PATH"]])
    os.chdir(folder)
    cluster = subprocess.Popen(
        [sys.executable, "cluster.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    try:
        address = re.search(r"tcp://[0-9.:]+", cluster.stdout.readline())
        assert address is not None
        deadline = time.monotonic() + 200
        while len(list(jobs.iterdir())) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        command = [sys.executable, "-m", "punzinet", "features", "--executor", "dask"]
        stage = subprocess.Popen([*command, "--scheduler", address[0]])
        records = Path("output/.ledger/features/features")
        while len(list(records.rglob("*.safetensors"))) < 2 and time.monotonic() < deadline:
            assert stage.poll() is None
            time.sleep(0.005)
        started = sorted(jobs.iterdir())
        os.killpg(int(started[0].read_text()), signal.SIGKILL)
        assert stage.wait(200) == 0
        sys.stdout.write(f"{len(started)} jobs were submitted, 1 was killed\n")
    finally:
        with contextlib.suppress(OSError):
            cluster.communicate("\n", timeout=60)
        cluster.kill()
        for job in jobs.iterdir():
            with contextlib.suppress(OSError):
                os.killpg(int(job.read_text()), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
