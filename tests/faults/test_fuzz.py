"""Bad input by the thousand: never a hang, a crash without a sentence, or a wrong result."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nonsense import NONSENSE, Key, attempt, leaves, replaced
from small_data import make_manifest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import Record, read_record, write_record
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.hypotheses import MOST_MASSES
from punzinet.analysis.manifest.manifest import Manifest, load_manifest
from punzinet.analysis.network import PunziNet, load_network
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.training.data import load_sample
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.runs.features import run_features
from punzinet.stages.run import holder_of

#: What may be done to a file: bytes that are put at places, which are shares of its size, and where
#: it is cut off.
Change = tuple[list[tuple[float, bytes]], float]
DAMAGE = st.tuples(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=40)), max_size=6
    ),
    st.one_of(st.just(1.0), st.floats(0, 1)),
)


def amount(few: int, many: int) -> Any:
    """Runs a law on few examples in the fast suite, and on many among the faults."""
    many_among_faults = pytest.param(many, id="many", marks=pytest.mark.faults)
    cases = [pytest.param(few, id="few"), many_among_faults]
    return pytest.mark.parametrize("fuzz", cases, indirect=True)


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, record_property) -> Iterator[Callable[..., Any]]:
    """Decorator that runs a law on examples of some strategies, and counts them."""
    calls = itertools.count()

    def decorate(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
        def run(law: Callable[..., None]) -> None:
            @settings(max_examples=request.param, suppress_health_check=list(HealthCheck))
            @given(st.tuples(*strategies))
            def check(example: tuple[Any, ...]) -> None:
                next(calls)
                law(*example)

            check()

        return run

    yield decorate
    record_property("fuzzed", next(calls))


def damaged(data: bytes, damage: Change) -> bytes:
    """Overwrite some places, then cut the end off."""
    places, cut = damage
    changed = bytearray(data)
    for share, content in places:
        start = int(share * len(data))
        changed[start : start + len(content)] = content
    return bytes(changed[: int(cut * len(changed))])


def contents(folder: Path, pattern: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob(pattern)) if path.is_file()}


def can_be_written(manifest: Manifest) -> None:
    json.dumps(manifest.model_dump(mode="json"), allow_nan=False)


@amount(25, 400)
def test_root_files(fuzz, tmp_path: Path, ntuples: dict[str, Path]) -> None:
    """A damaged file is refused, or nothing that matters was touched: the result is the same.

    This is so because zlib, with which it is compressed, has checksums of its own.
    """
    good, path = ntuples["eemumu"].read_bytes(), tmp_path / "eemumu.root"
    manifest = make_manifest({"signal": ntuples["signal"], "eemumu": path})
    output = OutputFolder(tmp_path / "output")
    path.write_bytes(good)
    run_features(manifest, output, Execution())
    expected = contents(output.tensors / "eemumu", "*")

    @fuzz(DAMAGE)
    def check(damage: Change) -> None:
        path.write_bytes(damaged(good, damage))
        _, refusal = attempt(lambda: run_features(manifest, output, Execution()))
        if refusal is not None:
            assert path.read_bytes() != good
            return
        record = json.loads(output.completeness.read_text())["datasets"]["eemumu"]
        assert record["read"] == record["present"]
        assert contents(output.tensors / "eemumu", "*") == expected


@amount(100, 3000)
def test_manifests(fuzz, tmp_path: Path) -> None:
    leaf = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
        st.sampled_from(["signal", "tautau", "../x", "/etc/passwd", "a/../../b", "*", "http://x"]),
    )  # fmt: skip
    tree = st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
        ),
        max_leaves=6,
    )
    sections = st.sampled_from([*Manifest.model_fields, "nonsense"])
    base = {
        "signal": {"process": "signal", "files": ["s.root"], "generated": 10},
        "tautau": {"process": "tautau", "files": ["t.root"], "luminosity": 1},
    }
    dataset = st.dictionaries(
        st.sampled_from(["process", "files", "tree", "branches", "luminosity", "generated", "mass",
                         "entries", "simulate", "name"]), tree, max_size=3,
    )  # fmt: skip
    names = st.one_of(st.text(max_size=8), st.sampled_from(["..", "../x", "a/b", "/x", ".x", ""]))
    path = tmp_path / "manifest.yaml"

    @fuzz(st.dictionaries(sections, tree, max_size=2), names, dataset)
    def check(changes: dict[str, Any], name: str, section: dict[str, Any]) -> None:
        datasets = {**base, name: {**base["tautau"], **section}}
        path.write_text(yaml.safe_dump({"datasets": datasets, **changes}))
        output = OutputFolder(tmp_path / "output")
        manifest, refusal = attempt(lambda: load_manifest(path, output))
        if refusal is not None:
            assert refusal.startswith(str(path))
            return
        for known in manifest.datasets:
            inside = output.ntuple(known).resolve()
            assert inside.parent == (tmp_path / "output" / "ntuples").resolve()


#: What YAML takes to mean something, and numbers that are written in every way.
YAML = st.lists(
    st.sampled_from(
        ["datasets", ": ", "- ", "&a ", "*a", "<<", "{", "}", "[", "]", "? ", ",", "\n", "  ",
         "'", '"', "| ", "> ", "# ", "---\n", "%YAML 1.1\n", "!!bool ", "!!timestamp ", "!!int ",
         "!!set ", "!!omap ", "!!binary ", "!!python/name:os.system ", "!x ", "0x", "1", "1_0",
         ".inf", ".nan", "1e999", "59:59", "2001-99-99", "~", "\\ud800", "\0", "é"]
    ), max_size=30,
).map("".join)  # fmt: skip


@amount(100, 3000)
def test_manifests_that_are_no_yaml(fuzz, tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    text = st.one_of(st.text(max_size=200), YAML).map(str.encode)

    @fuzz(st.one_of(st.binary(max_size=200), text))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        with pytest.raises(InputError):
            load_manifest(path, OutputFolder(tmp_path))


@amount(30, 1000)
def test_mutated_manifests(fuzz, tmp_path: Path) -> None:
    """The project's own manifest with some bytes changed is refused, or one of another text."""
    good = (Path(__file__).parents[2] / "data_manifest.yaml").read_bytes()
    path, output = tmp_path / "manifest.yaml", OutputFolder(tmp_path / "output")
    path.write_bytes(good)
    load_manifest(path, output)

    @fuzz(DAMAGE)
    def check(damage: Change) -> None:
        path.write_bytes(damaged(good, damage))
        manifest, refusal = attempt(lambda: load_manifest(path, output))
        if refusal is None:
            can_be_written(manifest)


