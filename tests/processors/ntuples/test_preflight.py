import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_data import make_events, make_manifest, write_ntuple

from punzinet.analysis.io.errors import InputError
from punzinet.processors.ntuples.preflight import preflight


@pytest.fixture
def check(ntuples: dict[str, Path]) -> Callable[..., list[object]]:
    """Preflight of the small files with another background."""

    def run(background: object) -> list[object]:
        return list(preflight(make_manifest({"signal": ntuples["signal"], "tautau": background})))

    return run


def test_files_are_found_and_counted(ntuples: dict[str, Path]) -> None:
    files = preflight(make_manifest(ntuples))
    assert [(file.dataset, file.entries, file.stem) for file in files] == [
        ("signal", 12000, "signal"),
        ("tautau", 7000, "tautau"),
        ("eemumu", 3000, "eemumu"),
    ]
    assert files[0].columns["generated_mass"] == "generatedMass"
    assert "weight" not in files[1].columns


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.99, 0.9999])
def test_a_truncated_file_is_recognised(
    share: float, tmp_path: Path, ntuples: dict[str, Path], check: Callable[..., object]
) -> None:
    whole = ntuples["tautau"].read_bytes()
    path = tmp_path / "tautau.root"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"^Dataset tautau: .*tautau\.root (is|.*it is) truncated"):
        check(path)


def test_a_file_that_is_not_root_is_recognised(
    tmp_path: Path, check: Callable[..., object]
) -> None:
    path = tmp_path / "notes.root"
    path.write_text("these are notes\n" * 100)
    with pytest.raises(InputError, match=r"notes\.root is not a ROOT file; check `files`"):
        check(path)


def test_an_empty_file_is_recognised(tmp_path: Path, check: Callable[..., object]) -> None:
    path = tmp_path / "empty.root"
    path.touch()
    with pytest.raises(InputError, match=r"empty\.root is empty \(0 bytes\)"):
        check(path)


def test_a_file_that_vanishes_is_recognised(
    tmp_path: Path, check: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = "punzinet.analysis.manifest.datasets.Dataset.resolved_files"
    monkeypatch.setattr(named, lambda self, **_: list(self.files))
    with pytest.raises(InputError, match=r"gone\.root is not there"):
        check(tmp_path / "gone.root")


def test_a_missing_tree_is_named_with_those_there_are(
    ntuples: dict[str, Path], check: Callable[..., object]
) -> None:
    with pytest.raises(InputError, match=r"has no tree ntuple; it has variables; set `tree`"):
        check({"files": [str(ntuples["tautau"])], "tree": "ntuple"})


def test_a_file_without_any_tree_says_so(tmp_path: Path, check: Callable[..., object]) -> None:
    with uproot.recreate(tmp_path / "h.root") as file:
        file["variables"] = np.histogram([1.0])
    with pytest.raises(InputError, match=r"has no tree variables; it has no tree at all"):
        check(tmp_path / "h.root")


def test_a_missing_branch_comes_with_suggestions(
    tmp_path: Path, check: Callable[..., object]
) -> None:
    path = write_ntuple(tmp_path / "x.root", make_events(1, 10), names={"px2": "daughter_1_px"})
    with pytest.raises(InputError, match=r"no branch daughter__bo1__cm__sppx__bc.*nearest are"):
        check(path)


def test_a_tree_without_entries_is_fine_among_others_but_not_alone(
    tmp_path: Path, check: Callable[..., list[object]]
) -> None:
    empty = write_ntuple(tmp_path / "a.root", make_events(1, 0))
    other = write_ntuple(tmp_path / "b.root", make_events(1, 5))
    assert len(check({"files": [str(empty), str(other)]})) == 3
    with pytest.raises(InputError, match="Dataset tautau: there is not a single entry"):
        check(empty)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (6999, r"its files have 7000 entries, but the manifest expects 6999"),
        ({"tautau.root": 7001}, r"tautau\.root has 7000 entries, but the manifest expects 7001"),
    ],
)
def test_entries_are_compared_with_the_manifest(
    entries: object, message: str, ntuples: dict[str, Path], check: Callable[..., object]
) -> None:
    with pytest.raises(InputError, match=message):
        check({"files": [str(ntuples["tautau"])], "entries": entries})


