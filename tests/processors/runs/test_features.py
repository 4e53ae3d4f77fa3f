import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
import uproot

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.windows import Windows
from punzinet.processors import features
from punzinet.processors.executors import Execution
from punzinet.processors.runs.features import run_features

Make = Callable[..., Manifest]
Columns = dict[str, np.ndarray]


def run(manifest: Manifest, folder: Path, executor: str = "iterative") -> OutputFolder:
    output = OutputFolder(folder)
    written = run_features(manifest, output, Execution(executor, 2))
    assert sorted(written) == results_in(folder)
    return output


def results_in(folder: Path) -> list[Path]:
    """All files of an output folder that are results, the ledger left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in files if not path.relative_to(folder).parts[0].startswith("."))


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, ntuples: dict[str, Path], make_manifest: Make
) -> OutputFolder:
    """Output of the stage on the small files."""
    return run(make_manifest(ntuples), tmp_path_factory.mktemp("output"))


def test_every_hypothesis_has_a_fitted_window(done: OutputFolder) -> None:
    windows = Windows.read(done.windows)
    assert windows.mass.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert windows.training.tolist() == [True, False] * 3
    assert windows.fitted.all()
    assert np.all((windows.sigma > 0.02) & (windows.sigma < 1.0))


def test_most_of_a_signal_peak_lies_in_its_window(done: OutputFolder) -> None:
    hypotheses = json.loads(done.features_cutflow.read_text())["datasets"]["signal"]["hypotheses"]
    assert [row["mass"] for row in hypotheses] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    for row in hypotheses:
        assert row["generated"] == row["usable"] == 2000
        assert 0.88 < row["in_own_window"] / 2000 < 0.99
        assert row["efficiency"] == pytest.approx(0.9 * row["in_own_window"] / 2000)


def test_cutflow_agrees_with_the_tensors(done: OutputFolder) -> None:
    datasets = json.loads(done.features_cutflow.read_text())["datasets"]
    assert set(datasets) == {"signal", "tautau", "eemumu"}
    for name, content in datasets.items():
        table = pl.read_parquet(done.tensors / name / "*.parquet")
        lines = content["cutflow"]
        assert lines[-1]["step"] == "kept"
        assert lines[-1]["entries"] == len(table)
        assert lines[-1]["weight"] == pytest.approx(table["weight"].sum())
        assert sum(line["entries"] for line in lines[1:]) == lines[0]["entries"]
        assert content["further_candidates"] == 0


def test_completeness_accounts_for_every_entry(done: OutputFolder) -> None:
    record = json.loads(done.completeness.read_text())
    for name, entries in {"signal": 12000, "tautau": 7000, "eemumu": 3000}.items():
        dataset = record["datasets"][name]
        assert dataset["read"] == dataset["present"] == entries
        assert [file["read"] for file in dataset["files"]] == [entries]


def test_results_say_where_they_come_from(done: OutputFolder) -> None:
    for path in (done.windows, done.features_cutflow, done.completeness):
        origin = json.loads(path.read_text())["provenance"]
        assert origin["settings"] == {
            "stage": "features", "chunk_size": 4000, "candidates": "all"
        }  # fmt: skip
        assert "coffea" in origin["versions"]


def test_processes_on_other_cores_write_the_same_bytes(
    done: OutputFolder, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    other = run(make_manifest(ntuples), tmp_path, "futures")
    files = [path.relative_to(tmp_path) for path in results_in(tmp_path)]
    assert len(files) == 3 + 2 + 1 + 3
    for path in files:
        assert (other.root / path).read_bytes() == (done.root / path).read_bytes(), path


def test_the_size_of_chunks_changes_no_event(
    done: OutputFolder, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    other = run(make_manifest(ntuples, features={"chunk_size": 999}), tmp_path)
    np.testing.assert_allclose(
        Windows.read(other.windows).sigma, Windows.read(done.windows).sigma, rtol=1e-9
    )
    for name in ntuples:
        one, two = (
            pl.read_parquet(folder.tensors / name / "*.parquet").sort("event")
            for folder in (done, other)
        )
        assert one.equals(two)


def test_other_names_of_trees_and_branches(
    *, done: OutputFolder, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make,
    make_events: Callable[..., Columns], write_ntuple: Callable[..., Path],
) -> None:  # fmt: skip
    names = {f"p{axis}{i}": f"mu{i}_{axis}" for axis in "xyz" for i in (1, 2)}
    names |= {"event": "eventNumber", "generated_mass": "mZ"}
    mass = np.repeat(np.arange(1.0, 7.0), 2000)
    path = write_ntuple(tmp_path / "zp.root", make_events(1, 12000, mass), "tree/of/mine", names)
    dataset = {
        "files": [str(path)], "process": "signal", "tree": "tree/of/mine", "branches": names
    }  # fmt: skip
    other = run(make_manifest({**ntuples, "signal": dataset}), tmp_path / "output")
    one, two = (
        pl.read_parquet(folder.tensors / "signal" / "*.parquet").sort("event")
        for folder in (done, other)
    )
    assert one.equals(two)


def test_an_interruption_leaves_no_result_and_the_next_run_does_the_rest(
    done: OutputFolder, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    manifest = make_manifest(ntuples)
    run(make_manifest(ntuples, luminosity=1.0), tmp_path)
    write, calls = features.write_table, []

    def interrupted(path: Path, *rows: Any) -> None:
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"half a tens")
            raise KeyboardInterrupt
        write(path, *rows)

    with monkeypatch.context() as patch:
        patch.setattr(features, "write_table", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(manifest, tmp_path)
    assert not results_in(tmp_path)
    (partial,) = tmp_path.glob(".tensors.*")
    (partial / "tautau" / "left-0-1.parquet").write_bytes(b"by a killed run")
    written = []
    monkeypatch.setattr(
        features, "write_table", lambda path, *rows: (written.append(path), write(path, *rows))
    )
    again = run(manifest, tmp_path)
    # Of six chunks two were done; signal's do not depend on the luminosity, and were long before.
    assert {path.parent.name for path in written} <= {"eemumu", "tautau"}
    assert len(written) + len(calls) - 1 == 3
    for path in results_in(done.root):
        assert (again.root / path.relative_to(done.root)).read_bytes() == path.read_bytes()


def test_another_file_costs_only_its_own_chunks(
    *, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make,
    make_events: Callable[..., Columns], write_ntuple: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run(make_manifest(ntuples), tmp_path / "output")
    write, written = features.write_table, []
    monkeypatch.setattr(
        features, "write_table", lambda path, *rows: (written.append(path.name), write(path, *rows))
    )
    path = write_ntuple(tmp_path / "more.root", make_events(9, 500))
    both = {"process": "tautau", "files": [str(ntuples["tautau"]), str(path)]}
    output = run(make_manifest({**ntuples, "tautau": both}), tmp_path / "output")
    assert written == ["more-0-500.parquet"]
    fresh = run(make_manifest({**ntuples, "tautau": both}), tmp_path / "fresh")
    for path in results_in(fresh.root):
        assert (output.root / path.relative_to(fresh.root)).read_bytes() == path.read_bytes()


def test_a_damaged_tensor_is_made_again(
    done: OutputFolder, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    output = run(make_manifest(ntuples), tmp_path)
    cut, flipped, gone = sorted(output.tensors.rglob("*.parquet"))[:3]
    cut.write_bytes(cut.read_bytes()[:-9])
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 4
    flipped.write_bytes(data)
    gone.unlink()
    run(make_manifest(ntuples), tmp_path)
    for path in results_in(done.root):
        assert (output.root / path.relative_to(done.root)).read_bytes() == path.read_bytes()


def test_events_that_are_there_twice_are_reported(
    *, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make,
    make_events: Callable[..., Columns], write_ntuple: Callable[..., Path],
) -> None:  # fmt: skip
    """Ten events of another file, and five of the same file; candidates are no duplicates."""
    first = make_events(2, 900)
    first["event"][1] = first["event"][0]
    first["event"][450] = first["event"][449]  # on both sides of a border between chunks
    second = {name: values + 0 for name, values in make_events(2, 300).items()}
    second["event"] = second["event"] + np.uint32(890)
    second["event"][200:205] = second["event"][100:105]
    paths = [
        write_ntuple(tmp_path / f"{name}.root", columns)
        for name, columns in (("a", first), ("b", second))
    ]
    files = {"process": "tautau", "files": [str(path) for path in paths]}
    manifest = make_manifest({**ntuples, "tautau": files}, features={"chunk_size": 450})
    output = run(manifest, tmp_path / "output")
    datasets = json.loads(output.completeness.read_text())["datasets"]
    assert datasets["tautau"]["duplicates"] == {"events": 15, "by_file": {str(paths[1]): 15}}
    assert datasets["signal"]["duplicates"] == {"events": 0, "by_file": {}}
    cutflow = json.loads(output.features_cutflow.read_text())["datasets"]["tautau"]
    assert cutflow["further_candidates"] == 2


@pytest.mark.parametrize("kind", ["mktree", "mkrntuple"])
@pytest.mark.parametrize(("policy", "kept"), [("all", 900), ("first", 896), ("single", 893)])
def test_candidates_of_an_event_are_chosen_by_the_policy(
    *, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make,
    make_events: Callable[..., Columns], kind: str, policy: str, kept: int,
) -> None:  # fmt: skip
    """Two candidates, two on both sides of a border between chunks, and three at the end."""
    events = make_events(2, 900)
    for first, last in ((0, 1), (449, 450), (897, 899)):
        events["event"][first : last + 1] = events["event"][first]
    columns = {BRANCHES[name]: values for name, values in events.items()}
    with uproot.recreate(tmp_path / "tautau.root") as file:
        types = {name: values.dtype for name, values in columns.items()}
        getattr(file, kind)("variables", types).extend(columns)
    manifest = make_manifest(
        {"signal": ntuples["signal"], "tautau": tmp_path / "tautau.root"},
        features={"chunk_size": 450, "candidates": policy},
    )
    output = run(manifest, tmp_path / "output")
    content = json.loads(output.features_cutflow.read_text())["datasets"]["tautau"]
    assert content["further_candidates"] == 4
    chosen = [line["entries"] for line in content["cutflow"] if "candidate" in line["step"]]
    assert chosen == ([] if policy == "all" else [900 - kept])
    signal = json.loads(output.features_cutflow.read_text())["datasets"]["signal"]
    assert sum(row["usable"] for row in signal["hypotheses"]) == 12000
    event = pl.read_parquet(output.tensors / "tautau" / "*.parquet")["event"]
    if policy != "all":
        assert event.is_unique().all()


def test_a_wrong_input_does_not_cost_the_last_result(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    output = run(make_manifest(ntuples), tmp_path / "output")
    broken = tmp_path / "broken.root"
    broken.write_bytes(b"root, or so it says")
    with pytest.raises(InputError, match=r"broken\.root cannot be opened"):
        run(make_manifest({**ntuples, "tautau": broken}), tmp_path / "output")
    assert output.completeness.exists()
    assert output.tensors.exists()


def test_tensors_of_a_dataset_that_is_gone_are_gone(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    run(make_manifest(ntuples), tmp_path)
    output = run(make_manifest({name: ntuples[name] for name in ("signal", "tautau")}), tmp_path)
    assert sorted(path.name for path in output.tensors.iterdir()) == ["signal", "tautau"]


def test_a_hypothesis_without_signal_is_an_error(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    manifest = make_manifest(ntuples, hypotheses={"masses": [1.0, 2.0, 2.5, 7.0]})
    with pytest.raises(InputError, match=r"no signal event near .* mass 2\.5, 7 GeV"):
        run(manifest, tmp_path)


def test_a_hypothesis_with_little_signal_is_interpolated(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make,
    make_events: Callable[..., Columns], write_ntuple: Callable[..., Path],
) -> None:  # fmt: skip
    mass = np.concatenate([np.repeat([1.0, 2.0, 4.0, 5.0, 6.0], 2000), np.full(50, 3.0)])
    path = write_ntuple(tmp_path / "signal.root", make_events(1, len(mass), mass))
    output = run(make_manifest({**ntuples, "signal": path}), tmp_path / "output")
    windows = Windows.read(output.windows)
    assert windows.fitted.tolist() == [True, True, False, True, True, True]
    fit = windows.fits[2]
    assert fit is not None
    assert fit.problem == "fewer than 200 events"
    assert min(windows.sigma[[1, 3]]) * 0.9 < windows.sigma[2] < max(windows.sigma[[1, 3]]) * 1.1


def test_an_output_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    (tmp_path / "output").write_text("not a folder")
    with pytest.raises(InputError, match=r"^Cannot write .*output: .* Make the folder writable"):
        run(make_manifest(ntuples), tmp_path / "output")


def test_damage_found_while_reading_is_one_sentence(
    *, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make,
    damage: Callable[[Path], None],
) -> None:  # fmt: skip
    path = Path(shutil.copy(ntuples["tautau"], tmp_path))
    damage(path)
    with pytest.raises(InputError, match=r"tautau\.root: branch \S+ cannot be read"):
        run(make_manifest({**ntuples, "tautau": path}), tmp_path / "output")
    assert not (tmp_path / "output" / "tensors").exists()


def test_rntuples_and_urls_are_read_like_trees_and_paths(
    *, done: OutputFolder, tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make,
    make_events: Callable[..., Columns],
) -> None:  # fmt: skip
    columns = {BRANCHES[name]: values for name, values in make_events(2, 7000).items()}
    with uproot.recreate(tmp_path / "tautau.root") as file:
        file.mkrntuple("variables", columns)
    manifest = make_manifest({**ntuples, "tautau": f"file://{tmp_path}/tautau.root"})
    other = run(manifest, tmp_path / "output")
    name = "tautau/tautau-0-3500.parquet"
    assert (other.tensors / name).read_bytes() == (done.tensors / name).read_bytes()


SCRIPT = """
import sys, time
from pathlib import Path
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.io.output import OutputFolder
from punzinet.processors.executors import Execution
from punzinet.processors.runs.features import run_features
if __name__ == "__main__":
    manifest = Manifest.model_validate_json(Path(sys.argv[1]).read_text())
    run_features(manifest, OutputFolder(Path(sys.argv[2])), Execution("futures", 2))
"""


def test_ctrl_c_ends_all_processes_and_leaves_no_result(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    manifest = make_manifest(ntuples, features={"chunk_size": 200})
    (tmp_path / "manifest.json").write_text(manifest.model_dump_json())
    (tmp_path / "script.py").write_text(SCRIPT)
    output = tmp_path / "output"
    command = [sys.executable, "script.py", "manifest.json", str(output)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not list(output.glob(".tensors.*/*/*.parquet")):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert workers
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0
        gone, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    assert len(gone) == len(workers)
    assert not results_in(output)
