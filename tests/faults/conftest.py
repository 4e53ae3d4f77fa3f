"""A small chain whose stages can be disturbed one by one."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from commands import PUNZINET, run, sentence_of, wait_for
from outputs import contents, datasets_of
from small_data import simulated

from punzinet.stages import CHAIN
from punzinet.stages.run import holder_of


class Chain:
    """All stages, undisturbed: the folder before each of them, and what it did to it."""

    stages = (*CHAIN, "report")
    spread = frozenset({"simulate", "features", "select"})  # stages that know executors

    def __init__(self, folder):
        self._folder = folder
        self.after = {}  # all results by name
        self.seconds = {}  # of a stage, as soon as it holds the lock
        self.added = {}  # bytes in the output folder
        self.finished = now = folder / "now"
        now.mkdir()
        manifest = simulated(epochs=60)
        manifest["features"] = {"chunk_size": 1000}
        (now / "data_manifest.yaml").write_text(yaml.safe_dump(manifest))
        for stage in self.stages:
            before = shutil.copytree(now, folder / stage)
            process = self.start(now, stage)
            self.wait_for_lock(now, process)
            begin = time.monotonic()
            assert process.wait(280) == 0, (now / "said").read_text()
            self.seconds[stage] = time.monotonic() - begin
            self.after[stage] = contents(now / "output")
            self.added[stage] = _size(now) - _size(before)
        results = ("ntuples/simulation", "features/completeness", "selection/cutflow")
        made, read, judged = (datasets_of(now / "output" / f"{name}.json") for name in results)
        for name, one in made.items():
            assert one["entries"] == read[name]["read"] == judged[name]["cutflow"][0]["entries"]

    def before(self, stage, target):
        """A copy of the folder in which a stage comes next."""
        return Path(shutil.copytree(self._folder / stage, target, dirs_exist_ok=True))

    def command(self, stage, *options):
        spread = ["--executor", "futures", "--workers", "2"] if stage in self.spread else []
        return [*PUNZINET, stage, *spread, *options]

    def start(self, folder, stage, *options):
        """Start a stage; it is left to the caller to end it.

        What it says goes to a file: workers that outlive it would keep a pipe open.
        """
        with (folder / "said").open("w") as said:
            command = self.command(stage, *options)
            return subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)

    def run(self, folder, stage, *options, **how):
        return run(*self.command(stage, *options), folder=folder, **how)

    def watched(self, folder, stage, log, number=-1, **how):
        """Run a stage in one process under `watched.py`, as far as its change of a number."""
        command = [sys.executable, Path(__file__).with_name("watched.py"), log, str(number), stage]
        command += ["--executor", "iterative"] if stage in self.spread else []
        return run(*command, folder=folder, **how)

    def refused(self, folder, stage, *options, **how):
        """The sentence with which a stage refuses to run."""
        return sentence_of(self.run(folder, stage, *options, **how))

    def complete(self, folder, stage, *options):
        """Run a stage, which has to give what it gives undisturbed."""
        done = self.run(folder, stage, *options)
        assert done.returncode == 0, done.stderr
        self.check(folder, stage)

    def check(self, folder, stage):
        """Compare all results with those of an undisturbed run, and look for leftovers."""
        found, expected = contents(folder / "output"), self.after[stage]
        assert {n for n in found.keys() | expected if found.get(n) != expected.get(n)} == set()
        assert not list((folder / "output").rglob("*.partial*"))
        assert not list((folder / "output").glob(".tensors*"))
        assert not holder_of(folder / "output")

    @staticmethod
    def wait_for_lock(folder, process):
        """Wait until a process has the output folder to itself, or has ended."""

        def holds():
            return holder_of(folder / "output").get("pid") == process.pid

        wait_for(lambda: process.poll() is not None or holds())


def _size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def chain(tmp_path_factory):
    """The chain, after it has run once."""
    return Chain(tmp_path_factory.mktemp("undisturbed"))
