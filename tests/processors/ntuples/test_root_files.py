"""Files of ROOT itself are read, and ROOT opens what we write: TTrees, RNTuples and histograms.

ROOT runs in a process of its own: its compiler and numba's do not share one. Its wheel is a
pre-release of half a gigabyte, so it is in no lock file: ``pip install '.[root]'`` to have these
tests, among the slow ones.
"""

import importlib.util
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import uproot
from small_data import make_events, make_manifest, write_ntuple

from punzinet.analysis.io.histograms import fill_spectra, write_spectra
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.network import PunziNet, SavedNetwork
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.search import RECOIL
from punzinet.analysis.windows import Windows
from punzinet.processors.datasets import describe_datasets
from punzinet.processors.executors import Execution
from punzinet.processors.ntuples.preflight import inspect_file
from punzinet.processors.prediction import TREE, predict_file
from punzinet.processors.runs.features import run_features

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ROOT") is None,
        reason="ROOT is not installed (`pip install '.[root]'`)",
    ),
]
Columns = dict[str, np.ndarray]
KINDS = ("TTree", "RNTuple")


def in_root(script: str, *arguments: Path | str) -> str:
    """Run a script with ROOT, the arguments in `sys.argv`, and return what it printed."""
    start = "import sys, warnings; warnings.simplefilter('ignore'); import ROOT, numpy as np\n"
    done = subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(script), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def events() -> dict[str, Columns]:
    """Events by dataset, under the names of basf2."""
    samples = {
        "signal": make_events(1, 6 * 2000, np.repeat(np.arange(1.0, 7.0), 2000)),
        "tautau": make_events(2, 3000),
    }
    beams = dict(zip(("beam_E", "beam_px", "beam_py", "beam_pz"), Beams().total, strict=True))
    for columns in samples.values():
        columns |= {name: np.full(len(columns["event"]), value) for name, value in beams.items()}
        # As `useFloat=True` writes them.
        columns["px1"] = columns["px1"].astype(np.float32)
    return {
        dataset: {BRANCHES[name]: values for name, values in columns.items()}
        for dataset, columns in samples.items()
    }


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, events: dict[str, Columns]
) -> dict[str, dict[str, Path]]:
    """The same events by kind and dataset, written by ROOT."""
    folder = tmp_path_factory.mktemp("root")
    found: dict[str, dict[str, Path]] = {kind: {} for kind in KINDS}
    for dataset, columns in events.items():
        np.savez(folder / f"{dataset}.npz", **columns)
        in_root(
            """
            columns = dict(np.load(sys.argv[1]))
            for kind in sys.argv[3:]:
                options = ROOT.RDF.RSnapshotOptions()
                options.fOutputFormat = getattr(ROOT.RDF.ESnapshotOutputFormat, f"k{kind}")
                frame = ROOT.RDF.FromNumpy(columns)
                frame.Snapshot("variables", f"{sys.argv[2]}.{kind}.root", list(columns), options)
            """,
            folder / f"{dataset}.npz", folder / dataset, *KINDS,
        )  # fmt: skip
        for kind in KINDS:
            found[kind][dataset] = folder / f"{dataset}.{kind}.root"
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_root_give_the_same_tensors(
    kind: str, written: dict[str, dict[str, Path]], events: dict[str, Columns], tmp_path: Path
) -> None:
    files = written[kind]
    with uproot.open(files["tautau"]) as file:
        classname = file.classname_of("variables")
    assert classname == {"TTree": "TTree", "RNTuple": "ROOT::RNTuple"}[kind]
    ours = {}
    for dataset, columns in events.items():
        ours[dataset] = tmp_path / f"{dataset}.root"
        with uproot.recreate(ours[dataset]) as file:
            types = {name: values.dtype for name, values in columns.items()}
            file.mktree("variables", types).extend(columns)
    tables = []
    for name, inputs in (("theirs", files), ("ours", ours)):
        output = OutputFolder(tmp_path / name)
        run_features(make_manifest(inputs), output, Execution())
        table = pl.read_parquet(output.tensors / "*" / "*.parquet")
        tables.append(table.sort("dataset", "production", "event"))
        cutflow = json.loads(output.features_cutflow.read_text())["datasets"]["tautau"]["cutflow"]
        assert cutflow[0]["entries"] == 3000
    assert len(tables[0]) > 3000
    assert tables[0].equals(tables[1])


