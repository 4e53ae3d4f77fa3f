import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from outputs import datasets_of, entries_of, read_tensors
from small_data import MASSES, make_manifest, make_signal, write_ntuple
from small_runs import make_features, save_network, untrained

from punzinet.analysis.folds import Folds
from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.histograms import (
    drawn_quantities,
    read_peaks,
    read_spectrum,
    read_templates,
)
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.network import PunziNet
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.saved_network import SavedNetwork
from punzinet.analysis.search import RECOIL, SearchSettings
from punzinet.analysis.windows import Windows
from punzinet.processors.datasets import describe_datasets
from punzinet.processors.executors import Execution
from punzinet.processors.preflight import preflight
from punzinet.processors.runs.selection import run_selection
from punzinet.processors.selection import SelectionProcessor

FOLDS = Folds(validation=4, test=3)  # the default ones
NETWORK = untrained(FEATURES[::-1])  # its inputs are in another order


def outputs_of(table):
    """Outputs of the network before the sigmoid."""
    return NETWORK.perceptron.logit(table[list(NETWORK.features)].to_numpy())


@pytest.fixture(scope="module")
def manifest(ntuples):
    return make_manifest(ntuples)


@pytest.fixture(scope="module")
def done(tmp_path_factory, manifest):
    """Tensors, a network, and its selection."""
    output = make_features(manifest, tmp_path_factory.mktemp("output"))
    # The cut lies on the output of one of the events, as an optimal cut always does.
    outputs = np.sort(outputs_of(read_tensors(output.tensors)))
    save_network(output, "punzi", float(outputs[len(outputs) // 2]), NETWORK)
    written = run_selection(manifest, output, Execution(), network="punzi")
    assert written[:2] == [output.histograms, output.selection_cutflow]
    return output


def test_selection_agrees_with_the_tensors(done):
    windows = Windows.read(done.windows)
    record = json.loads(done.selection_cutflow.read_text())
    assert [row["mass"] for row in record["hypotheses"]] == windows.mass.tolist()
    table = read_tensors(done.tensors)
    templates = read_templates(done.histograms)
    passed = pl.Series(outputs_of(table) >= record["provenance"]["settings"]["cut"])
    assert passed.sum() == len(table) - len(table) // 2
    # What judges stands for all of its process, or of the signal of its mass.
    alike = ["process", pl.when(pl.col("process") == "signal").then("window_start")]
    judging = pl.col("fold") == FOLDS.judging
    factor = pl.col("weight").sum() / pl.col("weight").filter(judging).sum()
    standing = table.with_columns(pl.col("weight") * factor.over(alike)).filter(passed, judging)
    for stage, events in (("before", table), ("after", standing)):
        for m, row in enumerate(record["hypotheses"]):
            inside = events.filter((pl.col("window_start") <= m) & (m < pl.col("window_stop")))
            for process in ("signal", "tautau", "eemumu"):
                expected = inside.filter(pl.col("process") == process)["weight"].sum()
                assert row[stage][process] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    inside = slice(-2j, 2j)
    for process in ("signal", "tautau", "eemumu"):  # in the templates, too, which reach beyond
        template = templates[process]
        expected = [row["after"][process] for row in record["hypotheses"]]
        assert template[:, inside].values().sum(axis=1) == pytest.approx(expected, rel=1e-9)
        assert (template.values().sum(axis=1) > expected).all()


def test_spectra_hold_every_usable_event_and_signal_peaks_at_its_mass(done):
    record = datasets_of(done.selection_cutflow).items()
    kept = {name: one["cutflow"][-1]["weight"] for name, one in record}
    everything = {"tautau": 7000 * 0.9 * 0.5, "eemumu": 3000 * 0.9 * 0.5, "signal": 0.9 * 6}
    for variable in drawn_quantities(RECOIL.variable).values():
        for stage, expected in (("before", everything), ("after", kept)):
            backgrounds, signals = read_spectrum(done.histograms, stage, variable)
            assert list(signals) == list(MASSES)
            of_mass = [signal.values(flow=True).sum() for signal in signals.values()]
            assert sum(of_mass) == pytest.approx(expected["signal"])
            assert stage == "after" or of_mass == pytest.approx([0.9] * 6)
            for process in ("tautau", "eemumu"):
                contents = backgrounds[process, :].values(flow=True).sum()
                assert contents == pytest.approx(expected[process])
    _, signals = read_spectrum(done.histograms, "before", RECOIL.variable.mass)
    peaks = [signal.axes[0].centers[signal.values().argmax()] for signal in signals.values()]
    assert peaks == pytest.approx(list(MASSES), abs=0.11)


def test_masses_that_agree_in_six_digits_have_spectra_of_their_own(ntuples, tmp_path):
    masses = (3.096916, 3.096919, 4.0)
    signal = make_signal(1, 300, masses)
    files = ntuples | {"signal": write_ntuple(tmp_path / "s.root", signal)}
    manifest = make_manifest(files, hypotheses={"masses": masses})
    output = make_features(manifest, tmp_path)
    save_network(output, "punzi", -100.0, NETWORK)
    run_selection(manifest, output, Execution(), network="punzi")
    _, signals = read_spectrum(output.histograms, "before", RECOIL.variable.mass)
    assert list(signals) == [*masses]
    assert [one.values().sum() for one in signals.values()] == pytest.approx([0.9 * 0.15] * 3)
    assert len(read_peaks(output.peaks)) == 3


def test_windows_are_those_of_the_events_and_not_of_the_network(done, manifest, tmp_path):
    """One that was trained in others may judge, such as on a second sample."""
    output, own = OutputFolder(tmp_path), Windows.read(done.windows)
    replace(own, sigma=2 * own.sigma).write(output.windows, {})
    cut = json.loads(done.selection_cutflow.read_text())["provenance"]["settings"]["cut"]
    save_network(output, "punzi", cut, NETWORK)
    shutil.copy(done.windows, output.windows)
    output.tensors.symlink_to(done.tensors)
    run_selection(manifest, output, Execution(), network="punzi")
    for mine, theirs in ((output.selection_cutflow, done.selection_cutflow),
                         (output.histograms, done.histograms)):  # fmt: skip
        assert mine.read_bytes() == theirs.read_bytes()


def test_the_cutflow_names_what_the_cut_drops(done):
    for dataset in datasets_of(done.selection_cutflow).values():
        lines = entries_of(dataset["cutflow"])
        below = lines["dropped: network output below the cut"]
        others = lines["dropped: trained the network or chose its cut"]
        assert min(below, others, lines["kept"]) > 0
        assert lines["kept"] == lines["entries read"] - below - others


def test_workers_need_no_torch(done, manifest):
    datasets = describe_datasets(manifest, preflight(manifest)[0]).values()
    saved = SavedNetwork(NETWORK.perceptron, Windows.read(done.windows), 0.0, {}, {})
    assert b"torch" not in pickle.dumps(SelectionProcessor(datasets, saved))


def test_a_network_of_another_search_is_refused(done, manifest):
    datasets = describe_datasets(manifest, preflight(manifest)[0]).values()
    windows = Windows.read(done.windows)
    stranger = PunziNet(("pt_mumu", "charm"), [0, 0], [1, 1])
    with pytest.raises(InputError, match="trained on pt_mumu, charm in windows of m2_recoil, but"):
        SelectionProcessor(datasets, SavedNetwork(stranger.perceptron, windows, 0.0, {}, {}))
    of_pairs = replace(windows, search=SearchSettings(variable="m_mumu").resolved)
    with pytest.raises(InputError, match=r"in windows of m_mumu, but .* the variable m2_recoil"):
        SelectionProcessor(datasets, SavedNetwork(NETWORK.perceptron, of_pairs, 0.0, {}, {}))
