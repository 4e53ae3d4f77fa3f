"""Every mistake in a manifest is one sentence that names the key."""

import copy
import itertools
from pathlib import Path

import pytest
import yaml

from punzinet.analysis.io.files import InputError, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import load_manifest

PROJECT = Path(__file__).parents[3] / "data_manifest.yaml"
OWN = {
    "luminosity": 50,
    "hypotheses": {"masses": [1.0, 2.0]},
    "datasets": {
        "zprime": {"process": "signal", "files": ["zprime.root"], "generated": 1000},
        "taupair": {"process": "tautau", "files": ["tau.root"], "luminosity": 100},
    },
}
MASSES, UNCERTAINTY = "hypotheses.masses", "figure_of_merit.background_uncertainty"
TAUPAIR = OWN["datasets"]["taupair"]
NORMALISED = TAUPAIR | {"generated": 91_900_000, "cross_section": 0.919}
DATA = {"process": "data", "files": ["data.root"]}


def load(folder, content, scale="default"):
    path = folder / "manifest.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return load_manifest(path, OutputFolder(folder / "output"), scale)


def changed(key, to):
    section = content = copy.deepcopy(OWN)
    *above, last = key.split(".")
    for name in above:
        section = section.setdefault(name, {})
    section[last] = to
    return content


def test_the_projects_own_manifest_whether_it_has_been_simulated_or_not(tmp_path):
    output = OutputFolder(tmp_path)
    manifest, paper = (load_manifest(PROJECT, output, scale) for scale in ("default", "paper"))
    found = manifest.correction, paper.generated(0.1), paper.datasets["tautau"].luminosity
    assert found == (0.9, 20000, 1000)
    assert paper.digest != manifest.digest
    write_json(output.simulation_record, {"datasets": {"tautau": {"entries": 7}}})
    after = load_manifest(PROJECT, output)
    assert (manifest.datasets["tautau"].entries, after.datasets["tautau"].entries) == (None, 7)
    assert after.digest == manifest.digest


def test_files_start_at_the_manifest_and_patterns_are_what_they_match_in_order(tmp_path):
    """In names of folders and files that are there, brackets are no pattern."""
    own, other = tmp_path / "run[12]", tmp_path / "run1"
    for name in ("b.root", "a.root", "tt[12].root", "tt1.root"):
        for folder in (own, other):
            folder.mkdir(exist_ok=True)
            (folder / name).touch()

    def files(*given):
        manifest = load(own, changed("datasets.taupair.files", given))
        with pytest.raises(InputError, match=r"Dataset zprime: there is no file .*zprime\.root"):
            manifest.datasets["zprime"].resolved_files()
        found = manifest.datasets["taupair"].resolved_files()
        return [file.removeprefix(f"{own}/") for file in found]

    url = "https://example.org/c[1].root"
    assert files("?.root", url) == ["a.root", "b.root", url]
    assert files("tt[12].root", "tt1.root") == ["tt[12].root", "tt1.root"]
    assert files("t[s-u]*.root") == ["tt1.root", "tt[12].root"]
    others = ["../run[12]/a.root", "../run1/a.root"]
    assert files("../run[12]/[a].root", "../run[1]/a.root") == others
    (own / "a" / "b").mkdir(parents=True)
    (own / "a" / "b" / "a.root").touch()
    assert files("**/a.root") == ["a.root", "a/b/a.root"]
    with pytest.raises(InputError, match=r"taupair: .*a\.root is named twice"):
        files("a.root", "?.root")
    (own / "c[12].root").symlink_to("gone.root")
    (own / "c1.root").touch()
    for gone in ("c[12].root", "x[12].root"):
        with pytest.raises(InputError, match=r"taupair: there is no file .*12\]\.root"):
            files(gone)


