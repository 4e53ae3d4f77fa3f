"""Commands as a user gives them, each in a process of its own."""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from punzinet.cli import app

PUNZINET = (sys.executable, "-m", "punzinet")


def run(*command, folder, **how):
    how = {"timeout": 280, **how}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **how)


def run_python(*arguments, folder, env=None, **how):
    """Run a Python script to its end, which can import what this process can."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})}
    return run(sys.executable, *arguments, folder=folder, env=env, **how)


def run_here(command, *arguments):
    """What a command says that works in this process alone; a refusal is raised."""
    spread = ["--executor", "iterative"] if command in {"simulate", "features", "select"} else []
    given = [command, *spread, *map(str, arguments)]
    done = CliRunner().invoke(app, given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def wait_for(condition, seconds=120):
    """Wait until a condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sentence_of(refused):
    """The sentence with which a command refused to work, progress bars left out."""
    said = refused.stderr
    assert refused.returncode == 1, f"exit code {refused.returncode}: {said}"
    assert "Traceback" not in said
    _, found, sentence = said.rpartition("punzinet: ")
    assert found, said
    assert sentence.strip().endswith((".", ")")), said
    return sentence.strip()


def run_in_private_network(script, folder):
    """Run a script on a folder, which sees nothing but a loopback of its own.

    No port is open to anyone and none is taken; the test is skipped if the system forbids it.
    """
    new_network, new_user = 0x4000_0000, 0x1000_0000
    set_flags, up_and_running = 0x8914, 0x41
    libc = ctypes.CDLL(None)

    def leave():
        if libc.unshare(new_network | (0 if os.getuid() == 0 else new_user)) != 0:
            os._exit(77)
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, set_flags, struct.pack("16sH", b"lo", up_and_running))

    done = run_python(script, folder, folder=folder, preexec_fn=leave, timeout=400)
    if done.returncode == 77:
        pytest.skip("the system allows no private network")
    assert done.returncode == 0, done.stdout + done.stderr
    return done
