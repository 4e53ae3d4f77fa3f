import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from scipy.special import expit
from small_data import windows_of

from punzinet.analysis.io.export import write_onnx
from punzinet.analysis.network import PunziNet
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.saved_network import SavedNetwork

LOW, HIGH = [0.01, -0.3, -5.0, 0.02], [5.2, 4.9, 5.3, 4.8]


def saved_network(cut, seed=3):
    """A network with weights as large as training makes them."""
    network = PunziNet(FEATURES, LOW, HIGH, rng=np.random.default_rng(seed))
    for layer in network.linear_layers:
        layer.weight.data *= 12
        layer.bias.data *= 12
    # About half of the events on either side.
    events = np.random.default_rng(1).uniform(LOW, HIGH, (1000, 4))
    network.linear_layers[-1].bias.data -= float(np.median(network.perceptron.logit(events)))
    provenance = {"git_commit": "abc", "seed": seed}
    return SavedNetwork(network.perceptron, windows_of([1.0], [0.3]), cut, {}, provenance)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    write_onnx(saved_network(0.4), path)
    return path


def metadata_of(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_onnxruntime_agrees_to_1e_6_over_a_million_events(exported):
    """Up to a tenth beyond the training range to either side."""
    network, tenth = saved_network(0.4).network, 0.1 * (np.array(HIGH) - LOW)
    events = np.random.default_rng(0).uniform(LOW - tenth, HIGH + tenth, (1_000_000, 4))
    events = events.astype(np.float32)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    (output,) = session.run(["output"], {"features": events})
    assert output.shape == (len(events), 1)
    # What selections cut on, and the same by torch.
    logit = network.logit(events)
    with torch.no_grad():
        by_torch = PunziNet.of(network).double()(torch.from_numpy(events).double()).numpy()
    for ours in (expit(logit.astype(np.float64)), by_torch):
        assert ours.min() < 0.1
        assert ours.max() > 0.9
        assert np.abs(output[:, 0] - ours).max() < 1e-6
    # Only an event within the rounding of the output in single precision may be selected otherwise.
    differing = (output[:, 0] >= float(metadata_of(exported)["cut"])) != (logit >= 0.4)
    assert differing.sum() < 5
    assert np.abs(logit[differing] - 0.4).max(initial=0) < 1e-6


def test_the_logit_selects_where_outputs_are_all_one_in_single_precision(tmp_path):
    saved = saved_network(20.0)
    saved.network.layers[-1][1][:] += 20
    write_onnx(saved, tmp_path / "network.onnx")
    events = np.random.default_rng(0).uniform(LOW, HIGH, (10_000, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    output, logit = (one[:, 0] for one in session.run(["output", "logit"], {"features": events}))
    selected = saved.network.logit(events) >= 20
    assert 0.1 < selected.mean() < 0.9
    assert (output >= float(metadata_of(tmp_path / "network.onnx")["cut"])).sum() > selected.sum()
    assert ((logit >= 20) != selected).sum() < 5


def test_metadata_says_how_to_use_it(exported, tmp_path):
    graph, metadata = onnx.load(exported).graph, metadata_of(exported)
    assert metadata["features"].split(",") == list(FEATURES)
    assert float(metadata["cut"]) == pytest.approx(1 / (1 + np.exp(-0.4)), rel=1e-15)
    assert float(metadata["cut_logit"]) == 0.4
    assert json.loads(metadata["provenance"]) == {"git_commit": "abc", "seed": 3}
    assert [entry.name for entry in (*graph.input, *graph.output)] == [
        "features",
        "output",
        "logit",
    ]
    write_onnx(saved_network(0.4), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()
    write_onnx(saved_network(None), tmp_path / "no_cut.onnx")
    assert metadata_of(tmp_path / "no_cut.onnx").keys() == {"features", "provenance"}