@pytest.mark.parametrize(
    ("key", "to", "sentence"),
    [
        ("luminosity", 0, r"`luminosity` \(target luminosity in fb\^-1\): .*greater than 0"),
        ("luminosity", "much", r"`luminosity` .*valid number.*'much'"),
        ("luminosity", "1e308", "`luminosity`: no setting is as large"),
        ("luminosity", "inf", "`luminosity`: no setting is as large"),
        ("luminosty", 50, r"`luminosty` is not a setting \(did you mean luminosity"),
        ("datasets.tree", {"proces": "signal"}, r"`datasets.tree.proces` .* mean process"),
        (MASSES, {"stop": 2, "stepp": 1}, r"^\S+ `hypotheses.masses.stepp` .* step .*$"),
        ("training.punzi", {"epoch": 3}, r"`training.punzi.epoch` .* mean epochs\?\)\.$"),
        ("simulation.detector", {"xyz": 3}, r"\(use momentum_resolution, photon_loss\)\.$"),
        ("beams.electron_energy", -7, r"`beams.electron_energy` \(electron \(HER\) energy"),
        ("datasets", {}, "`datasets`"),
        ("datasets", {"t": TAUPAIR}, "no dataset of process `signal`"),
        ("datasets", {"z": OWN["datasets"]["zprime"]}, "no background"),
        ("datasets.taupair.process", "tautua", "'tautua' is not listed .*mean tautau"),
        ("datasets.taupair.luminosity", -1, "`datasets.taupair.luminosity` .*greater"),
        ("datasets.taupair.luminosity", None, r"`luminosity` is missing"),
        ("datasets.taupair.files", [], "taupair.*`files` is missing"),
        ("datasets.taupair.branches", {"px11": "x"}, "taupair.branches.*'px11'.* mean px1"),
        ("datasets.taupair.simulate", "tautau", "files, luminosity must not be set"),
        ("datasets.zprime.generated", None, "zprime.*`generated` is missing"),
        ("datasets.zprime.generated", {1.0: 1000}, "`generated` count for 2 GeV"),
        ("datasets.taupair.cross_section", 0.919, "needs its `generated` events"),
        ("datasets.zprime.cross_section", 0.919, "that of a background"),
        ("datasets.taupair", NORMALISED | {"luminosity": 110}, r"are 100 fb.*, but .* is 110;"),
        (f"datasets.{'t' * 101}", TAUPAIR, "not more than 100 of them"),
        ("datasets.missing", TAUPAIR | {"luminosity": 1e20}, "no setting is"),
        ("datasets", {"../up": TAUPAIR}, r"`datasets.\.\./up` .* becomes that of files"),
        ("datasets.runs", DATA, "data needs its fb"),
        ("datasets.runs", DATA | {"luminosity": 1, "mass": 1.0}, "so mass must not be set"),
        ("datasets.runs", {"process": "data", "simulate": "tautau"}, "measured, so simulate"),
        *(
            ("processes", {"signal": "s", "tautau": "t", name: "d"}, f"can be called {name};")
            for name in ("data", "data_obs", "unseen")
        ),
        *(
            ("processes", {name: "x"}, rf"`processes.{name}` .*: use letters, digits")
            for name in ("../x", "signal/4.0", "a;2", "", "a b")
        ),
        (UNCERTAINTY, {"signal": 0.1}, "signal' is no background of `processes`; give"),
        (UNCERTAINTY, {"tauttau": 0.1}, "tauttau' is no background of `processes`; give"),
        (UNCERTAINTY, "measurd", "'measured'.*not 'measurd'"),
        ("figure_of_merit.shifts", {"x": {"tautau": {1.0: 0.1}}}, "shifts` is nothing to be given"),
        (MASSES, {"stop": 1, "step": -2}, r"^\S+ `hypotheses.masses.step` .* than 0, not -2\.$"),
        (MASSES, 3, r"^\S+ `hypotheses.masses` .* valid mapping, not 3.\n.* valid list, not 3\.$"),
        ("datasets.taupair.files", "a.root", "valid list, not 'a.root'"),
        ("datasets.taupair.missing", [float("nan")], "`datasets.taupair.missing.0` .*finite"),
        ("datasets.taupair.mass", 2.0, "`mass` says nothing of tautau"),
        ("datasets.zprime.luminosity", 2.0, "`luminosity` says nothing of signal"),
        ("datasets.zprime.generated", {1.0: 10, 2.0: 10, 2.0000001: 9}, "two numbers for one mass"),
        ("datasets.taupair.branches", {"px2": "q", "py2": "q"}, "q is `px2`.* cannot be `py2`"),
        ("datasets.taupair.branches", {"pz1": "__event__"}, "is `pz1`.* cannot be `event`"),
        ("blinding.signal_region", [1000, 2000], "1000, 2000 GeV is beside all .*, 1 to 2 GeV"),
        ("limits.efficiency_uncertainty", {1000: 0.1}, "1000 GeV is beside all masses"),
        ("limits.sidebands", {"masked": [2.0]}, "`limits` .*with `background: sidebands` only"),
        ("training.validation_fold", 3, "test_fold.* cannot both validate and test"),
        ("blinding.fraction", 1, r"`blinding.fraction` \(share of all data .*less than 1"),
        ("blinding.fraction", 0, r"`blinding.fraction` .*greater than 0"),
        ("blinding", {"fraction": 0.1, "signal_region": [1.0, 2.0]}, "not both"),
        ("blinding.signal_region", [2.0, 1.0], "from a smaller to a larger"),
        ("figures.luminosity", "$50$ fb", r"write \{L\} for the number"),
        ("figures.formats", ["png", "gif"], "`figures.formats"),
        (
            "figures.overlays",
            ["gone.yaml"],
            r"figures.overlays.0` .* no file .*gone\.yaml",
        ),
        (
            "figures.style",
            "gone.mplstyle",
            r"figures.style` .* no file .*gone\.mplstyle",
        ),
        (MASSES, [1.0, 1.0], "`hypotheses.*two masses are the same"),
        (MASSES, [], "at least one mass"),
        (MASSES, [1.0, -2.0], "greater than 0"),
        (MASSES, {"start": 0.1, "stop": 1.0, "step": 0.2}, "never reach"),
        *(  # a grid is of a sensible size
            (MASSES, {"stop": stop, "step": step}, "never reach .*, or are 10000 or more")
            for stop, step in ((1e17, 0.1), (8.7, 1e-17), (8.7, 1e-9), (0.05, 0.1))
        ),
    ],
)
def test_mistakes(tmp_path, key, to, sentence):
    with pytest.raises(InputError, match=sentence):
        load(tmp_path, changed(key, to))


