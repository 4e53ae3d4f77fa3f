"""The network's function, its files, and what is refused of them."""

import hashlib
import json
from dataclasses import replace
from operator import itemgetter

import numpy as np
import pytest
import torch
from small_data import windows_of

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.output import digest
from punzinet.analysis.network import PunziNet
from punzinet.analysis.saved_network import METADATA_FILE, WEIGHTS_FILE, load_network
from punzinet.analysis.search import RECOIL, SearchSettings

FEATURES = ("pt_thrust", "pt_mumin_mumax", "pl_mumin_mumax", "pt_mumu")
LOW, HIGH = [0.0, -1.0, -4.5, 0.25], [3.0, 2.0, 5.1, 4.75]
WINDOWS = replace(
    windows_of([0.1, 0.2, 0.3], [0.23, 0.231, 0.2349], [True, False, True]),
    fitted=np.array([True, True, False]),
)


def network(seed=3, hidden=(8, 4)):
    return PunziNet(FEATURES, LOW, HIGH, hidden, rng=np.random.default_rng(seed))


def events(n=500, seed=1):
    return np.random.default_rng(seed).uniform(-5, 6, size=(n, 4)).astype(np.float32)


@pytest.mark.parametrize("n", [0, 500])
@pytest.mark.parametrize(("hidden", "size"), [((), 5), ((3,), 19), ((8, 4), 81), ((16, 5, 7), 215)])
def test_the_output_is_the_formula(hidden, size, n):
    """ŷ = σ(w₃ tanh(W₂ tanh(W₁ x' + b₁) + b₂) + b₃) with x' scaled to [0, 1], for any widths."""
    net, x = network(hidden=hidden), events(n)
    assert sum(p.numel() for p in net.parameters()) == size
    row = (x.astype(float) - LOW) / (np.array(HIGH) - LOW)
    for layer in net.linear_layers:
        weight, bias = (p.detach().numpy().astype(float) for p in (layer.weight, layer.bias))
        logit = row @ weight.T + bias
        row = np.tanh(logit)
    by_torch, output = (f(torch.from_numpy(x)).detach() for f in (net.logit, net))
    np.testing.assert_allclose(output, 1 / (1 + np.exp(-logit[:, 0])), 1e-5)
    for found in (by_torch, net.perceptron.logit(x)):
        np.testing.assert_allclose(found, logit[:, 0], atol=2e-6)
    assert net.perceptron.logit(x).dtype == np.float32


@pytest.mark.parametrize("size", [1, 7, 64, 333, 8193])
def test_numpy_outputs_do_not_depend_on_the_chunk_to_the_last_bit(size):
    net, x = network(), events(20_000)
    whole = net.perceptron.logit(x)
    parts = [net.perceptron.logit(x[i : i + size]) for i in range(0, min(len(x), 20 * size), size)]
    assert np.array_equal(np.concatenate(parts), whole[: sum(map(len, parts))])
    assert np.array_equal(net.perceptron.logit(np.asfortranarray(x)), whole)


def test_initial_weights_come_from_the_generator_alone():
    drawn = []
    for seed in (5, 5, 6):
        torch.manual_seed(len(drawn))
        drawn.append(torch.nn.utils.parameters_to_vector(network(seed).parameters()))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    values = network(hidden=(4000,)).linear_layers[0].weight.detach().numpy()
    assert np.abs(values).max() <= 0.5  # one over the root of four inputs
    assert np.mean(values) == pytest.approx(0.0, abs=0.01)
    assert np.var(values) == pytest.approx(1 / 12, rel=0.05)


@pytest.mark.parametrize("bad", [1.0, np.nan, np.inf])
def test_a_scaling_that_is_none_is_refused(bad):
    with pytest.raises(InputError, match="pt_mumu ranges from"):
        PunziNet(FEATURES, [0, 0, 0, 1.0], [1, 1, 1, bad])
    with pytest.raises(ValueError, match="one minimum and one maximum"):
        PunziNet(FEATURES, [0.0], [1.0])


@pytest.mark.parametrize("shape", [(4, 500), (500, 3), (500, 5), (4,)])
def test_events_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"network takes \(n, 4\): pt_thrust"):
        network().perceptron.logit(np.zeros(shape))


def save(folder, cut=-0.125):
    net = network()
    net.save(folder, WINDOWS, {"epochs": 3}, {"seed": 4}, cut=cut)
    return net


