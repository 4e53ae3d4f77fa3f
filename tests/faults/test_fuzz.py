"""Bad input by the thousand: never a hang, a crash without a sentence, or a wrong result."""

import json
from functools import partial

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nonsense import NONSENSE, attempt, leaves, replaced
from outputs import contents, datasets_of
from pages import ROOT
from small_data import make_manifest
from small_runs import make_features

from punzinet.analysis.io.files import Record, read_record, write_record
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import Dataset
from punzinet.analysis.manifest.manifest import Manifest, load_manifest
from punzinet.analysis.manifest.sections import MOST_MASSES

#: What may be done to a file: bytes that are put at places, which are shares of its size, and where
#: it is cut off.
BYTES = st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=40))
DAMAGE = st.tuples(st.lists(BYTES, max_size=6), st.just(1.0) | st.floats(0, 1))


def amount(few, many):
    """Runs a law on few examples in the fast suite, and on many among the faults."""
    many = pytest.param(many, id="many", marks=pytest.mark.faults)
    return pytest.mark.parametrize("examples", [pytest.param(few, id="few"), many])


def fuzz(examples, strategy):
    """Decorator that runs a law on so many examples of a strategy."""
    how = settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    return lambda law: how(given(strategy)(law))()


def damaged(data, damage):
    places, cut = damage
    changed = bytearray(data)
    for share, content in places:
        start = int(share * len(data))
        changed[start : start + len(content)] = content
    return bytes(changed[: int(cut * len(changed))])


@amount(25, 400)
def test_root_files(examples, tmp_path, ntuples):
    """A damaged file is refused, or nothing that matters was touched: the result is the same.

    This is so because zlib, with which it is compressed, has checksums of its own.
    """
    good, path = ntuples["eemumu"].read_bytes(), tmp_path / "eemumu.root"
    manifest = make_manifest({"signal": ntuples["signal"], "eemumu": path})
    path.write_bytes(good)
    output = make_features(manifest, tmp_path / "output")
    expected = contents(output.tensors / "eemumu")

    @fuzz(examples, DAMAGE)
    def check(damage):
        path.write_bytes(damaged(good, damage))
        _, refusal = attempt(lambda: make_features(manifest, output.root))
        if refusal is not None:
            assert path.read_bytes() != good
            return
        record = datasets_of(output.completeness)["eemumu"]
        assert record["read"] == record["present"]
        assert contents(output.tensors / "eemumu") == expected


SETTINGS = make_manifest({"signal": "s.root", "tautau": "t.root"}).model_dump(mode="json")
SIGNAL, TAUTAU = (
    {key: value for key, value in dataset.items() if value is not None and key != "name"}
    for dataset in SETTINGS["datasets"].values()
)
SETTINGS["datasets"] = {"signal": SIGNAL, "tautau": TAUTAU}
SIMPLE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
WORDS = ["signal", "tautau", "../x", "/etc/passwd", "a/../../b", "*", "http://x"]
CHANGE = st.tuples(st.sampled_from([*leaves(SETTINGS)]), SIMPLE | st.sampled_from(NONSENSE))
KEY = st.text(max_size=6)
TREE = st.recursive(
    SIMPLE | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=6,
)
#: What YAML takes to mean something, and numbers that are written in every way.
YAML = st.lists(
    st.sampled_from(
        ["datasets", ": ", "- ", "&a ", "*a", "<<", "{", "}", "[", "]", "? ", ",", "\n", "  ",
         "'", '"', "| ", "> ", "# ", "---\n", "%YAML 1.1\n", "!!bool ", "!!timestamp ", "!!int ",
         "!!set ", "!!omap ", "!!binary ", "!!python/name:os.system ", "!x ", "0x", "1", "1_0",
         ".inf", ".nan", "1e999", "59:59", "2001-99-99", "~", "\\ud800", "\0", "é"]
    ), max_size=30,
).map("".join)  # fmt: skip


def with_sections(name, dataset, sections):
    """A small manifest with one more dataset, and other sections."""
    datasets = {"signal": SIGNAL, "tautau": TAUTAU, name: {**TAUTAU, **dataset}}
    return {"datasets": datasets, **sections}


MANIFESTS = {
    "text": st.one_of(st.text(max_size=200), YAML).map(str.encode) | st.binary(max_size=200),
    "damaged": DAMAGE.map(partial(damaged, (ROOT / "data_manifest.yaml").read_bytes())),
    "sections": st.builds(
        with_sections,
        st.one_of(st.text(max_size=8), st.sampled_from(["..", "../x", "a/b", "/x", ".x", ""])),
        st.dictionaries(st.sampled_from([*Dataset.model_fields]), TREE, max_size=3),
        st.dictionaries(st.sampled_from([*Manifest.model_fields, "nonsense"]), TREE, max_size=2),
    ),
    "settings": st.lists(CHANGE, min_size=1, max_size=3).map(partial(replaced, SETTINGS)),
}


@pytest.mark.parametrize("kind", MANIFESTS)
@amount(100, 3000)
def test_manifests(examples, tmp_path, kind):
    """It is refused, or it can be written down and compared, and stays in the output folder."""
    path, output = tmp_path / "manifest.yaml", OutputFolder(tmp_path / "output")

    @fuzz(examples, MANIFESTS[kind])
    def check(content):
        if not isinstance(content, bytes):
            content = yaml.safe_dump(content).encode(errors="replace")
        path.write_bytes(content)
        manifest, refusal = attempt(lambda: load_manifest(path, output))
        if refusal is not None:
            assert refusal.startswith(str(path))
            return
        assert kind != "text"
        assert 0 < len(manifest.hypotheses.mass) <= MOST_MASSES
        json.dumps(manifest.model_dump(mode="json"), allow_nan=False)
        for name in manifest.datasets:
            assert output.ntuple(name).resolve().parent == (output.root / "ntuples").resolve()


@amount(100, 3000)
def test_records(examples, tmp_path):
    """A damaged record is found out, or says the same."""
    path = tmp_path / "record.safetensors"
    write_record(path, Record({"a": [1, 2.5, "b"]}, {"x": np.arange(20.0), "y": np.eye(3)}))

    def said():
        found = read_record(path)
        return found and (found.content, {name: one.tolist() for name, one in found.arrays.items()})

    good, expected = path.read_bytes(), said()

    @fuzz(examples, DAMAGE)
    def check(damage):
        path.write_bytes(damaged(good, damage))
        assert said() in (None, expected)
