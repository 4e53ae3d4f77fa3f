import numpy as np
import pytest

from punzinet.analysis.folds import FOLDS, _mix, fold_of, uniform_of


def identity(n):
    return [np.full(n, 12), np.arange(n) // 1000, np.arange(n), np.zeros(n, dtype=np.int64)]


def test_mixing_is_that_of_the_published_splitmix64():
    # First outputs of the reference implementation for the seed 1234567.
    golden, state, result = 0x9E3779B97F4A7C15, 1234567, []
    for _ in range(3):
        result.append(int(_mix(np.uint64(state), np.int64(0))))
        state = (state + golden) % 2**64
    assert result == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_folds_are_equally_full_and_independent_of_the_order():
    n = 200_000
    columns = identity(n)
    fold = fold_of(*columns, "tautau")
    assert fold.dtype == np.int8
    counts = [np.count_nonzero(fold == f) for f in range(FOLDS)]
    assert sum(counts) == n
    np.testing.assert_allclose(counts, n / FOLDS, atol=5 * np.sqrt(n * 0.16))
    order = np.random.default_rng(1).permutation(n)
    np.testing.assert_array_equal(fold_of(*(c[order] for c in columns), "tautau"), fold[order])


@pytest.mark.parametrize("part", range(5))
def test_every_part_of_the_identity_matters(part):
    columns = [*identity(20_000), "tautau"]
    before = fold_of(*columns)
    columns[part] = "eemumu" if part == 4 else columns[part] + 1
    assert np.mean(fold_of(*columns) == before) == pytest.approx(1 / FOLDS, abs=0.02)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.uint64, np.float64])
def test_folds_never_change_whatever_the_stored_type_of_a_number(dtype):
    # Published results rest on this split: another hash is another validation sample.
    found = fold_of(*(c.astype(dtype) for c in identity(12)), "signal")
    assert found.tolist() == [2, 2, 3, 0, 1, 1, 4, 4, 0, 3, 0, 4]


def test_uniform_numbers_are_uniform_and_independent_of_the_fold():
    columns = identity(50_000)
    number, fold = uniform_of(*columns, "tautau"), fold_of(*columns, "tautau")
    assert ((number >= 0) & (number < 1)).all()
    for f in range(FOLDS):
        histogram, _ = np.histogram(number[fold == f], bins=10, range=(0, 1))
        expected = np.count_nonzero(fold == f) / 10
        assert (np.abs(histogram - expected) < 5 * np.sqrt(expected)).all()
