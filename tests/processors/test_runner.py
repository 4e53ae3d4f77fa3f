import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hist import Hist
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.candidates import read_column
from punzinet.processors.chunks import Chunk, ChunkProcessor, chunk_of, split
from punzinet.processors.datasets import DatasetInfo
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Ledger
from punzinet.processors.ntuples.preflight import InputFile, preflight
from punzinet.processors.runner import run_processor as run_in_ledger

Make = Callable[..., Manifest]
Write = Callable[..., Path]
Events = Callable[..., dict[str, np.ndarray]]
Run = Callable[..., dict[Chunk, Any]]


class EventNumbers(ChunkProcessor):
    """The event numbers of a chunk, in everything that a result can hold."""

    def process_chunk(self, _dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        numbers = read_column(events, "__event__")
        histogram = Hist.new.Reg(10, 0, 10_000, name="n").Weight().fill(numbers, weight=0.1)
        return {"numbers": numbers, "first": [int(numbers[0]), None, "x"], "histogram": histogram}

    def settings(self, dataset: DatasetInfo) -> Any:
        return dataset.name


class Refusal(EventNumbers):
    """Finds something wrong with the second half of the events."""

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        start = chunk_of(events.metadata).start
        if start > 3000:
            raise InputError(f"Entry {start} is not as it should be.")
        return super().process_chunk(dataset, events)


class Interrupted(EventNumbers):
    """Somebody presses Ctrl-C."""

    def process_chunk(self, _dataset: DatasetInfo, _events: Any) -> dict[str, Any]:
        raise KeyboardInterrupt


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Function (class of a processor, files, …) that runs it in a ledger of its own."""

    def run(kind: Any, files: list[InputFile], chunk_size: int = 1000, **how: Any) -> Any:
        chunks = [
            chunk
            for file in files
            for chunk in split(file.dataset, file.location, file.entries, chunk_size)
        ]
        names = dict.fromkeys(file.dataset for file in files)
        processor = kind([DatasetInfo(name, name) for name in names])
        with open_executor(Execution(**how)) as executor:
            found, _ = run_in_ledger(
                processor, files, chunks, executor, Ledger(tmp_path / "ledger"),
                step="test", title="Test",
            )  # fmt: skip
        return found

    return run


@given(st.integers(0, 5000), st.integers(1, 700))
def test_chunks_cover_every_entry_once_and_never_grow_too_large(
    entries: int, chunk_size: int
) -> None:
    chunks = split("d", "x.root", entries, chunk_size)
    assert all(0 < chunk.entries <= chunk_size for chunk in chunks)
    assert [i for c in chunks for i in range(c.start, c.stop)] == list(range(entries))


@pytest.mark.parametrize(("executor", "workers"), [("iterative", 1), ("futures", 2)])
def test_results_come_by_chunk_in_order(
    run: Run, ntuples: dict[str, Path], make_manifest: Make, executor: str, workers: int
) -> None:
    files = preflight(make_manifest(ntuples))
    results = run(EventNumbers, files, executor=executor, workers=workers)
    assert list(results) == sorted(results)
    assert {chunk.dataset for chunk in results} == set(ntuples)
    for file in files:
        parts = [part["numbers"] for chunk, part in results.items() if chunk.file == file.path]
        assert len(parts) == file.entries // 1000
        assert np.concatenate(parts).tolist() == list(range(file.entries))


def test_a_wrong_input_surfaces_as_its_own_sentence(
    run: Run, ntuples: dict[str, Path], make_manifest: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    files = preflight(make_manifest(ntuples))
    sentence = r"^Entry 4000 is not .* There are 7 more: `punzinet status` lists"
    with pytest.raises(InputError, match=sentence):
        run(Refusal, files)
    assert "Traceback" not in capfd.readouterr().err


def test_an_interruption_is_not_swallowed(
    run: Run, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted, preflight(make_manifest(ntuples)))


def test_a_file_that_changed_between_two_runs_is_read_anew(
    *,
    tmp_path: Path,
    write_ntuple: Write,
    make_events: Events,
    ntuples: dict[str, Path],
    make_manifest: Make,
    run: Run,
) -> None:
    for n in (10, 30):
        path = write_ntuple(tmp_path / "x.root", make_events(1, n))
        files = preflight(make_manifest({"signal": ntuples["signal"], "tautau": path}))[1:]
        assert sum(len(part["numbers"]) for part in run(EventNumbers, files).values()) == n


def test_damage_in_the_middle_of_a_file_is_located(
    *,
    tmp_path: Path,
    write_ntuple: Write,
    make_events: Events,
    ntuples: dict[str, Path],
    make_manifest: Make,
    run: Run,
    damage: Callable[[Path], None],
) -> None:
    events = make_events(1, 5000)
    path = write_ntuple(tmp_path / "x.root", events)
    files = preflight(make_manifest({"signal": ntuples["signal"], "tautau": path}))[1:]
    status = path.stat()
    damage(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # nobody notices from outside

    class ReadAll(EventNumbers):
        def process_chunk(self, _dataset: DatasetInfo, events: Any) -> dict[str, Any]:
            return {name: read_column(events, name) for name in files[0].columns.values()}

    with pytest.raises(InputError, match=r"x\.root: branch \S+ cannot be read .* is damaged"):
        run(ReadAll, files)


def test_a_file_that_changes_during_the_run_is_noticed(
    *, run: Run, tmp_path: Path, write_ntuple: Write, make_events: Events,
    ntuples: dict[str, Path], make_manifest: Make,
) -> None:  # fmt: skip
    path = write_ntuple(tmp_path / "x.root", make_events(1, 5000))
    files = preflight(make_manifest({"signal": ntuples["signal"], "tautau": path}))[1:]

    class Rewrites(EventNumbers):
        def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
            result = super().process_chunk(dataset, events)
            if chunk_of(events.metadata).start == 2000:
                write_ntuple(path, make_events(2, 5000))
            return result

    with pytest.raises(InputError, match=r"x\.root changed while it was being read"):
        run(Rewrites, files)


def test_only_what_is_missing_is_done_again(
    run: Run, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    files = preflight(make_manifest(ntuples))
    first = run(EventNumbers, files)
    records = sorted((tmp_path / "ledger").rglob("*.safetensors"))
    assert len(records) == len(first) == 22
    before = [path.stat().st_mtime_ns for path in records]
    records[3].write_bytes(records[3].read_bytes()[:-1])
    flipped = bytearray(records[5].read_bytes())
    flipped[-20] ^= 1
    records[5].write_bytes(flipped)
    records[7].unlink()
    again = run(EventNumbers, files)
    assert list(again) == list(first)
    for chunk, part in again.items():
        np.testing.assert_array_equal(part["numbers"], first[chunk]["numbers"])
        assert part["first"] == first[chunk]["first"]
        assert part["histogram"] == first[chunk]["histogram"]
    changed = [
        number
        for number, (path, time) in enumerate(zip(records, before, strict=True))
        if path.stat().st_mtime_ns != time
    ]
    assert changed == [3, 5, 7]


def test_records_of_another_processor_or_file_do_not_count(
    *, run: Run, tmp_path: Path, write_ntuple: Write, make_events: Events,
    ntuples: dict[str, Path], make_manifest: Make,
) -> None:  # fmt: skip
    class Doubled(EventNumbers):
        def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
            return {"numbers": 2 * super().process_chunk(dataset, events)["numbers"]}

    path = write_ntuple(tmp_path / "x.root", make_events(1, 30))
    manifest = make_manifest({"signal": ntuples["signal"], "tautau": path})
    (single,) = run(EventNumbers, preflight(manifest)[1:]).values()
    (double,) = run(Doubled, preflight(manifest)[1:]).values()
    np.testing.assert_array_equal(double["numbers"], 2 * single["numbers"])
    events = make_events(1, 30)
    events["event"][:] = 7
    write_ntuple(path, events)
    (changed,) = run(EventNumbers, preflight(manifest)[1:]).values()
    assert changed["numbers"].tolist() == [7] * 30
