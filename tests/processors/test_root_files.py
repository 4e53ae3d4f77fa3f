"""Files of ROOT itself are read, and ROOT opens what we write: TTrees, RNTuples and histograms.

Its wheel is a pre-release of half a gigabyte, so it is in no lock file: ``pip install '.[root]'``
to have these tests, among the slow ones.
"""

import numpy as np
import polars as pl
import pytest
import uproot
from outputs import datasets_of
from root import NEEDS_ROOT, in_root
from small_data import make_events, make_manifest, make_signal, with_beams, write_ntuple
from small_runs import ONE_WINDOW, make_features, predict, range_of, untrained

from punzinet.analysis.io.histograms import fill_spectra, write_spectra
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.saved_network import SavedNetwork
from punzinet.analysis.search import RECOIL
from punzinet.processors.friends import TREE

pytestmark = [pytest.mark.slow, NEEDS_ROOT]
KINDS = {"TTree": "TTree", "RNTuple": "ROOT::RNTuple"}


@pytest.fixture(scope="module")
def events():
    samples = {
        "signal": with_beams(make_signal(1)),
        "tautau": with_beams(make_events(2, 3000)),
    }
    for columns in samples.values():
        # As `useFloat=True` writes them.
        columns["px1"] = columns["px1"].astype(np.float32)
    return samples


@pytest.fixture(scope="module")
def written(tmp_path_factory, events):
    """The same events by kind and dataset, written by ROOT."""
    folder = tmp_path_factory.mktemp("root")
    for dataset, columns in events.items():
        named = {BRANCHES[name]: values for name, values in columns.items()}
        np.savez(folder / f"{dataset}.npz", **named)
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
    return {kind: {name: folder / f"{name}.{kind}.root" for name in events} for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_root_give_the_same_tensors(kind, written, events, tmp_path):
    with uproot.open(written[kind]["tautau"]) as file:
        assert file.classname_of("variables") == KINDS[kind]
    ours = {name: write_ntuple(tmp_path / f"{name}.root", some) for name, some in events.items()}
    tables = []
    for name, inputs in (("theirs", written[kind]), ("ours", ours)):
        output = make_features(make_manifest(inputs), tmp_path / name)
        table = pl.read_parquet(output.tensors / "*" / "*.parquet")
        tables.append(table.sort("dataset", "production", "event"))
        assert datasets_of(output.features_cutflow)["tautau"]["cutflow"][0]["entries"] == 3000
    assert len(tables[0]) > 3000
    assert tables[0].equals(tables[1])


def test_root_opens_ntuples_and_friends_that_we_write(tmp_path):
    columns = make_events(5, 2000)
    ntuple, friend = write_ntuple(tmp_path / "mine.root", columns), tmp_path / "friend.root"
    network, rng = untrained(), np.random.default_rng(4)
    cut = float(np.median(network.perceptron.logit(rng.uniform(*range_of(FEATURES), (1000, 4)))))
    done = predict(SavedNetwork(network.perceptron, ONE_WINDOW, cut, {}, {}), ntuple, friend, 700)
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


def test_root_opens_the_spectra(tmp_path):
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
        assert (kind, int(bins)) == ("TH1D", len(histogram.axes[0]))
        assert float(contents) == pytest.approx(histogram.sum(flow=True).value)
        assert float(variance) == pytest.approx(histogram.sum(flow=True).variance)