def test_a_few_lines_that_stand_for_very_many(tmp_path):
    names = "abcdefghij"
    lines = [f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]"
             for last, name in itertools.pairwise(names)]  # fmt: skip
    with pytest.raises(InputError, match=r"1000000 values or more, by its aliases"):
        load(tmp_path, "\n".join([f"a: &a [{', '.join('x' * 10)}]", *lines]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        *((text, r"manifest\.yaml") for text in (  # no manifest at all
            "- a list", "", "a: [", "a: !!python/object/apply:os.getcwd []", "\x00", "a: &b [*b]",
            "a: !!bool x", "a: !!timestamp x", "a: !!int x", "a: 2001-99-99", "[" * 20_000,
            "a: &b {<<: *b}", "? {a: 1}\n: 1",
        )),
        *((f"luminosity: {value}", "`luminosity`: no setting is as large or small as this number")
          for value in (".nan", "-.inf", f"0x{'f' * 5000}", "1" * 310, "1.0e+308", "1.0e-320")),
        ("beams: {electron_energy: .inf}", "`beams.electron_energy`: no setting is as large"),
        *((f"luminosity: {value}", "no setting; put a name") for value in ("yes", "true", "off")),
        ("luminosity: 02000", "line 1: `02000` is read as 1024"),
        ("luminosity: 50:30", "line 1: `50:30` is read as 3030"),
        ("luminosity: 1:30.5", "line 1: `1:30.5` is read as 90.5"),
        ('processes: {signal: "\\ud800"}', "'processes.signal': .* holds half of a character"),
        ("datasets:\n  tau: {process: tautau}\n  tau: {}\n", "line 3: `tau` is given twice"),
        ("luminosity: {2019: 20, '2019': 30}", "line 1: `2019` is given twice"),
    ],
)  # fmt: skip
def test_what_no_setting_means(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence):
        load(tmp_path, text)


def test_what_datasets_share_may_stand_once(tmp_path):
    shared = "  ee: {<<: *tau, process: eemumu, luminosity: 7}\nhypotheses:"
    text = yaml.safe_dump(OWN).replace("taupair:", "taupair: &tau").replace("hypotheses:", shared)
    tau, other = (load(tmp_path, "\ufeff" + text).datasets[name] for name in ("taupair", "ee"))
    assert (other.files, other.process, other.luminosity) == (tau.files, "eemumu", 7)


def test_no_file_and_no_scale(tmp_path):
    with pytest.raises(InputError, match=r"manifest\.yaml: there is no scale 'huge' .*paper"):
        load(tmp_path, OWN, "huge")
    with pytest.raises(InputError, match="--manifest"):
        load_manifest(tmp_path / "none.yaml", OutputFolder(tmp_path))


def test_a_luminosity_is_that_of_events_and_cross_section_within_a_few_percent(tmp_path):
    other = {"luminosity": 102, "missing": [-999, 1e308]}
    load(tmp_path, changed("datasets.taupair", NORMALISED | other))


def test_data_is_neither_signal_nor_background(tmp_path):
    content = changed("datasets.runs", DATA | {"luminosity": 20})
    content["limits"] = {"background_uncertainty": {"tautau": 0.1}}
    content["figure_of_merit"] = {"background_uncertainty": {"tautau": 0.1}}
    manifest, without = load(tmp_path, content), load(tmp_path, OWN)
    assert list(manifest.part(data=True).datasets) == ["runs"]
    assert manifest.part().datasets == without.datasets
    assert (manifest.has_data, manifest.datasets["runs"].is_signal) == (True, False)
    assert without.seen_of_data(unblind=False) == {}
    assert manifest.seen_of_data(unblind=True) == {"unblind": True}
    seen = manifest.seen_of_data(unblind=False)
    assert seen == {"blinding": {"fraction": 0.1, "signal_region": None}}
    del content["datasets"]["taupair"], content["limits"]
    with pytest.raises(InputError, match="no background"):
        load(tmp_path, content)
