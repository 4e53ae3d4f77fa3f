import json
import re

import numpy as np
import pytest
from outputs import contents, datasets_of, read_tensors, results_in, settings_of
from small_data import MASSES, damage, make_events, make_manifest, make_signal, write_ntuple
from small_runs import make_features

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.histograms import read_peaks
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.peak_fit import fit_peak, peak_edges
from punzinet.analysis.search import RECOIL
from punzinet.analysis.windows import Windows
from punzinet.processors import features
from punzinet.processors.datasets import MOMENTA
from punzinet.processors.executors import Execution
from punzinet.processors.runs.features import run_features


def run(manifest, folder, executor="iterative"):
    output = OutputFolder(folder)
    written = run_features(manifest, output, Execution(executor, 2))
    assert sorted(written) == results_in(folder)
    return output


def tensors_of(output, dataset):
    """The tensors of a dataset, in the order of its events."""
    return read_tensors(output.tensors, dataset).sort("event")


@pytest.fixture(scope="module")
def done(tmp_path_factory, ntuples):
    """Output of the stage on the small files."""
    return run(make_manifest(ntuples), tmp_path_factory.mktemp("output"))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A file of less signal, for chunks that are small."""
    path = tmp_path_factory.mktemp("few") / "signal.root"
    return write_ntuple(path, make_signal(1, 300))


@pytest.fixture
def written(monkeypatch):
    """Tensors that are written from now on."""
    write, paths = features.write_table, []

    def noted(path, *rows):
        paths.append(path)
        return write(path, *rows)

    monkeypatch.setattr(features, "write_table", noted)
    return paths


def test_every_hypothesis_has_a_fitted_window_with_most_of_its_peak(done):
    windows = Windows.read(done.windows)
    assert windows.mass.tolist() == [*MASSES]
    assert windows.training.tolist() == [True, False] * 3
    assert windows.fitted.all()
    assert np.all((windows.sigma > 0.02) & (windows.sigma < 1.0))
    peaks, edges = read_peaks(done.peaks), peak_edges(RECOIL.peak_reach)
    assert windows.fits == tuple(fit_peak(p.values(), p.variances(), edges) for p in peaks)
    hypotheses = datasets_of(done.features_cutflow)["signal"]["hypotheses"]
    assert [row["mass"] for row in hypotheses] == [*MASSES]
    for row in hypotheses:
        assert row["generated"] == row["usable"] == 2000
        assert 0.88 < row["in_own_window"] / 2000 < 0.99
        assert row["efficiency"] == pytest.approx(0.9 * row["in_own_window"] / 2000)


def test_files_of_the_user_stay_where_they_are(tmp_path, ntuples):
    output = run(make_manifest(ntuples), tmp_path)
    mine = [output.tensors / name for name in ("mine/a.txt", "tautau/a.parquet", "empty/a")]
    mine.append(tmp_path / ".tensors.mine" / "a.txt")
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    mine[2].unlink()
    fewer = {name: ntuples[name] for name in ("signal", "tautau")}
    manifest = make_manifest(fewer, features={"chunk_size": 3000})
    new = run_features(manifest, output, Execution())
    assert {*results_in(tmp_path)} == {*new, *mine[:2]}
    own = {"signal", "tautau", "mine", "empty"}
    assert {path.name for path in output.tensors.iterdir()} == own
    assert mine[3].exists()
    (output.tensors / "tautau").rename(tmp_path / "elsewhere")
    (output.tensors / "tautau").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"tensors/tautau is a link"):
        run_features(manifest, output, Execution())
    assert len([*(tmp_path / "elsewhere").iterdir()]) == 4


def test_every_entry_is_accounted_for_and_results_say_where_they_come_from(done):
    for path in (done.windows, done.features_cutflow, done.completeness):
        assert settings_of(path) == {"stage": "features", "chunk_size": 4000, "candidates": "all"}
        assert '"coffea"' in path.read_text()
    counts, complete = map(datasets_of, (done.features_cutflow, done.completeness))
    assert set(counts) == {"signal", "tautau", "eemumu"}
    for name, entries in {"signal": 12000, "tautau": 7000, "eemumu": 3000}.items():
        first, *others = lines = counts[name]["cutflow"]
        table = tensors_of(done, name)
        assert (lines[-1]["step"], lines[-1]["entries"]) == ("kept", len(table))
        assert lines[-1]["weight"] == pytest.approx(table["weight"].sum())
        for sums in ("entries", "weight"):
            assert sum(line[sums] for line in others) == pytest.approx(first[sums])
        assert counts[name]["further_candidates"] == 0
        assert complete[name]["read"] == complete[name]["present"] == entries
        assert [file["read"] for file in complete[name]["files"]] == [entries]


def test_processes_on_other_cores_write_the_same_bytes(done, tmp_path, ntuples):
    run(make_manifest(ntuples), tmp_path, "futures")
    assert len(contents(tmp_path)) == 4 + 2 + 1 + 5
    assert contents(tmp_path) == contents(done.root)


def test_the_size_of_chunks_changes_no_event(done, tmp_path, ntuples):
    other = run(make_manifest(ntuples, features={"chunk_size": 999}), tmp_path)
    sigma, reference = (Windows.read(output.windows).sigma for output in (other, done))
    np.testing.assert_allclose(sigma, reference, rtol=1e-9)
    for name in ntuples:
        assert tensors_of(other, name).equals(tensors_of(done, name))


def test_names_and_kinds_of_files_change_no_event(done, tmp_path, ntuples):
    """Other names of trees and branches, beside others that they would match; a URL, an RNTuple."""
    others = ("a*b", "px[0]", "[^a]", "where", "x+1", "y:z", "event é", "E.f")
    names = dict(zip((*MOMENTA, "event", "generated_mass"), others, strict=True))
    events = make_signal(1)
    events |= {other: np.zeros(12000) for other in ("ab", "px0", "x", "y", "z", "E", "f", "a")}
    path = write_ntuple(tmp_path / "zp.root", events, "tree/of/mine", names)
    dataset = {"files": [str(path)], "tree": "tree/of/mine", "branches": names}
    rntuple = write_ntuple(tmp_path / "tautau.root", make_events(2, 7000), kind="mkrntuple")
    url = f"file://{rntuple}"
    other = run(make_manifest({**ntuples, "signal": dataset, "tautau": url}), tmp_path / "output")
    assert tensors_of(other, "signal").equals(tensors_of(done, "signal"))
    name = "tautau/tautau-0-3500.parquet"
    assert (other.tensors / name).read_bytes() == (done.tensors / name).read_bytes()


def test_an_interruption_costs_no_work(done, tmp_path, ntuples, written, monkeypatch):
    run(make_manifest(ntuples, luminosity=1.0), tmp_path)
    write = features.write_table
    written.clear()

    def interrupted(path, *rows):
        if len(written) == 2:
            path.write_bytes(b"half a tens")
            raise KeyboardInterrupt
        return write(path, *rows)

    with monkeypatch.context() as patch:
        patch.setattr(features, "write_table", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(make_manifest(ntuples), tmp_path)
    assert not results_in(tmp_path)
    (partial,) = tmp_path.glob(".tensors.*")
    (partial / "tautau" / "left-0-1.parquet").write_bytes(b"by a killed run")
    run(make_manifest(ntuples), tmp_path)
    # None is written twice; signal's do not depend on the luminosity, and were there before.
    assert sorted(path.parent.name for path in written) == ["eemumu", "tautau", "tautau"]
    assert contents(tmp_path) == contents(done.root)


def test_a_damaged_tensor_is_made_again(done, tmp_path, ntuples):
    output = run(make_manifest(ntuples), tmp_path)
    cut, flipped, gone = sorted(output.tensors.rglob("*.parquet"))[:3]
    cut.write_bytes(cut.read_bytes()[:-9])
    damage(flipped, 1)
    gone.unlink()
    run(make_manifest(ntuples), tmp_path)
    assert contents(tmp_path) == contents(done.root)


def test_events_that_are_there_twice_are_reported(tmp_path, few):
    """Ten events of another file, and five of the same file; candidates are no duplicates."""
    first, second = make_events(2, 900), make_events(2, 300)
    first["event"][1] = first["event"][0]
    first["event"][450] = first["event"][449]  # on both sides of a border between chunks
    second["event"] += np.uint32(890)
    second["event"][200:205] = second["event"][100:105]
    events = enumerate((first, second))
    paths = [str(write_ntuple(tmp_path / f"{n}.root", columns)) for n, columns in events]
    files = {"process": "tautau", "files": paths}
    manifest = make_manifest({"signal": few, "tautau": files}, features={"chunk_size": 450})
    output = run(manifest, tmp_path / "output")
    datasets = datasets_of(output.completeness)
    assert datasets["tautau"]["duplicates"] == {"events": 15, "by_file": {paths[1]: 15}}
    assert datasets["signal"]["duplicates"] == {"events": 0, "by_file": {}}
    assert datasets_of(output.features_cutflow)["tautau"]["further_candidates"] == 2


EVENTS, ALL = make_events(7, 600), np.arange(600)


def again(*order):
    """Events in another order, some of them, or several times."""
    return {name: values[np.concatenate(order)] for name, values in EVENTS.items()}


def reprocessed(events):
    return events | {"production": events["production"] + 1}


@pytest.mark.parametrize(
    ("a", "other", "expected"),
    [
        (again(ALL[::-1]), None, None),
        (again(ALL, ALL), None, ("first", "a", "repeats", "600", 0.5)),
        (again(np.repeat(ALL, 2)), None, ("first", "a", "holds", "600", 0.5)),
        (EVENTS, ("tautau", again(ALL[::2])), ("second", "b", "repeats", "300", 1.0)),
        (EVENTS, ("eemumu", again(ALL[::2])), None),
        (EVENTS, ("tautau", reprocessed(EVENTS)), None),
        (EVENTS, ("eemumu", None), ("second", "a", "with", "600", 1.0)),
        (EVENTS, ("data", None), ("second", "a", "with", "600", 1.0)),
    ],
)
def test_what_counts_more_than_once_is_said_with_what_it_makes(a, other, expected, tmp_path, few):
    """In one file, in two datasets of a process, of two processes, of simulation and data."""
    path = write_ntuple(tmp_path / "a.root", a)
    files = {"signal": few, "first": {"process": "tautau", "files": [str(path)]}}
    if other:
        process, events = other
        path = write_ntuple(tmp_path / "b.root", events) if events else path
        files["second"] = {"process": process, "files": [str(path)]}
    manifest = make_manifest(files, blinding={"signal_region": [5.99, 6.0]})
    output = run(manifest, tmp_path / "output")
    completeness = output.completeness
    if manifest.has_data:
        make_features(manifest, output.root, data=True)
        completeness = output.data_completeness
    said = " ".join(json.loads(completeness.read_text())["twice"])
    found = re.findall(r"Dataset (\w+): \S+/(\w)\.root (\w+) (\d+) .* (\d+) of (\d+) events", said)
    shares = [(*what, pytest.approx(int(part) / int(whole), 0.01)) for *what, part, whole in found]
    assert shares == ([expected] if expected else [])


def test_data_that_was_reprocessed_is_the_same_data(tmp_path, few):
    """Whatever the production, of which simulation has as many other events."""
    again = enumerate((EVENTS, reprocessed(EVENTS)))
    paths = [str(write_ntuple(tmp_path / f"{n}.root", events)) for n, events in again]
    files = {name: {"process": name, "files": paths} for name in ("tautau", "data")}
    output = run(make_manifest({"signal": few, **files}).part(), tmp_path / "output")
    make_features(make_manifest({"signal": few, **files}), output.root, data=True)
    (repeated,) = datasets_of(output.data_completeness).values()
    assert repeated["duplicates"] == {"events": 600, "by_file": {paths[1]: 600}}
    assert datasets_of(output.completeness)["tautau"]["duplicates"]["events"] == 0


def test_events_of_another_mass_are_others_though_numbered_alike(tmp_path, ntuples):
    files = {"tautau": ntuples["tautau"]}
    for mass in (1.0, 2.0):
        path = write_ntuple(tmp_path / f"{mass}.root", make_events(1, 2000, mass))
        files[f"of{mass:g}"] = {"process": "signal", "mass": mass, "files": [str(path)]}
    manifest = make_manifest(files, hypotheses={"masses": [1.0, 2.0]})
    output = run(manifest, tmp_path / "output")
    assert '"twice": []' in output.completeness.read_text()


@pytest.mark.parametrize("how", [("mktree", 0), ("mkrntuple", 0), ("mktree", 2**63)])
@pytest.mark.parametrize(("policy", "kept"), [("all", 900), ("first", 896), ("single", 893)])
def test_candidates_of_an_event_are_chosen_by_the_policy(tmp_path, few, how, policy, kept):
    """Two candidates, two on both sides of a border between chunks, and three at the end."""
    (kind, least), events = how, make_events(2, 900)
    events["event"] = events["event"].astype(np.uint64 if least else np.uint32) + least
    for first, last in ((0, 1), (449, 450), (897, 899)):
        events["event"][first : last + 1] = events["event"][first]
    path = write_ntuple(tmp_path / "tautau.root", events, kind=kind)
    files = {"signal": few, "tautau": path}
    manifest = make_manifest(files, features={"chunk_size": 450, "candidates": policy})
    output = run(manifest, tmp_path / "output")
    counts = datasets_of(output.features_cutflow)
    assert counts["tautau"]["further_candidates"] == 4
    cutflow = counts["tautau"]["cutflow"]
    chosen = [line["entries"] for line in cutflow if "candidate" in line["step"]]
    assert chosen == ([] if policy == "all" else [900 - kept])
    if policy != "all":
        assert tensors_of(output, "tautau")["event"].is_unique().all()


def test_what_cannot_be_done_is_one_sentence(tmp_path, ntuples):
    """As a rule it is found before it costs the last result."""
    output = run(make_manifest(ntuples), tmp_path / "output")
    before, broken = contents(output.root), tmp_path / "broken.root"
    broken.write_bytes(b"root, or so it says")
    with pytest.raises(InputError, match=r"broken\.root cannot be opened"):
        run(make_manifest({**ntuples, "tautau": broken}), output.root)
    assert contents(output.root) == before
    hypotheses = {"masses": [1.0, 2.0, 2.5, 7.0]}
    with pytest.raises(InputError, match=r"no signal event near .* mass 2\.5, 7 GeV"):
        run(make_manifest(ntuples, hypotheses=hypotheses), output.root)
    assert not results_in(output.root)
