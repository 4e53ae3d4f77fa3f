from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.manifest import Manifest
from processors.columns import read_column
from processors.preflight import InputFile, preflight
from processors.runner import Chunk, ChunkProcessor, make_executor, plan_chunks, run_processor

Make = Callable[..., Manifest]
Write = Callable[..., Path]
Events = Callable[..., dict[str, np.ndarray]]


class EventNumbers(ChunkProcessor[list[int]]):
    """Returns the event numbers of a chunk."""

    def process_chunk(self, _chunk: Chunk, events: Any) -> list[int]:
        return read_column(events, "__event__").tolist()


class Refusal(ChunkProcessor[int]):
    """Finds something wrong with the second half of the events."""

    def process_chunk(self, chunk: Chunk, _events: Any) -> int:
        if chunk.start > 3000:
            raise InputError(f"Entry {chunk.start} is not as it should be.")
        return 1


class Interrupted(ChunkProcessor[int]):
    """Somebody presses Ctrl-C."""

    def process_chunk(self, _chunk: Chunk, _events: Any) -> int:
        raise KeyboardInterrupt


def run(
    processor: ChunkProcessor[Any], files: list[InputFile], chunk_size: int = 1000
) -> dict[Chunk, Any]:
    return run_processor(processor, files, make_executor("iterative", 1), chunk_size, "Test")


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


def test_results_come_by_chunk_in_order(ntuples: dict[str, Path], make_manifest: Make) -> None:
    files = preflight(make_manifest(ntuples))
    results = run(EventNumbers(), files)
    assert list(results) == sorted(results)
    assert {chunk.dataset for chunk in results} == set(ntuples)
    for file in files:
        parts = [part for chunk, part in results.items() if chunk.path == file.path]
        assert len(parts) == file.entries // 1000
        assert [number for part in parts for number in part] == list(range(file.entries))


def test_no_entries_no_chunks() -> None:
    assert run(EventNumbers(), [InputFile("d", "x.root", "t", 0, {}, "x")]) == {}


def test_a_wrong_input_surfaces_as_its_own_sentence(
    ntuples: dict[str, Path], make_manifest: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    files = preflight(make_manifest(ntuples))
    with pytest.raises(InputError, match=r"^Entry 4000 is not as it should be\.$"):
        run(Refusal(), files)
    assert "Traceback" not in capfd.readouterr().err


def test_an_interruption_is_not_swallowed(ntuples: dict[str, Path], make_manifest: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(), preflight(make_manifest(ntuples)))


@pytest.mark.parametrize("lost", ["all", "half"])
def test_lost_entries_are_listed(
    lost: str, ntuples: dict[str, Path], make_manifest: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = preflight(make_manifest(ntuples))
    complete = EventNumbers.process

    def process(self: EventNumbers, events: Any) -> Any:
        about = events.metadata
        if about["dataset"] == "eemumu" and about["entrystart"] == 1000:
            return {} if lost == "all" else complete(self, _Shorter(events))
        return complete(self, events)

    class _Shorter:
        def __init__(self, events: Any) -> None:
            self.metadata, self._events = events.metadata, events

        def __len__(self) -> int:
            return len(self._events) // 2

        def __getitem__(self, name: str) -> Any:
            return self._events[name]

    monkeypatch.setattr(EventNumbers, "process", process)
    read = {"all": 0, "half": 500}[lost]
    with pytest.raises(
        InputError,
        match=rf"^Not all entries were read; missing are: \S*eemumu\.root entries 1000 to 2000 "
        rf"\(read {read}\)\.$",
    ):
        run(EventNumbers(), files)


def test_a_file_that_changed_between_two_runs_is_read_anew(
    tmp_path: Path,
    write_ntuple: Write,
    make_events: Events,
    ntuples: dict[str, Path],
    make_manifest: Make,
) -> None:
    for n in (10, 30):
        path = write_ntuple(tmp_path / "x.root", make_events(1, n))
        files = preflight(make_manifest({"signal": ntuples["signal"], "tautau": path}))[1:]
        assert sum(map(len, run(EventNumbers(), files).values())) == n


def test_damage_in_the_middle_of_a_file_is_located(
    tmp_path: Path,
    write_ntuple: Write,
    make_events: Events,
    ntuples: dict[str, Path],
    make_manifest: Make,
) -> None:
    events = make_events(1, 5000)
    path = write_ntuple(tmp_path / "x.root", events)
    files = preflight(make_manifest({"signal": ntuples["signal"], "tautau": path}))[1:]
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(data)

    class ReadAll(ChunkProcessor[int]):
        def process_chunk(self, _chunk: Chunk, events: Any) -> int:
            return sum(len(read_column(events, name)) for name in files[0].columns.values())

    with pytest.raises(InputError, match=r"x\.root: branch \S+ cannot be read .* is damaged"):
        run(ReadAll(), files)


def test_an_unknown_executor_is_refused() -> None:
    with pytest.raises(
        InputError, match="There is no executor 'dask': choose iterative or futures"
    ):
        make_executor("dask", 2)
