"""A small chain whose stages can be disturbed one by one, and the count of all that was done.

A test says what it did by `record_property`: how many `faults` it injected, how many inputs it
`fuzzed`, and how many `events` were all there in the end.
"""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import PUNZINET, run, sentence_of
from outputs import contents
from small_data import simulated

from punzinet.stages import CHAIN
from punzinet.stages.run import holder_of

Done = subprocess.CompletedProcess[str]


class Chain:
    """All stages, undisturbed: the folder before each of them, and what it did to it."""

    stages = (*CHAIN, "report")
    spread = frozenset({"simulate", "features", "select"})  # stages that know executors

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.after: dict[str, dict[str, bytes]] = {}  # all results by name
        self.seconds: dict[str, float] = {}  # of a stage, as soon as it holds the lock
        self.added: dict[str, int] = {}  # bytes in the output folder
        self.finished = now = folder / "now"
        now.mkdir()
        manifest = simulated(luminosity=1.0, step=2.0, epochs=60)
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

        def entries(path: str, *keys: Any) -> dict[str, int]:
            datasets = json.loads((now / "output" / path).read_text())["datasets"]
            return {name: reduce(getitem, keys, dataset) for name, dataset in datasets.items()}

        made, read = entries("ntuples/simulation.json", "entries"), ("cutflow", 0, "entries")
        assert made == entries("features/completeness.json", "read")
        assert made == entries("selection/cutflow.json", *read)
        self.events = sum(made.values())

    def before(self, stage: str, target: Path) -> Path:
        """A copy of the folder in which a stage comes next."""
        return Path(shutil.copytree(self._folder / stage, target, dirs_exist_ok=True))

    def command(self, stage: str, *options: str) -> list[str]:
        spread = ["--executor", "futures", "--workers", "2"] if stage in self.spread else []
        return [*PUNZINET, stage, *spread, *options]

    def start(self, folder: Path, stage: str, *options: str) -> subprocess.Popen[bytes]:
        """Start a stage; it is left to the caller to end it.

        What it says goes to a file: workers that outlive it would keep a pipe open.
        """
        with (folder / "said").open("w") as said:
            command = self.command(stage, *options)
            return subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)

    def run(self, folder: Path, stage: str, *options: str, **how: Any) -> Done:
        return run(*self.command(stage, *options), folder=folder, **how)

    def watched(self, folder: Path, stage: str, log: Path, number: int = -1, **how: Any) -> Done:
        """Run a stage in one process under `watched.py`, as far as its change of a number."""
        command = [sys.executable, Path(__file__).with_name("watched.py"), log, str(number), stage]
        command += ["--executor", "iterative"] if stage in self.spread else []
        return run(*command, folder=folder, **how)

    def refused(self, folder: Path, stage: str, *options: str, **how: Any) -> str:
        """The sentence with which a stage refuses to run."""
        return sentence_of(self.run(folder, stage, *options, **how))

    def complete(self, folder: Path, stage: str, *options: str) -> None:
        """Run a stage, which has to give what it gives undisturbed."""
        done = self.run(folder, stage, *options)
        assert done.returncode == 0, done.stderr
        self.check(folder, stage)

    def check(self, folder: Path, stage: str) -> None:
        """Compare all results with those of an undisturbed run, and look for leftovers."""
        found, expected = contents(folder / "output"), self.after[stage]
        assert {n for n in found.keys() | expected if found.get(n) != expected.get(n)} == set()
        assert not list((folder / "output").rglob("*.partial*"))
        assert not list((folder / "output").glob(".tensors*"))
        assert holder_of(folder / "output") is None

    @staticmethod
    def wait_for_lock(folder: Path, process: subprocess.Popen[bytes]) -> None:
        """Wait until a process has the output folder to itself, or has ended."""
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if (holder_of(folder / "output") or {}).get("pid") == process.pid:
                return
            time.sleep(0.01)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The chain, after it has run once."""
    return Chain(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def survived(chain: Chain, record_property) -> Callable[..., None]:
    """Function (folder, stage, faults) that checks a stage's results, and counts its events.

    They are the same bytes as those of the undisturbed run, of which no event is missing.
    """

    def check(folder: Path, stage: str, faults: int = 1) -> None:
        chain.check(folder, stage)
        record_property("faults", faults)
        record_property("events", chain.events * (stage in chain.spread))

    return check


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what the tests did, and how much of it was survived."""
    totals: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            if report.when == "call":
                said = {k: v for k, v in report.user_properties if isinstance(v, int)}
                totals.update(said)
                totals["survived"] += said.get("faults", 0) * (outcome == "passed")
    if totals["faults"] or totals["fuzzed"]:
        terminalreporter.write_line(
            f"{totals['faults']:,} faults injected, {totals['survived']:,} survived; "
            f"{totals['fuzzed']:,} inputs fuzzed; {totals['events']:,} events counted."
        )