def test_entries_as_expected_pass(ntuples: dict[str, Path], check: Callable[..., object]) -> None:
    for entries in (7000, {"tautau.root": 7000}, {str(ntuples["tautau"]): 7000}):
        check({"files": [str(ntuples["tautau"])], "entries": entries})


@pytest.mark.parametrize(
    "expects", [{"entries": {"two.root": 5}}, {"checksums": {"two.root": "md5:0"}}]
)
def test_a_file_that_no_pattern_finds_is_missed(
    expects: dict[str, object], tmp_path: Path, ntuples: dict[str, Path],
    check: Callable[..., object],
) -> None:  # fmt: skip
    shutil.copy(ntuples["tautau"], tmp_path / "one.root")
    with pytest.raises(InputError, match=r"expects a file two\.root, which is none of its `files`"):
        check({"files": [str(tmp_path / "*.root")], **expects})


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_with_another_checksum_is_refused(
    place: float, bit: int, tmp_path: Path, ntuples: dict[str, Path], check: Callable[..., object]
) -> None:
    content = bytearray(ntuples["tautau"].read_bytes())
    expected = f"adler32:{zlib.adler32(content):08X}"
    (tmp_path / "x.root").write_bytes(content)
    check({"files": [str(tmp_path / "x.root")], "checksums": {"x.root": expected}})
    content[int(place * len(content))] ^= 1 << bit
    (tmp_path / "x.root").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.root is damaged or another file: its checksum is"):
        check({"files": [str(tmp_path / "x.root")], "checksums": {"x.root": expected}})


def test_checksums_of_files_on_servers_are_not_known(check: Callable[..., object]) -> None:
    with pytest.raises(InputError, match=r"x\.root is on a server.*leave this one out"):
        check({"files": ["http://127.0.0.1:9/x.root"], "checksums": {"x.root": "md5:0"}})


def test_files_of_a_dataset_have_the_same_columns(
    tmp_path: Path, check: Callable[..., object]
) -> None:
    events = make_events(1, 10)
    write_ntuple(tmp_path / "a.root", events)
    write_ntuple(tmp_path / "b.root", events | {"weight": np.ones(10)})
    with pytest.raises(InputError, match=r"only one of .*a\.root and .*b\.root has .* weight"):
        check({"files": [str(tmp_path / "*.root")]})


def test_equal_names_in_different_folders_stay_apart(
    tmp_path: Path, check: Callable[..., list[object]]
) -> None:
    for folder in ("sub00", "sub01"):
        write_ntuple(tmp_path / folder / "ntuple.root", make_events(1, 5))
    files = check({"files": [str(tmp_path / "*" / "ntuple.root")]})
    assert [file.stem for file in files][1:] == ["ntuple.0", "ntuple.1"]  # type: ignore[attr-defined]


def test_files_of_all_names_get_names_of_their_own(
    tmp_path: Path, ntuples: dict[str, Path]
) -> None:
    """Two folders with a.root and one with a.1.root: numbering must not meet the third."""
    names = ("x/a.root", "y/a.root", "z/a.1.root", "z/.hidden.root", "z/_x y.root", "z/x_y.root")
    paths = [write_ntuple(tmp_path / name, make_events(i, 10)) for i, name in enumerate(names)]
    manifest = make_manifest(
        {"signal": ntuples["signal"], "tautau": {"files": [str(path) for path in paths]}}
    )
    stems = [file.stem for file in preflight(manifest) if file.dataset == "tautau"]
    assert len(set(stems)) == len(names)
    assert all(stem[0].isalnum() and "/" not in stem for stem in stems)


def test_a_copy_of_a_file_is_refused(tmp_path: Path, ntuples: dict[str, Path]) -> None:
    copy = tmp_path / "copy.root"
    copy.write_bytes(ntuples["tautau"].read_bytes())
    files = [str(ntuples["tautau"]), str(copy)]
    manifest = make_manifest({"signal": ntuples["signal"], "tautau": {"files": files}})
    with pytest.raises(InputError, match=r"copy\.root are copies of the same file"):
        preflight(manifest)
