import re
import shutil
import struct
import zlib
from uuid import UUID

import numpy as np
import pytest
import uproot
from small_data import damage, make_events, make_manifest, write_ntuple

from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.datasets import BRANCHES, Dataset
from punzinet.processors.preflight import find_columns, preflight


@pytest.fixture
def check(ntuples):
    """Preflight of the small files with another background: what is found of that."""

    def run(background):
        files, _ = preflight(make_manifest({"signal": ntuples["signal"], "tautau": background}))
        return [file for file in files if file.dataset == "tautau"]

    return run


def test_files_are_found_and_counted(ntuples):
    files, _ = preflight(make_manifest(ntuples))
    entries = {"signal": 12000, "tautau": 7000, "eemumu": 3000}
    found = [(file.dataset, file.stem, file.entries) for file in files]
    assert found == [(name, name, count) for name, count in entries.items()]
    assert files[0].columns["generated_mass"] == "generatedMass"
    assert "weight" not in files[1].columns


def test_a_branch_of_another_length_than_its_tree_is_refused(tmp_path, check):
    path = write_ntuple(tmp_path / "x.root", make_events(2, 7000) | {"weight": np.ones(7000)})
    content, length = bytearray(path.read_bytes()), struct.pack(">q", 7000)
    # The second number behind the title of a branch is that of its entries.
    place = content.index(length, content.index(length, content.index(b"__weight__/D")) + 1)
    content[place : place + 8] = struct.pack(">q", 7001)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"__weight__ of .* has 7001 .* variables has 7000"):
        check(path)


@pytest.mark.parametrize("name", ["/x/", "/.*/", "a,b", "a!b"])
def test_a_branch_that_its_name_does_not_lead_to_is_refused(name, tmp_path, check):
    events = make_events(2, 9) | {"x": np.ones(9)}
    path = write_ntuple(tmp_path / "x.root", events, names={"px1": name})
    with pytest.raises(InputError, match=re.escape(f"branch {name} of {path}, which `px1`")):
        check({"files": [str(path)], "branches": {"px1": name}})


@pytest.mark.parametrize("share", [0.001, 0.5, 0.9999])
def test_a_truncated_file_is_recognised(share, tmp_path, ntuples, check):
    whole, path = ntuples["tautau"].read_bytes(), tmp_path / "tautau.root"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"^Dataset tautau: .*tautau\.root (is|.*it is) truncated"):
        check(path)


def test_a_tree_without_entries_is_fine_among_others_but_not_alone(tmp_path, check):
    empty = write_ntuple(tmp_path / "a.root", make_events(1, 0))
    other = write_ntuple(tmp_path / "b.root", make_events(1, 5))
    assert len(check({"files": [str(empty), str(other)]})) == 2
    with pytest.raises(InputError, match="Dataset tautau: there is not a single entry"):
        check(empty)


def test_what_the_manifest_says_of_files_has_to_be_true(tmp_path, ntuples, check):
    files = [str(ntuples["tautau"])]
    shutil.copy(files[0], tmp_path / "copy.root")
    for entries in (7000, {"tautau.root": 7000}, {files[0]: 7000}):
        check({"files": files, "entries": entries})
    events = make_events(1, 10)
    write_ntuple(tmp_path / "more" / "a.root", events)
    write_ntuple(tmp_path / "more" / "b.root", events | {"weight": np.ones(10)})
    with uproot.recreate(tmp_path / "h.root") as file:
        file["variables"] = np.histogram([1.0])
    (tmp_path / "none.root").write_text("these are notes\n" * 100)
    (tmp_path / "empty.root").touch()
    (tmp_path / "away.root").symlink_to("gone.root")
    pattern, more = [f"{tmp_path}/copy*"], [f"{tmp_path}/more/*.root"]
    on_server = ["http://127.0.0.1:9/x.root"]
    missed = r"expects a file two\.root, which is none of its `files`"
    for wrong, sentence in (
        ({"tree": "ntuple"}, r"has no tree ntuple; it has variables; set `tree`"),
        ({"files": [f"{tmp_path}/h.root"]}, "has no tree variables; it has no tree at all"),
        ({"files": [f"{tmp_path}/none.root"]}, r"none\.root is not a ROOT file; check `files`"),
        ({"files": [f"{tmp_path}/empty.root"]}, r"empty\.root is empty \(0 bytes\)"),
        ({"files": [f"{tmp_path}/awa?.root", *files]}, r"away\.root is not there"),
        ({"entries": 6999}, "files have 7000 entries, but the manifest expects 6999"),
        ({"entries": {"tautau.root": 7001}}, r"tautau\.root has 7000 .* manifest expects 7001"),
        ({"files": pattern, "entries": {"two.root": 5}}, missed),
        ({"files": pattern, "checksums": {"two.root": "md5:0"}}, missed),
        ({"files": on_server, "checksums": {"x.root": "md5:0"}}, r"on a server.*leave this one"),
        ({"files": more}, r"only one of .*a\.root and .*b\.root has .* weight"),
    ):
        with pytest.raises(InputError, match=sentence):
            check({"files": files, **wrong})


@pytest.mark.parametrize("dataset", ["tautau", "others"])
@pytest.mark.parametrize("again", ["{}/a", "{}/x/../a", "file://{}/a", "{}/link", "{}/copy"])
def test_a_file_that_a_process_has_twice_is_refused(again, dataset, tmp_path, ntuples):
    (tmp_path / "x").mkdir()
    first = shutil.copy(ntuples["tautau"], tmp_path / "a.root")
    (tmp_path / "link.root").symlink_to(first)
    shutil.copy(first, tmp_path / "copy.root")
    files = {name: {"process": "tautau", "files": []} for name in ("tautau", dataset)}
    files["tautau"]["files"].append(str(first))
    files[dataset]["files"].append(f"{again.format(tmp_path)}.root")
    with pytest.raises(InputError, match=rf"Dataset {dataset}: .*(same file|is named twice)"):
        preflight(make_manifest({"signal": ntuples["signal"], **files}))


