"""Reading tensors: the same sample whatever the chunks, and nothing that cannot train."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Events, Sample, load_folds, load_sample
from punzinet.analysis.windows import Windows

MASS = np.array([1.0, 2.0, 3.0, 4.0])
Columns = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def windows() -> Windows:
    """Four overlapping windows, of which the first and the third train."""
    training = np.array([True, False, True, False])
    return Windows(MASS, np.full(4, 1.5), training, np.ones(4, bool), (None,) * 4)


@pytest.fixture
def columns(windows: Windows) -> dict[str, Columns]:
    """Events of two datasets, as the features stage keeps them."""
    rng = np.random.default_rng(3)
    recoil = rng.uniform(0, 18, 3000)
    own = rng.integers(0, 4, 1000)
    start, stop = windows.assign(recoil)
    tables = {
        "background": {"process": np.where(rng.random(3000) < 0.7, "tautau", "eemumu")},
        "signal": {"process": np.full(1000, "signal")},
    }
    ranges = {"background": (start, stop), "signal": (own, own + 1)}
    for name, table in tables.items():
        n = len(table["process"])
        table |= {feature: rng.random(n).astype(np.float32) for feature in FEATURES}
        table["window_start"], table["window_stop"] = (
            edge.astype(np.int16) for edge in ranges[name]
        )
        table["weight"] = rng.uniform(0.5, 1.5, n)
        table["fold"] = rng.integers(0, 5, n).astype(np.int8)
    return tables


def write(folder: Path, columns: dict[str, Columns], chunk: int) -> Path:
    """Write tensors in chunks of a given size."""
    for name, table in columns.items():
        (folder / name).mkdir(parents=True)
        for start in range(0, len(table["weight"]), chunk):
            rows = {key: column[start : start + chunk] for key, column in table.items()}
            arrays = {key: pa.array(column) for key, column in rows.items()}
            arrays["process"] = arrays["process"].dictionary_encode()
            stop = start + len(rows["weight"])
            pq.write_table(pa.table(arrays), folder / name / f"file-{start}-{stop}.parquet")
    return folder


def test_sample_does_not_depend_on_chunks(
    tmp_path: Path, columns: dict[str, Columns], windows: Windows
) -> None:
    samples = [
        load_sample(write(tmp_path / str(chunk), columns, chunk), windows, 4)
        for chunk in (90, 1100, 10**6)
    ]
    assert samples[0].digest == samples[1].digest == samples[2].digest
    assert samples[0].digest != load_sample(tmp_path / "90", windows, 3).digest


def test_folds_are_the_samples_that_each_of_them_validates(
    tmp_path: Path, columns: dict[str, Columns], windows: Windows
) -> None:
    events, samples = load_folds(write(tmp_path, columns, 500), windows)
    for fold, (sample, validates) in enumerate(samples):
        assert sample.digest == load_sample(tmp_path, windows, fold, every_mass=True).digest
        np.testing.assert_array_equal(events.weight[validates], sample.validation.weight)
    assert fold == 4


def test_only_training_hypotheses_train(
    tmp_path: Path, columns: dict[str, Columns], windows: Windows
) -> None:
    sample = load_sample(write(tmp_path, columns, 500), windows, 4)
    np.testing.assert_array_equal(sample.mass, [1.0, 3.0])
    assert sample.backgrounds == ("eemumu", "tautau")
    signal, background = columns["signal"], columns["background"]
    for h, full in enumerate((0, 2)):
        own = signal["window_start"] == full
        for events, validates in ((sample.training, False), (sample.validation, True)):
            part = own & ((signal["fold"] == 4) == validates)
            mine = (events.process == SIGNAL) & (events.start == h)
            np.testing.assert_array_equal(
                events.weight[mine], signal["weight"][part].astype(np.float32)
            )
            assert (events.stop[mine] == h + 1).all()
    # Window by window, background is what a mask over the original ranges finds.
    for h, full in enumerate((0, 2)):
        inside = (background["window_start"] <= full) & (full < background["window_stop"])
        expected = background["weight"][inside & (background["process"] == "tautau")].sum()
        found = 0.0
        for events in (sample.training, sample.validation):
            chosen = (events.process == 1) & (events.start <= h) & (h < events.stop)
            found += events.weight[chosen].astype(float).sum()
        assert found == pytest.approx(expected, rel=1e-6)


def test_totals_and_scaling(small_sample: Sample) -> None:
    signal, background = small_sample.total
    for part in range(len(signal)):
        total = sum(
            events.weight[(events.process == SIGNAL) & (events.start == part)].astype(float).sum()
            for events in (small_sample.training, small_sample.validation)
        )
        assert signal[part] == pytest.approx(total)
    assert background.shape == (3,)
    low, high = small_sample.scaling
    assert (low < high).all()


def test_no_tensors(tmp_path: Path, windows: Windows) -> None:
    with pytest.raises(InputError, match="run `punzinet features` first"):
        load_sample(tmp_path, windows, 4)


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-100], lambda c: c.replace(b"weight", b"weigh\xde")]
)
def test_damaged_tensor(
    tmp_path: Path,
    columns: dict[str, Columns],
    windows: Windows,
    damage: Callable[[bytes], bytes],
) -> None:
    path = next(write(tmp_path, columns, 10**6).glob("signal/*"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="is not a tensor file"):
        load_sample(tmp_path, windows, 4)


def test_missing_column(tmp_path: Path, columns: dict[str, Columns], windows: Windows) -> None:
    del columns["signal"]["fold"]
    with pytest.raises(InputError, match="lacks the columns fold"):
        load_sample(write(tmp_path, columns, 500), windows, 4)


@pytest.mark.parametrize(("column", "value"), [("pt_mumu", np.nan), ("weight", -1.0)])
def test_impossible_numbers(
    tmp_path: Path, columns: dict[str, Columns], windows: Windows, column: str, value: float
) -> None:
    columns["background"][column][17] = value
    with pytest.raises(InputError, match="not finite"):
        load_sample(write(tmp_path, columns, 500), windows, 4)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [("background", "hypotheses 1, 3 GeV"), ("signal", "no background event")],
)
def test_missing_kinds_of_events(
    tmp_path: Path, columns: dict[str, Columns], windows: Windows, dataset: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_sample(write(tmp_path, {dataset: columns[dataset]}, 500), windows, 4)


def test_selecting_events_keeps_columns_together(synthetic_sample: Callable[..., Sample]) -> None:
    events = synthetic_sample(2000, hypotheses=3).training
    rows = np.random.default_rng(1).permutation(len(events))[:50]
    chosen = events[rows]
    assert isinstance(chosen, Events)
    assert len(chosen) == 50
    np.testing.assert_array_equal(chosen.features, events.features[:, rows])
    np.testing.assert_array_equal(chosen.stop, events.stop[rows])
