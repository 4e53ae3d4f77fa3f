"""The network's function, its files, and what is refused of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import punzinet.analysis.network as module
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.network import METADATA_FILE, WEIGHTS_FILE, PunziNet, load_network
from punzinet.analysis.search import RECOIL, SearchSettings
from punzinet.analysis.windows import Windows

FEATURES = ("pt_thrust", "pt_mumin_mumax", "pl_mumin_mumax", "pt_mumu")
LOW, HIGH = [0.0, -1.0, -4.5, 0.25], [3.0, 2.0, 5.1, 4.75]
WINDOWS = Windows(
    mass=np.array([0.1, 0.2, 0.3]),
    sigma=np.array([0.23, 0.231, 0.2349]),
    training=np.array([True, False, True]),
    fitted=np.array([True, True, False]),
    fits=(None, None, None),
)


def network(seed=3, hidden=(8, 4)):
    return PunziNet(FEATURES, LOW, HIGH, hidden, rng=np.random.default_rng(seed))


def events(n=500, seed=1):
    return np.random.default_rng(seed).uniform(-5, 6, size=(n, 4)).astype(np.float32)


def test_the_default_is_4_8_4_1_with_81_parameters():
    assert sum(p.numel() for p in network().parameters()) == 81
    layers = "".join(type(layer).__name__ for layer in network().layers)
    assert layers == "LinearTanhLinearTanhLinear"


def test_the_output_is_the_formula():
    """ŷ = σ(w₃ tanh(W₂ tanh(W₁ x' + b₁) + b₂) + b₃) with x' scaled to [0, 1]."""
    net, x = network(), events()
    first, second, last = (
        (layer.weight.detach().numpy().astype(float), layer.bias.detach().numpy().astype(float))
        for layer in net.linear_layers
    )
    scaled = (x.astype(float) - LOW) / (np.array(HIGH) - LOW)
    logit = np.tanh(np.tanh(scaled @ first[0].T + first[1]) @ second[0].T + second[1])
    logit = (logit @ last[0].T + last[1])[:, 0]
    np.testing.assert_allclose(net.logit(torch.from_numpy(x)).detach(), logit, atol=2e-6)
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach(), 1 / (1 + np.exp(-logit)), 1e-5)
    np.testing.assert_allclose(net.logit_numpy(x), logit, atol=2e-6)


def test_scaling_maps_the_training_range_to_the_unit_interval():
    net = PunziNet(FEATURES, LOW, HIGH, hidden=())
    with torch.no_grad():
        net.linear_layers[0].weight.copy_(torch.tensor([[1.0, 10.0, 100.0, 1000.0]]))
        net.linear_layers[0].bias.zero_()
    middle = (np.array(LOW) + HIGH) / 2
    logit = net.logit_numpy(np.array([LOW, HIGH, middle], dtype=np.float32))
    np.testing.assert_allclose(logit, [0.0, 1111.0, 555.5], rtol=1e-5)


@pytest.mark.parametrize("hidden", [(), (3,), (8, 4), (16, 5, 7)])
def test_numpy_and_torch_agree_for_any_widths(hidden):
    net, x = network(hidden=hidden), events()
    expected = net.logit(torch.from_numpy(x)).detach().numpy()
    assert net.logit_numpy(x).dtype == np.float32
    np.testing.assert_allclose(net.logit_numpy(x), expected, atol=3e-6)


@pytest.mark.parametrize("size", [1, 7, 64, 333, 8193])
def test_numpy_outputs_do_not_depend_on_the_chunk_to_the_last_bit(size):
    net, x = network(), events(20_000)
    whole = net.logit_numpy(x)
    stop = min(len(x), 20 * size)
    parts = [net.logit_numpy(x[i : i + size]) for i in range(0, stop, size)]
    together = np.concatenate(parts)
    assert np.array_equal(together, whole[: len(together)])
    assert np.array_equal(net.logit_numpy(np.asfortranarray(x)), whole)


def test_nothing_in_nothing_out():
    assert network().logit_numpy(np.empty((0, 4), dtype=np.float32)).shape == (0,)


def test_initial_weights_come_from_the_generator_alone():
    torch.manual_seed(1)
    one = network(seed=5)
    torch.manual_seed(2)
    assert all(
        torch.equal(p, q) for p, q in zip(one.parameters(), network(5).parameters(), strict=True)
    )
    assert not torch.equal(one.linear_layers[0].weight, network(6).linear_layers[0].weight)
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


def save(folder, cut=-0.125):
    net = network()
    net.save(folder, WINDOWS, {"epochs": 3}, {"seed": 4}, cut=cut)
    return net


@pytest.mark.parametrize("cut", [-0.125, None])
def test_a_saved_network_comes_back_to_the_last_bit(tmp_path, cut):
    net = save(tmp_path / "punzi", cut)
    saved = load_network(tmp_path / "punzi")
    assert saved.network.features == FEATURES
    assert saved.network.hidden == (8, 4)
    assert np.array_equal(saved.network.logit_numpy(events()), net.logit_numpy(events()))
    for key, tensor in net.state_dict().items():
        assert torch.equal(saved.network.state_dict()[key], tensor)
    assert saved.cut == cut
    assert saved.settings == {"epochs": 3}
    assert saved.provenance == {"seed": 4}
    assert np.array_equal(saved.windows.low, WINDOWS.low)
    assert np.array_equal(saved.windows.training, WINDOWS.training)
    assert np.array_equal(saved.windows.fitted, WINDOWS.fitted)


def test_a_network_knows_its_search(tmp_path):
    search = SearchSettings(variable="m_mumu").resolved
    network().save(tmp_path / "punzi", replace(WINDOWS, search=search), {}, {})
    saved = load_network(tmp_path / "punzi")
    assert saved.windows.search == saved.search == search
    load_network(tmp_path / "punzi", search)
    for other in (RECOIL, replace(search, features=search.features[::-1])):
        with pytest.raises(InputError, match=r"but the tensors hold .* in windows of"):
            load_network(tmp_path / "punzi", other)


def test_a_network_of_an_earlier_version_is_of_the_search_of_the_paper(tmp_path):
    save(tmp_path / "punzi")
    path = tmp_path / "punzi" / METADATA_FILE
    content = json.loads(path.read_text())
    del content["search"]
    path.write_text(json.dumps(content))
    assert load_network(tmp_path / "punzi").search == RECOIL


def test_an_input_that_its_search_does_not_have_is_refused(tmp_path):
    search = SearchSettings(features=("pt_mumu",)).resolved
    network().save(tmp_path / "punzi", replace(WINDOWS, search=search), {}, {})
    with pytest.raises(InputError, match=r"takes pt_thrust, .* computed nowhere; .* has pt_mumu"):
        _ = load_network(tmp_path / "punzi").search


def test_saving_is_reproducible_and_leaves_nothing_else(tmp_path):
    save(tmp_path / "one")
    save(tmp_path / "two")
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == [METADATA_FILE, WEIGHTS_FILE]
    for name in (METADATA_FILE, WEIGHTS_FILE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("name", [METADATA_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(tmp_path, name):
    save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is not there; run `punzinet train`"):
        load_network(tmp_path)


def test_truncated_weights_and_those_of_another_network_are_refused(tmp_path):
    save(tmp_path)
    network(9).save(tmp_path / "other", WINDOWS, {}, {})
    weights = (tmp_path / WEIGHTS_FILE).read_bytes()
    other = (tmp_path / "other" / WEIGHTS_FILE).read_bytes()
    for wrong in (b"", weights[:5], weights[:100], weights[:-3], other):
        (tmp_path / WEIGHTS_FILE).write_bytes(wrong)
        with pytest.raises(InputError, match="is not the file that"):
            load_network(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("format", "onnx", r"\(format: "),
        ("hidden", [8], "whole network"),
        ("hidden", "8-4", r"\(hidden: "),
        ("scaling", {}, "whole network"),
        ("features", list(FEATURES[:3]), "whole network"),
        ("cut", "high", r"\(cut: "),
        ("extra", 1, r"\(extra: "),
    ],
)
def test_metadata_of_another_origin_is_refused(tmp_path, key, value, complaint):
    save(tmp_path)
    path = tmp_path / METADATA_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(InputError, match=complaint):
        load_network(tmp_path)
    for content in ("", "not JSON", "[1, 2]", "null"):
        path.write_text(content)
        with pytest.raises(InputError, match=METADATA_FILE):
            load_network(tmp_path)


def test_weights_that_are_no_safetensors_are_refused(tmp_path, monkeypatch):
    """Even with a matching digest: a pickle is never opened."""
    save(tmp_path)
    net = network()
    monkeypatch.setattr(module.safetensors.torch, "save", lambda _: b"\x80\x04pickle")
    net.save(tmp_path, WINDOWS, {}, {})
    with pytest.raises(InputError, match="does not hold a whole network"):
        load_network(tmp_path)