@amount(100, 3000)
def test_settings(fuzz, tmp_path: Path) -> None:
    """Every setting in turn: it is refused, or it can be written down and compared."""
    files = {"signal": "s.root", "tautau": "t.root"}
    content = make_manifest(files).model_dump(mode="json")
    for name in files:
        own = content["datasets"][name]
        content["datasets"][name] = {k: v for k, v in own.items() if v is not None and k != "name"}
    path = tmp_path / "manifest.yaml"
    simple = (st.floats(), st.integers(), st.text(max_size=8), st.none(), st.booleans())
    values = st.one_of(*simple, st.sampled_from(NONSENSE))
    changes = st.lists(
        st.tuples(st.sampled_from(list(leaves(content))), values), min_size=1, max_size=3
    )

    @fuzz(changes)
    def check(changes: list[tuple[Key, Any]]) -> None:
        text = yaml.safe_dump(replaced(content, changes))
        path.write_text(text, encoding="utf-8", errors="replace")
        manifest, refusal = attempt(lambda: load_manifest(path, OutputFolder(tmp_path / "output")))
        if refusal is None:
            assert 0 < len(manifest.hypotheses.mass) <= MOST_MASSES
            can_be_written(manifest)


@amount(60, 1500)
def test_networks(fuzz, tmp_path: Path, wide_windows: Windows) -> None:
    network = PunziNet(FEATURES, [0.0] * 4, [5.0] * 4, rng=np.random.default_rng(3))
    network.save(tmp_path / "net", wide_windows, {}, {}, cut=0.3)
    good = contents(tmp_path / "net", "*")

    @fuzz(st.sampled_from(sorted(good)), DAMAGE)
    def check(which: Path, damage: Change) -> None:
        for path, content in good.items():
            path.write_bytes(damaged(content, damage) if path == which else content)
        saved, refusal = attempt(lambda: load_network(tmp_path / "net"))
        assert refusal is not None or saved.cut is None or np.isfinite(saved.cut)


@amount(40, 1000)
def test_tensors(fuzz, tmp_path: Path, ntuples: dict[str, Path]) -> None:
    output = OutputFolder(tmp_path)
    run_features(make_manifest(ntuples), output, Execution())
    windows = Windows.read(output.windows)
    good = contents(output.tensors, "*.parquet")
    digest = load_sample(output.tensors, windows, 4).digest

    @fuzz(st.sampled_from(sorted(good)), DAMAGE)
    def check(which: Path, damage: Change) -> None:
        which.write_bytes(damaged(good[which], damage))
        sample, refusal = attempt(lambda: load_sample(output.tensors, windows, 4))
        which.write_bytes(good[which])
        if refusal is None:
            assert sample.digest == digest


@amount(100, 3000)
def test_records(fuzz, tmp_path: Path) -> None:
    """A damaged record is either found out or says the same."""
    path = tmp_path / "record.safetensors"
    write_record(path, Record({"a": [1, 2.5, "b"]}, {"x": np.arange(20.0), "y": np.eye(3)}))
    good = path.read_bytes()

    @fuzz(DAMAGE)
    def check(damage: Change) -> None:
        path.write_bytes(damaged(good, damage))
        record = read_record(path)
        if record is not None:
            assert record.content == {"a": [1, 2.5, "b"]}
            np.testing.assert_array_equal(record.arrays["x"], np.arange(20.0))
            np.testing.assert_array_equal(record.arrays["y"], np.eye(3))


@amount(60, 1000)
def test_lock_files(fuzz, tmp_path: Path) -> None:
    """What a killed run left in the lock file keeps nobody out."""

    @fuzz(st.binary(max_size=60))
    def check(content: bytes) -> None:
        (tmp_path / ".lock").write_bytes(content)
        assert holder_of(tmp_path) is None