def test_trees_of_one_file_and_files_without_uuid_are_different(tmp_path, ntuples):
    """As with a tree for each mass; and ROOT leaves the UUID empty to write the same bytes."""
    columns = {BRANCHES[name]: values for name, values in make_events(1, 9).items()}
    with uproot.recreate(tmp_path / "x.root", uuid_function=lambda: UUID(int=0)) as file:
        for tree in "ab":
            file.mktree(tree, {of: v.dtype for of, v in columns.items()}).extend(columns)
    shutil.copy(tmp_path / "x.root", tmp_path / "y.root")
    files = {
        name: {"process": "tautau", "files": [f"{tmp_path}/{file}.root"], "tree": tree}
        for name, file, tree in ("axa", "bxb", "cya", "dxa")
    }
    with pytest.raises(InputError, match=r"Dataset d: .*x\.root of dataset a and .*x\.root are"):
        preflight(make_manifest({"signal": ntuples["signal"], **files}))


def test_a_file_with_another_checksum_is_refused(tmp_path, ntuples, check):
    path = shutil.copy(ntuples["tautau"], tmp_path / "x.root")
    expected = {"x.root": f"adler32:{zlib.adler32(path.read_bytes()):08X}"}
    check({"files": [str(path)], "checksums": expected})
    damage(path, 1)
    with pytest.raises(InputError, match=r"x\.root is damaged or another file: its checksum is"):
        check({"files": [str(path)], "checksums": expected})


def test_files_of_all_names_are_those_files_and_get_names_of_their_own(tmp_path, check):
    """Names that would be patterns of the others, and of which some are the same."""
    names = ["x/a", "y/a", "z/a.1", "z/.hidden", "z/_x y", "z/x_y", "z/[a].1", "[xy]/a", "z/*", "?"]
    paths = [tmp_path / f"{name}.root" for name in names]
    written = [str(write_ntuple(path, make_events(n, n))) for n, path in enumerate(paths, 1)]
    found = check({"files": written})
    assert [file.path for file in found] == written
    assert [file.entries for file in found] == [*range(1, 11)]
    stems = [file.stem for file in found]
    assert len({*stems}) == len(names)
    assert all(stem[0].isalnum() and "/" not in stem for stem in stems)


ALL = dict.fromkeys(BRANCHES.values(), "double")


def dataset(process="tautau", **settings):
    base = {"name": process, "process": process, "files": ["x.root"]}
    base |= {"generated": 10} if process == "signal" else {"luminosity": 1.0}
    return Dataset.model_validate(base | settings)


def without(column):
    return {name: kind for name, kind in ALL.items() if name != BRANCHES[column]}


def test_only_signal_of_several_masses_needs_the_generated_mass():
    for other in (dataset("signal", mass=1.0), dataset()):
        find_columns(other, "x.root", without("generated_mass"))
    with pytest.raises(InputError, match="`generated_mass` is read from"):
        find_columns(dataset("signal"), "x.root", without("generated_mass"))


def test_aliases_lead_to_other_branches_also_of_what_the_search_reads_besides():
    branches = {**without("px1"), "mu_px": "double", "roe": "float", "roeE": "double"}
    found = find_columns(dataset(branches={"px1": "mu_px"}), "x.root", branches, ["roe"])
    assert (found["px1"], found["py1"], found["roe"]) == ("mu_px", BRANCHES["py1"], "roe")
    other = dataset(branches={"px1": "mu_px", "roe": "roeE"})
    assert find_columns(other, "x.root", branches, ["roe"])["roe"] == "roeE"


@pytest.mark.parametrize(
    ("branches", "further", "aliases", "sentence"),
    [
        ({**without("px1"), "daughter__bo0__cm__sppx": "double"}, [], {},
         r"Dataset tautau: tree variables of x\.root has no branch daughter__bo0__cm__sppx__bc, "
         r"which `px1` is read from; nearest are daughter__bo0__cm__sppx; name"),
        ({"Q": "double"}, [], {}, r"`experiment` is read from; name the right one"),
        # Half of a group is an error.
        (without("beam_py"), [], {}, "has no branch beamPy"),
        (without("charge2"), [], {}, f"has no branch {BRANCHES['charge2']}"),
        # What the search reads or the manifest names has to be there.
        (without("charge1"), ["charge1"], {}, "`charge1` is read from"),
        (ALL, ["roe"], {}, "has no branch roe, which `roe` is read from"),
        (ALL, [], {"weight": "w8"}, "has no branch w8"),
        *(({**ALL, BRANCHES["pz2"]: kind}, [], {}, "has to be one number for every entry")
          for kind in ("std::vector<double>", "double[]", "double[3]", "char*")),
    ],
)  # fmt: skip
def test_a_branch_that_is_missing_or_no_number_is_named(branches, further, aliases, sentence):
    with pytest.raises(InputError, match=sentence):
        find_columns(dataset(branches=aliases), "x.root", branches, further)


def test_branches_have_the_names_of_basf2_and_momenta_in_the_cms_others():
    charge = "daughter__bo0__cm__spcharge__bc"
    cms = dataset(frame="cms", branches={"pz2": "mine"}).branch_of
    assert cms["py2"] == "daughter__bo1__cm__spuseCMSFrame__bopy__bc__bc"
    assert (BRANCHES["pz2"], BRANCHES["charge1"]) == ("daughter__bo1__cm__sppz__bc", charge)
    assert (cms["pz2"], cms["charge1"]) == ("mine", charge)
