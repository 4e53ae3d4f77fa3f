"""The network: a small multilayer perceptron that carries its own input scaling."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors.torch
import torch

from punzinet.analysis.io.files import InputError, write_json, write_whole
from punzinet.analysis.io.output import digest
from punzinet.analysis.saved_network import (
    METADATA_FILE,
    WEIGHTS_FILE,
    WINDOW_COLUMNS,
    NetworkFile,
    Perceptron,
)
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows


class PunziNet(torch.nn.Module):
    """Fully connected network with tanh hidden layers and one sigmoid output.

    The inputs are given unscaled; the network maps the range of each feature to [0, 1] itself
    and continues linearly outside of it. The range is a buffer: it moves and is saved with the
    weights, but is not trained.
    """

    scale_min: torch.Tensor  # (F,) value of each feature that is mapped to 0
    scale_max: torch.Tensor  # and to 1

    def __init__(
        self,
        features: Sequence[str],
        scale_min: FloatArray | Sequence[float],
        scale_max: FloatArray | Sequence[float],
        hidden: Sequence[int] = (8, 4),
        rng: np.random.Generator | None = None,
    ) -> None:
        """Make a network whose weights and biases are uniform in ±1/√(inputs of the layer).

        Features are named in the order of the columns, `hidden` are widths of layers, and `rng` is
        seeded with 0 if not given. InputError if a feature has no finite range to be scaled by.
        """
        super().__init__()
        self.features = tuple(features)
        self.hidden = tuple(hidden)
        low = torch.as_tensor(np.asarray(scale_min), dtype=torch.float32)
        high = torch.as_tensor(np.asarray(scale_max), dtype=torch.float32)
        if low.shape != (len(features),) or high.shape != (len(features),):
            raise ValueError("the scaling needs one minimum and one maximum for every feature")
        for name, start, stop in zip(features, low.tolist(), high.tolist(), strict=True):
            if not (np.isfinite(start) and np.isfinite(stop) and start < stop):
                raise InputError(
                    f"Feature {name} ranges from {start:g} to {stop:g} in the training data, which "
                    "cannot be scaled to [0, 1]; give it a finite range, or leave it out."
                )
        self.register_buffer("scale_min", low)
        self.register_buffer("scale_max", high)
        rng = np.random.default_rng(0) if rng is None else rng
        layers: list[torch.nn.Module] = []
        for inputs, outputs in pairwise((len(features), *hidden, 1)):
            layer = torch.nn.Linear(inputs, outputs)
            for parameter in (layer.weight, layer.bias):
                values = rng.uniform(-(inputs**-0.5), inputs**-0.5, size=tuple(parameter.shape))
                parameter.data.copy_(torch.from_numpy(values))
            layers += [layer, torch.nn.Tanh()]
        self.layers = torch.nn.Sequential(*layers[:-1])  # Linear, Tanh, Linear, Tanh, …, Linear

    @property
    def linear_layers(self) -> tuple[torch.nn.Linear, ...]:
        """The layers that hold parameters, from input to output."""
        return tuple(layer for layer in self.layers if isinstance(layer, torch.nn.Linear))

    def logit(self, x: torch.Tensor) -> torch.Tensor:
        """Output before the sigmoid, (n,), of (n, F) unscaled features."""
        scaled = (x - self.scale_min) / (self.scale_max - self.scale_min)
        logit: torch.Tensor = self.layers(scaled)
        return logit.squeeze(-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Output ŷ in (0, 1), (n,), of (n, F) unscaled features."""
        return torch.sigmoid(self.logit(x))

    @classmethod
    def of(cls, perceptron: Perceptron) -> Self:
        """The network that computes the same, in single precision."""
        features, low, high, layers = perceptron
        network = cls(features, low, high, [len(bias) for _, bias in layers[:-1]])
        for layer, values in zip(network.linear_layers, layers, strict=True):
            for parameter, given in zip((layer.weight, layer.bias), values, strict=True):
                parameter.data.copy_(torch.from_numpy(given))
        return network

    @property
    def perceptron(self) -> Perceptron:
        """The network as it is, without torch."""
        low, high = (edge.double().cpu().numpy() for edge in (self.scale_min, self.scale_max))
        layers = [
            [values.detach().double().cpu().numpy() for values in (layer.weight, layer.bias)]
            for layer in self.linear_layers
        ]
        return Perceptron(self.features, low, high, layers)

    def save(
        self,
        folder: Path,
        windows: Windows,
        settings: Mapping[str, Any],
        provenance: Mapping[str, Any],
        cut: float | None = None,
    ) -> None:
        """Write the network and what belongs to it (`SavedNetwork`) in place of an earlier one."""
        state = {name: one.detach().cpu().contiguous() for name, one in self.state_dict().items()}
        weights = safetensors.torch.save(state)
        write_whole(folder / WEIGHTS_FILE, weights)
        scaling = zip(self.scale_min.tolist(), self.scale_max.tolist(), strict=True)
        content = NetworkFile(
            format="punzinet-network-1",
            weights_sha256=hashlib.sha256(weights).hexdigest(),
            features=list(self.features),
            hidden=list(self.hidden),
            scaling=dict(zip(self.features, scaling, strict=True)),
            windows={name: getattr(windows, name).tolist() for name in WINDOW_COLUMNS},
            search=windows.search,
            cut=cut,
            settings=dict(settings),
            provenance=dict(provenance),
        )
        described = content.model_dump(mode="json", exclude={"digest"})
        write_json(folder / METADATA_FILE, {**described, "digest": digest(described)})