@pytest.mark.parametrize("cut", [-0.125, None])
def test_a_saved_network_comes_back_to_the_last_bit(tmp_path, cut):
    net, _ = (save(tmp_path / name, cut) for name in ("punzi", "again"))
    assert sorted(p.name for p in (tmp_path / "punzi").iterdir()) == [METADATA_FILE, WEIGHTS_FILE]
    for name in (METADATA_FILE, WEIGHTS_FILE):
        assert (tmp_path / "punzi" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    saved = load_network(str(tmp_path / "punzi"))
    again = PunziNet.of(saved.network)
    assert (again.features, again.hidden) == (FEATURES, (8, 4))
    assert np.array_equal(saved.network.logit(events()), net.perceptron.logit(events()))
    for key, tensor in net.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor)
    assert (saved.cut, saved.settings, saved.provenance) == (cut, {"epochs": 3}, {"seed": 4})
    for name in ("low", "training", "fitted"):
        assert np.array_equal(getattr(saved.windows, name), getattr(WINDOWS, name))


def test_a_network_knows_its_search(tmp_path):
    search = SearchSettings(variable="m_mumu").resolved
    network().save(tmp_path / "punzi", replace(WINDOWS, search=search), {}, {})
    saved = load_network(tmp_path / "punzi")
    assert saved.windows.search == saved.search == search
    load_network(tmp_path / "punzi", search)
    for other in (RECOIL, replace(search, features=search.features[::-1])):
        with pytest.raises(InputError, match=r"but the tensors hold .* in windows of"):
            load_network(tmp_path / "punzi", other)
    alone = replace(search, features=search.features[-1:])
    network().save(tmp_path / "punzi", replace(WINDOWS, search=alone), {}, {})
    with pytest.raises(InputError, match=r"takes pt_thrust, .* computed nowhere; .* has pt_mumu"):
        _ = load_network(tmp_path / "punzi").search


def changed(**changes):
    def change(content):
        described = json.loads(content) | changes
        described["digest"] = digest({k: v for k, v in described.items() if k != "digest"})
        return json.dumps(described).encode()

    return change


def test_weights_of_another_network_or_a_pickle_are_refused(tmp_path):
    """Even with a matching digest: a pickle is never opened."""
    save(tmp_path)
    network(9).save(tmp_path / "other", WINDOWS, {}, {})
    (tmp_path / WEIGHTS_FILE).write_bytes((tmp_path / "other" / WEIGHTS_FILE).read_bytes())
    with pytest.raises(InputError, match="is not the file that"):
        load_network(tmp_path)
    pickled, metadata = b"\x80\x04pickle", tmp_path / METADATA_FILE
    (tmp_path / WEIGHTS_FILE).write_bytes(pickled)
    matching = hashlib.sha256(pickled).hexdigest()
    metadata.write_bytes(changed(weights_sha256=matching)(metadata.read_bytes()))
    with pytest.raises(InputError, match="does not hold a whole network"):
        load_network(tmp_path)


@pytest.mark.parametrize(
    ("name", "damage", "complaint"),
    [
        (METADATA_FILE, None, "network.json is not there; run `punzinet train`"),
        (WEIGHTS_FILE, None, "network.safetensors is not there; run `punzinet train`"),
        (WEIGHTS_FILE, itemgetter(slice(-3)), "is not the file that"),
        *((METADATA_FILE, lambda _, b=b: b, METADATA_FILE) for b in (b"", b"[1]")),
        (METADATA_FILE, changed(format="onnx"), r"\(format: "),
        (METADATA_FILE, changed(hidden=[8]), "whole network"),
        (METADATA_FILE, changed(hidden="8-4"), r"\(hidden: "),
        (METADATA_FILE, changed(scaling={}), "whole network"),
        (METADATA_FILE, changed(features=list(FEATURES[:3])), "whole network"),
        (METADATA_FILE, changed(cut="high"), r"\(cut: "),
        (METADATA_FILE, changed(extra=1), r"\(extra: "),
        (METADATA_FILE, lambda content: content.replace(b"0.125", b"0.126"), "was changed"),
    ],
)
def test_files_that_hold_no_network_are_refused(tmp_path, name, damage, complaint):
    save(tmp_path)
    path = tmp_path / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=complaint):
        load_network(tmp_path)
