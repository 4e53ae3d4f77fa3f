"""A sample larger than the memory trains the same networks from a file."""

import resource
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.training import batches
from punzinet.analysis.training.batches import Room, Shelf, shelve, shelve_random, shelve_stratified
from punzinet.analysis.training.data import Sample, load_sample, open_sample
from punzinet.analysis.training.storage import Storage

SYNTHETIC = runpy.run_path(str(Path(__file__).parents[2] / "bench" / "synthetic.py"))
PROGRAM = Path(__file__).parent / "train_limited.py"
EVENTS = 1_500_000


def held(shelf: Shelf) -> bytes:
    """All that is on a shelf."""
    return shelf.runs.values.tobytes()


@pytest.mark.parametrize("put", [shelve_random, shelve_stratified])
def test_shelf_on_disk_holds_the_same_bytes(
    small_sample: Sample, tmp_path: Path, put: Callable[..., Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = small_sample.training
    in_memory = put(small_sample, events, 900, np.random.default_rng(1))
    monkeypatch.setattr("punzinet.analysis.training.data.ROWS", 1000)
    monkeypatch.setattr(batches, "ROWS", 700)
    room = Room(Storage(tmp_path / "events", span=50_000))  # filled in several goes
    on_disk = put(small_sample, events, 900, np.random.default_rng(1), room)
    assert held(on_disk) == held(in_memory)
    assert isinstance(on_disk.runs.values.base, np.memmap)
    assert not list((tmp_path / "events").iterdir())  # nothing that a crash could leave behind


def test_streamed_sample_is_the_one_in_memory(tmp_path: Path) -> None:
    SYNTHETIC["write_tensors"](tmp_path, 20_000, chunk=3000)
    windows = SYNTHETIC["synthetic_windows"]()
    streamed, whole = (read(tmp_path, windows, 4) for read in (open_sample, load_sample))
    assert streamed.digest == whole.digest
    assert held(shelve(streamed, streamed.training)) == held(shelve(whole, whole.training))
    assert held(shelve(streamed, streamed.validation)) == held(shelve(whole, whole.validation))


def test_full_disk_is_one_sentence(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        with pytest.raises(InputError, match=r"has no room for 0.004 GB .*--output"):
            Storage(tmp_path).zeros((1000, 1000), np.float32)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tensors of a sample that takes 38 MB in memory, and as much again on shelves."""
    folder = tmp_path_factory.mktemp("large")
    SYNTHETIC["write_tensors"](folder / "tensors", EVENTS, chunk=100_000)
    return folder


def test_training_of_a_sample_larger_than_the_memory(tensors: Path) -> None:
    def train(storage: str, limit_mib: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(PROGRAM), str(tensors), storage, str(limit_mib)],
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    limited = train("disk", 30)
    assert limited.returncode == 0, limited.stderr
    program = runpy.run_path(str(PROGRAM))
    unlimited = program["train"](tensors / "tensors", tensors / "memory", "memory")
    assert limited.stdout == program["describe"](unlimited)
    assert "MemoryError" in train("memory", 30).stderr
