"""Reading tensors: the same sample whatever the chunks, and nothing that cannot train."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_data import windows_of

from punzinet.analysis.folds import Folds
from punzinet.analysis.io.files import InputError
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import PARTS, load_sample

#: Four overlapping windows, of which the first and the third train.
WINDOWS = windows_of([1.0, 2.0, 3.0, 4.0], [1.5] * 4, [True, False, True, False])
FOLDS = Folds(validation=4, test=3)


@pytest.fixture
def columns():
    """Events of two datasets, as the features stage keeps them."""
    rng = np.random.default_rng(3)
    own, ranges = rng.integers(0, 4, 1000), WINDOWS.assign(rng.uniform(0, 18, 3000))
    tables = {}
    for name, process, (start, stop) in (
        ("background", rng.choice(["tautau", "eemumu"], 3000), ranges),
        ("signal", np.full(1000, "signal"), (own, own + 1)),
    ):
        n = len(process)
        tables[name] = {
            **{feature: rng.random(n).astype(np.float32) for feature in FEATURES},
            "process": process,
            "window_start": start.astype(np.int16),
            "window_stop": stop.astype(np.int16),
            "weight": rng.uniform(0.5, 1.5, n),
            "fold": rng.integers(0, 5, n).astype(np.int8),
        }
    return tables


def write(folder, columns, chunk):
    for name, table in columns.items():
        (folder / name).mkdir(parents=True)
        whole = pa.table(table | {"process": pa.array(table["process"]).dictionary_encode()})
        for start in range(0, len(whole), chunk):
            rows = whole.slice(start, chunk)
            pq.write_table(rows, folder / name / f"file-{start}-{start + len(rows)}.parquet")
    return folder


def test_sample_does_not_depend_on_chunks(tmp_path, columns):
    folders = [write(tmp_path / str(chunk), columns, chunk) for chunk in (90, 1100, 10**6)]
    (digest,) = {load_sample(folder, WINDOWS, FOLDS).digest for folder in folders}
    assert digest != load_sample(folders[0], WINDOWS, Folds(3, 4)).digest


def test_chunks_of_two_runs_are_not_added_up(tmp_path, columns):
    folder = write(tmp_path, columns, 1100)
    other = folder / "background" / "file-1100-2000.parquet"
    other.write_bytes((folder / "background" / "file-1100-2200.parquet").read_bytes())
    with pytest.raises(InputError, match=r"1100-2000.* and .*1100-2200.* hold the same entries"):
        load_sample(folder, WINDOWS, FOLDS)


def test_without_a_test_fold_its_events_train(tmp_path, columns):
    folder = write(tmp_path, columns, 500)
    judged, published = (load_sample(folder, WINDOWS, Folds(4, test)) for test in (3, None))
    assert len(published.test) == 0
    assert len(published.training) == len(judged.training) + len(judged.test)
    np.testing.assert_array_equal(published.validation.weight, judged.validation.weight)


def test_test_events_are_not_looked_at(tmp_path, columns):
    """They stand neither in the totals of the loss, nor in the scaling, nor in the digest."""
    samples = [load_sample(write(tmp_path / "before", columns, 500), WINDOWS, FOLDS)]
    for table in columns.values():
        table["weight"][table["fold"] == 3] *= 100
        table["pt_mumu"][table["fold"] == 3] *= 100
    samples.append(load_sample(write(tmp_path / "after", columns, 500), WINDOWS, FOLDS))
    assert samples[0].digest == samples[1].digest
    for one, other in zip(samples[0].total, samples[1].total, strict=True):
        np.testing.assert_array_equal(one, other)
    assert samples[1].test.weight.sum() > 50 * samples[0].test.weight.sum()


def test_only_training_hypotheses_train(tmp_path, columns):
    """Window by window, the events are what a mask over the original ranges finds."""
    sample = load_sample(write(tmp_path, columns, 500), WINDOWS, FOLDS)
    np.testing.assert_array_equal(sample.mass, [1.0, 3.0])
    assert sample.backgrounds == ("eemumu", "tautau")
    for h, full in enumerate((0, 2)):
        for code, name in ((SIGNAL, "signal"), (0, "eemumu"), (1, "tautau")):
            table = columns["signal" if name == "signal" else "background"]
            inside = (table["window_start"] <= full) & (full < table["window_stop"])
            inside &= table["process"] == name
            for part, folds in zip(PARTS, ([0, 1, 2], [4], [3]), strict=True):
                events = getattr(sample, part)
                mine = (events.process == code) & (events.start <= h) & (h < events.stop)
                expected = inside & np.isin(table["fold"], folds)
                found = zip((*FEATURES, "weight"), (*events.features, events.weight), strict=True)
                for of, column in found:
                    values = table[of][expected].astype(np.float32)
                    np.testing.assert_array_equal(column[mine], values)


def put(dataset, column, value):
    return lambda columns: columns[dataset][column].__setitem__(17, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.clear(), "run `punzinet features` first"),
        (lambda c: c["signal"].pop("fold"), "lacks the columns fold"),
        (put("background", "pt_mumu", np.nan), "not finite"),
        (put("background", "weight", -1.0), "not finite"),
        (put("background", "weight", np.inf), "not finite"),
        (lambda c: c.pop("signal"), "hypotheses 1, 3 GeV"),
        (lambda c: c.pop("background"), "no background event"),
    ],
)
def test_tensors_that_cannot_train_are_refused(tmp_path, columns, change, message):
    change(columns)
    with pytest.raises(InputError, match=message):
        load_sample(write(tmp_path, columns, 500), WINDOWS, FOLDS)
