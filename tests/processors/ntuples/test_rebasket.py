"""Ntuples with large baskets: the same entries, in fewer pieces, or one sentence."""

import awkward as ak
import numpy as np
import pytest
import uproot
from commands import run_here
from small_data import write_ntuple

from punzinet.analysis.io.files import InputError
from punzinet.processors.ntuples.derived import BASKET, rebasket_file

ENTRIES = 1234


@pytest.fixture
def ntuple(tmp_path):
    """An ntuple as basf2 writes it, in baskets of 200 values."""
    rng = np.random.default_rng(1)
    columns = {
        "__event__": np.arange(ENTRIES, dtype=np.uint32),
        "daughter__bo0__cm__sppx__bc": rng.normal(size=ENTRIES),
        "single": rng.normal(size=ENTRIES).astype(np.float32),
        "charge": rng.choice([-1, 1], ENTRIES).astype(np.int16),
        "flag": rng.random(ENTRIES) < 0.5,
    }
    columns["single"][7] = np.nan
    return write_ntuple(tmp_path / "small.root", columns, basket=200)


def test_every_entry_is_copied_bit_by_bit_into_one_basket(ntuple, tmp_path):
    first, second, told = tmp_path / "first.root", tmp_path / "second.root", []
    for target in (first, second):
        entries = rebasket_file(str(ntuple), "variables", target, lambda *now: told.append(now))
        assert entries == ENTRIES < BASKET
    assert told == 2 * [(ENTRIES, ENTRIES)]
    with uproot.open(ntuple) as old, uproot.open(first) as new:
        before, after = (file["variables"].arrays(library="np") for file in (old, new))
        assert list(before) == list(after)
        for name, values in before.items():
            assert values.dtype == after[name].dtype
            assert values.tobytes() == after[name].tobytes()
        assert old["variables"]["charge"].num_baskets == 7
        assert {branch.num_baskets for branch in new["variables"].branches} == {1}
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ("variables", r"branch several of variables is no plain column .*hadd"),
        ("other", r"has no TTree other; it has variables; .*--tree"),
    ],
)
def test_what_is_no_plain_column_is_one_sentence(tree, sentence, tmp_path):
    path = tmp_path / "lists.root"
    with uproot.recreate(path) as file:
        several = {"several": ak.Array([[1.0], [], [2.0, 3.0]])}
        file.mktree("variables", {"several": "var * float64"}).extend(several)
    with pytest.raises(InputError, match=sentence):
        rebasket_file(str(path), tree, tmp_path / "large.root", lambda *_: None)


def test_damage_is_one_sentence_and_leaves_nothing(ntuple):
    with uproot.open(ntuple) as file:
        cursor = file["variables"]["single"].basket_chunk_cursor(3)[1].index
    content, folder = bytearray(ntuple.read_bytes()), ntuple.parent / "large"
    content[cursor : cursor + 60] = bytes(60)
    ntuple.write_bytes(content)
    with pytest.raises(InputError, match=f"{ntuple}: tree variables cannot be read: it is damaged"):
        run_here("rebasket", ntuple, "--to", folder / "x.root")
    assert not list(folder.glob("*"))