def test_root_opens_ntuples_and_friends_that_we_write(tmp_path: Path) -> None:
    columns = make_events(5, 2000)
    ntuple = write_ntuple(tmp_path / "mine.root", columns)
    manifest = make_manifest({"mine": {"process": "tautau", "files": [str(ntuple)]}, "signal": "s"})
    manifest = manifest.model_copy(update={"datasets": {"mine": manifest.datasets["mine"]}})
    windows = Windows(np.array([1.0]), np.array([0.3]), np.array([True]), np.array([True]), (None,))
    low, rng = [0.0, 0.0, -5.0, 0.0], np.random.default_rng(3)
    network = PunziNet(FEATURES, low, [5.0] * 4, rng=rng)
    cut = float(np.median(network.logit_numpy(rng.uniform(low, 5.0, (1000, 4)))))
    saved = SavedNetwork(network, windows, cut, {}, {})
    friend = tmp_path / "mine.punzinet.root"
    file = inspect_file(manifest.datasets["mine"], str(ntuple), "mine")
    sample = describe_datasets(manifest, [file])["mine"]
    done = predict_file(file, saved, sample, friend, chunk_size=700, advance=lambda _: None)
    said = in_root(
        """
        file = ROOT.TFile.Open(sys.argv[1])
        tree = file.Get("variables")
        tree.AddFriend(sys.argv[3], sys.argv[2])
        frame = ROOT.RDataFrame(tree)
        both = frame.Filter("punzinet_selected")
        momentum = frame.Sum(sys.argv[4])
        mass = frame.Sum(f"{sys.argv[3]}.m2_recoil")
        print(frame.Count().GetValue(), both.Count().GetValue(), momentum.GetValue(),
              mass.GetValue())
        """,
        ntuple, friend, TREE, BRANCHES["px1"],
    )  # fmt: skip
    entries, selected, momentum, mass = (float(number) for number in said.split()[-4:])
    assert (entries, selected) == (2000, done.selected)
    assert 0 < selected < 2000
    assert momentum == pytest.approx(columns["px1"].sum(), rel=1e-9)
    with uproot.open(friend) as opened:
        assert mass == pytest.approx(opened[TREE]["m2_recoil"].array(library="np").sum(), rel=1e-9)


def test_root_opens_the_spectra(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    values, weight = rng.uniform(-2, 90, 500), rng.uniform(0, 2, 500)
    spectra = fill_spectra("after", "tautau", RECOIL.variable, values, weight)
    write_spectra(tmp_path / "histograms.root", spectra)
    said = in_root(
        """
        file = ROOT.TFile.Open(sys.argv[1])
        for name in ("m_recoil", "m2_recoil"):
            histogram = file.Get(f"after/{name}/tautau")
            last = histogram.GetNbinsX() + 1
            contents = [histogram.GetBinContent(i) for i in range(last + 1)]
            errors = [histogram.GetBinError(i) ** 2 for i in range(last + 1)]
            print(histogram.ClassName(), last - 1, sum(contents), sum(errors))
        """,
        tmp_path / "histograms.root",
    )
    for line, variable in zip(said.splitlines()[-2:], ("m_recoil", "m2_recoil"), strict=True):
        kind, bins, contents, variance = line.split()
        histogram = spectra[f"after/{variable}/tautau"]
        assert kind == "TH1D"
        assert int(bins) == len(histogram.axes[0])
        assert float(contents) == pytest.approx(histogram.sum(flow=True).value)
        assert float(variance) == pytest.approx(histogram.sum(flow=True).variance)
