"""The lines that README and documentation print for other people's training loops run."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.windows import Windows

ROOT = Path(__file__).parents[2]
MASSES = np.array([1.0, 2.0, 3.0])


def blocks(page: str, word: str) -> list[str]:
    """Python blocks of a page in which a word occurs."""
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return [block for block in found if word in block]


@pytest.fixture
def names() -> dict[str, object]:
    """What the lines take for granted: a network, its features and the columns of each event."""
    rng = np.random.default_rng(4)
    mass, sigma = torch.tensor(MASSES), np.full(3, 0.4)
    own = np.append(np.repeat(np.arange(3), 200), np.full(400, -1))
    value = np.where(
        own >= 0, MASSES[own] ** 2 + rng.normal(0, 0.3, 1000), rng.uniform(0, 10, 1000)
    )
    windows = {"lower": MASSES**2 - 2 * sigma, "upper": MASSES**2 + 2 * sigma, "np": np}
    found: dict[str, np.ndarray] = {}
    exec(blocks("docs/loss.md", "searchsorted")[0], windows | {"variable": value}, found)  # noqa: S102 - our own page
    every = np.ones(3, dtype=bool)
    expected = Windows(MASSES, sigma, every, ~every, (None,) * 3).assign(value)
    np.testing.assert_array_equal(found["start"], expected[0])
    np.testing.assert_array_equal(found["stop"], expected[1])
    inside = (found["start"] <= own) & (own < found["stop"])
    signal = own >= 0
    columns = {
        "weight": np.where(signal, 1 / 200, 2.0),
        "process": np.where(signal, SIGNAL, 0),
        "start": np.where(signal, own, found["start"]),
        "stop": np.where(signal, own + inside, found["stop"]),
    }
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Sigmoid())
    features = torch.rand(1000, 4)
    tensors = {name: torch.from_numpy(column) for name, column in columns.items()}
    parts = torch.arange(1000).split(250)
    batches = [torch.cat(parts[i::2]) for i in range(2)]
    return tensors | {
        "mass": mass, "network": network, "features": features, "x": features, "batches": batches
    }  # fmt: skip


@pytest.mark.parametrize("page", ["README.md", "docs/loss.md"])
def test_the_lines_train_somebody_elses_network(page: str, names: dict[str, object]) -> None:
    (lines,) = blocks(page, "PunziLoss.of_sample")
    exec(lines, names)  # noqa: S102 - our own page
    value, network = names["value"], names["network"]
    assert isinstance(value, torch.Tensor)
    assert isinstance(network, torch.nn.Module)
    gradients = [parameter.grad for parameter in network.parameters()]
    assert value.shape == ()
    assert all(g is not None and torch.isfinite(g).all() and (g != 0).any() for g in gradients)
