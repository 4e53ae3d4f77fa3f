from itertools import chain

import numpy as np
import pytest
from hist import Hist
from hypothesis import given
from hypothesis import strategies as st
from small_data import damage, make_events, make_manifest, write_ntuple

from punzinet.analysis.io.files import InputError
from punzinet.processors.candidates import read_column
from punzinet.processors.datasets import ChunkProcessor, DatasetInfo, chunk_of, split
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.preflight import preflight
from punzinet.processors.runner import run_processor


class EventNumbers(ChunkProcessor):
    """The event numbers of a chunk, in everything that a result can hold."""

    def process_chunk(self, _dataset, events):
        numbers = read_column(events, "__event__")
        histogram = Hist.new.Reg(10, 0, 10_000, name="n").Weight().fill(numbers, weight=0.1)
        return {"numbers": numbers, "first": [int(numbers[0]), None, "x"], "histogram": histogram}


@pytest.fixture
def run(tmp_path):
    """Function (class of a processor, files) that runs it in a ledger of its own."""

    def run(kind, files):
        of_file = (split(one.dataset, one.location, one.entries, 1000) for one in files)
        processor = kind([DatasetInfo(name, name) for name in {one.dataset for one in files}])
        with open_executor(Execution()) as executor:
            where = {"step": tmp_path / "ledger" / "test", "title": "Test"}
            return run_processor(processor, files, [*chain(*of_file)], executor, **where)

    return run


@pytest.fixture
def look(ntuples, tmp_path):
    def look(events):
        path = write_ntuple(tmp_path / "x.root", events)
        files, _ = preflight(make_manifest({"signal": ntuples["signal"], "tautau": path}))
        return files[1:]

    return look


@given(st.integers(0, 5000), st.integers(1, 700))
def test_chunks_cover_every_entry_once_and_never_grow_too_large(entries, chunk_size):
    chunks = split("d", "x.root", entries, chunk_size)
    assert all(0 < chunk.entries <= chunk_size for chunk in chunks)
    assert [i for c in chunks for i in range(c.start, c.stop)] == list(range(entries))


def test_results_come_by_chunk_in_order(run, ntuples):
    files, _ = preflight(make_manifest(ntuples))
    results = run(EventNumbers, files)
    assert list(results) == sorted(results)
    assert {chunk.dataset for chunk in results} == set(ntuples)
    for file in files:
        parts = [part["numbers"] for chunk, part in results.items() if chunk.file == file.path]
        assert len(parts) == file.entries // 1000
        assert np.concatenate(parts).tolist() == list(range(file.entries))


def test_a_wrong_input_surfaces_as_its_own_sentence(run, ntuples, capfd):
    class Refusal(EventNumbers):
        def process_chunk(self, dataset, events):
            start = chunk_of(events.metadata).start
            if start > 3000:
                raise InputError(f"Entry {start} is not as it should be.")
            return super().process_chunk(dataset, events)

    sentence = r"^Entry 4000 is not .* There are 7 more: `punzinet status` lists"
    with pytest.raises(InputError, match=sentence):
        run(Refusal, preflight(make_manifest(ntuples))[0])
    assert "Traceback" not in capfd.readouterr().err


def test_a_file_that_changes_during_the_run_is_noticed(run, look):
    class Rewrites(EventNumbers):
        def process_chunk(self, dataset, events):
            result = super().process_chunk(dataset, events)
            if chunk_of(events.metadata).start == 2000:
                look(make_events(2, 5000))
            return result

    with pytest.raises(InputError, match=r"x\.root changed while it was being read"):
        run(Rewrites, look(make_events(1, 5000)))


def test_only_what_is_missing_is_done_again(run, tmp_path, ntuples):
    files, _ = preflight(make_manifest(ntuples))
    first = run(EventNumbers, files)
    records = sorted((tmp_path / "ledger").rglob("*.safetensors"))
    assert len(records) == len(first) == 22
    before = [path.stat().st_mtime_ns for path in records]
    records[3].write_bytes(records[3].read_bytes()[:-1])
    damage(records[5], 1)
    records[7].unlink()
    again = run(EventNumbers, files)
    assert list(again) == list(first)
    for chunk, part in again.items():
        numbers, before_it = part.pop("numbers"), first[chunk].pop("numbers")
        np.testing.assert_array_equal(numbers, before_it)
        assert part == first[chunk]
    after = [path.stat().st_mtime_ns for path in records]
    assert np.flatnonzero(np.array(before) != np.array(after)).tolist() == [3, 5, 7]


def test_records_of_another_processor_or_file_do_not_count(run, look):
    class Doubled(EventNumbers):
        def process_chunk(self, dataset, events):
            return {"numbers": 2 * super().process_chunk(dataset, events)["numbers"]}

    events = make_events(1, 30)
    (single,) = run(EventNumbers, look(events)).values()
    (double,) = run(Doubled, look(events)).values()
    np.testing.assert_array_equal(double["numbers"], 2 * single["numbers"])
    for number in (7, 8):
        events["event"][:] = number
        (changed,) = run(EventNumbers, look(events)).values()
        assert changed["numbers"].tolist() == [number] * 30
    (shorter,) = run(EventNumbers, look(make_events(1, 10))).values()
    assert len(shorter["numbers"]) == 10
