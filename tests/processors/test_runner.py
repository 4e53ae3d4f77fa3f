import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.records import Record
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.columns import read_column
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Ledger
from punzinet.processors.preflight import InputFile, preflight
from punzinet.processors.runner import Chunk, ChunkProcessor, Results, plan_chunks, run_processor

Make = Callable[..., Manifest]
Write = Callable[..., Path]
Events = Callable[..., dict[str, np.ndarray]]
Run = Callable[..., Results[Any]]


class Plain(ChunkProcessor[Any]):
    """Has results that JSON can express."""

    def pack(self, result: Any) -> Record:
        return Record({"result": result}, {})

    def unpack(self, record: Record) -> Any:
        return record.content["result"]

    def settings(self, dataset: str) -> Any:
        return [type(self).__name__, dataset]


class EventNumbers(Plain):
    """Returns the event numbers of a chunk."""

    def process_chunk(self, _chunk: Chunk, events: Any) -> list[int]:
        return read_column(events, "__event__").tolist()


class Refusal(Plain):
    """Finds something wrong with the second half of the events."""

    def process_chunk(self, chunk: Chunk, _events: Any) -> int:
        if chunk.start > 3000:
            raise InputError(f"Entry {chunk.start} is not as it should be.")
        return 1


class Interrupted(Plain):
    """Somebody presses Ctrl-C."""

    def process_chunk(self, _chunk: Chunk, _events: Any) -> int:
        raise KeyboardInterrupt


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Function (processor, files, chunk_size, executor) that runs in a ledger of its own."""

    def run(
        processor: Plain, files: list[InputFile], chunk_size: int = 1000, **how: Any
    ) -> Results[Any]:
        execution = Execution(**{"executor": "iterative", **how})
        with open_executor(execution) as executor:
            return run_processor(
                processor, files, plan_chunks(files, chunk_size), executor,
                Ledger(tmp_path / "ledger"), step="test", title="Test",
            )  # fmt: skip

    return run


@given(st.lists(st.integers(0, 5000), max_size=4), st.integers(1, 700))
def test_chunks_cover_every_entry_once_and_never_grow_too_large(
    entries: list[int], chunk_size: int
) -> None:
    files = [InputFile("d", f"{i}.root", "t", n, {}, f"{i}") for i, n in enumerate(entries)]
    chunks = plan_chunks(files, chunk_size)
    assert all(0 < len(chunk) <= chunk_size for chunk in chunks)
    for file in files:
        covered = [i for c in chunks if c.path == file.path for i in range(c.start, c.stop)]
        assert covered == list(range(file.entries))


def test_results_come_by_chunk_in_order(
    run: Run, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    files = preflight(make_manifest(ntuples))
    results = run(EventNumbers(), files)
    assert list(results) == sorted(results)
    assert {chunk.dataset for chunk in results} == set(ntuples)
    for file in files:
        parts = [part for chunk, part in results.items() if chunk.path == file.path]
        assert len(parts) == file.entries // 1000
        assert [number for part in parts for number in part] == list(range(file.entries))


def test_no_entries_no_chunks(run: Run) -> None:
    assert dict(run(EventNumbers(), [InputFile("d", "x.root", "t", 0, {}, "x")])) == {}


def test_a_wrong_input_surfaces_as_its_own_sentence(
    run: Run, ntuples: dict[str, Path], make_manifest: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    files = preflight(make_manifest(ntuples))
    sentence = r"^Entry 4000 is not .* There are 7 more: `punzinet status` lists"
    with pytest.raises(InputError, match=sentence):
        run(Refusal(), files)
    assert "Traceback" not in capfd.readouterr().err


def test_an_interruption_is_not_swallowed(
    run: Run, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(), preflight(make_manifest(ntuples)))


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
        assert sum(map(len, run(EventNumbers(), files).values())) == n


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

    class ReadAll(Plain):
        def process_chunk(self, _chunk: Chunk, events: Any) -> int:
            return sum(len(read_column(events, name)) for name in files[0].columns.values())

    with pytest.raises(InputError, match=r"x\.root: branch \S+ cannot be read .* is damaged"):
        run(ReadAll(), files)


def test_a_file_that_changes_during_the_run_is_noticed(
    *, run: Run, tmp_path: Path, write_ntuple: Write, make_events: Events,
    ntuples: dict[str, Path], make_manifest: Make,
) -> None:  # fmt: skip
    path = write_ntuple(tmp_path / "x.root", make_events(1, 5000))
    files = preflight(make_manifest({"signal": ntuples["signal"], "tautau": path}))[1:]

    class Rewrites(EventNumbers):
        def process_chunk(self, chunk: Chunk, events: Any) -> list[int]:
            numbers = super().process_chunk(chunk, events)
            if chunk.start == 2000:
                write_ntuple(path, make_events(2, 5000))
            return numbers

    with pytest.raises(InputError, match=r"x\.root changed while it was being read"):
        run(Rewrites(), files)


def test_only_what_is_missing_is_done_again(
    run: Run, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    files = preflight(make_manifest(ntuples))
    first = dict(run(EventNumbers(), files))
    records = sorted((tmp_path / "ledger").rglob("*.safetensors"))
    assert len(records) == len(first) == 22
    before = [path.stat().st_mtime_ns for path in records]
    records[3].write_bytes(records[3].read_bytes()[:-1])
    flipped = bytearray(records[5].read_bytes())
    flipped[-20] ^= 1
    records[5].write_bytes(flipped)
    records[7].unlink()
    assert dict(run(EventNumbers(), files)) == first
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
        def process_chunk(self, chunk: Chunk, events: Any) -> list[int]:
            return [2 * number for number in super().process_chunk(chunk, events)]

    path = write_ntuple(tmp_path / "x.root", make_events(1, 30))
    manifest = make_manifest({"signal": ntuples["signal"], "tautau": path})
    (single,) = run(EventNumbers(), preflight(manifest)[1:]).values()
    (double,) = run(Doubled(), preflight(manifest)[1:]).values()
    assert double == [2 * number for number in single]
    events = make_events(1, 30)
    events["event"][:] = 7
    write_ntuple(path, events)
    (changed,) = run(EventNumbers(), preflight(manifest)[1:]).values()
    assert changed == [7] * 30
