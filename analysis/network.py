"""The network: a small multilayer perceptron that carries its own input scaling.

A saved network is a folder with two files: the weights in ``network.safetensors``, which can
be read but never run, and everything a person or a later stage wants to know about them in
``network.json``, which names the weights, and the rest of itself, by their digests.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
from pydantic import ConfigDict, ValidationError
from safetensors import SafetensorError

from punzinet.analysis.io.files import InputError, atomic_path, read_json, reason, write_json
from punzinet.analysis.io.output import digest
from punzinet.analysis.manifest.sections import Section
from punzinet.analysis.perceptron import Perceptron
from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows

WEIGHTS_FILE = "network.safetensors"
METADATA_FILE = "network.json"
_WINDOW_COLUMNS = ("mass", "sigma", "training", "fitted")


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

    def logit_numpy(self, x: FloatArray) -> FloatArray:
        """Output before the sigmoid, (n,) float32, see `Perceptron.logit`."""
        return self.perceptron.logit(x)

    @property
    def perceptron(self) -> Perceptron:
        """The network as it is, without torch."""
        low, high = (edge.double().cpu().numpy() for edge in (self.scale_min, self.scale_max))
        layers = [
            [values.detach().double().cpu().numpy() for values in (layer.weight, layer.bias)]
            for layer in self.linear_layers
        ]
        return Perceptron(low, high, layers)

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
        with atomic_path(folder / WEIGHTS_FILE) as partial:
            partial.write_bytes(weights)
        scaling = zip(self.scale_min.tolist(), self.scale_max.tolist(), strict=True)
        content = _NetworkFile(
            format="punzinet-network-1",
            weights_sha256=hashlib.sha256(weights).hexdigest(),
            features=list(self.features),
            hidden=list(self.hidden),
            scaling=dict(zip(self.features, scaling, strict=True)),
            windows={name: getattr(windows, name).tolist() for name in _WINDOW_COLUMNS},
            search=windows.search,
            cut=cut,
            settings=dict(settings),
            provenance=dict(provenance),
        )
        described = content.model_dump(mode="json", exclude={"digest"})
        write_json(folder / METADATA_FILE, {**described, "digest": digest(described)})


class _NetworkFile(Section):
    """The schema of ``network.json``."""

    model_config = ConfigDict(allow_inf_nan=False)

    format: Literal["punzinet-network-1"]
    weights_sha256: str
    features: list[str]
    hidden: list[int]
    scaling: dict[str, tuple[float, float]]
    windows: dict[str, list[bool] | list[float]]
    search: Search
    cut: float | None
    settings: dict[str, Any]
    provenance: dict[str, Any]
    digest: str = ""  # of everything above


@dataclass(frozen=True, eq=False)
class SavedNetwork:
    """A network as read back, with what was saved beside it."""

    network: PunziNet
    windows: Windows  # it was trained with, without the fits behind them
    cut: float | None  # on the logit: the selection for every mass, None if there is none
    settings: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def search(self) -> Search:
        """The search that it was trained for, features in the order of the inputs."""
        of = {feature.name: feature for feature in self.windows.search.features}
        unknown = [name for name in self.network.features if name not in of]
        if unknown:
            raise InputError(
                f"The network takes {', '.join(unknown)}, which is computed nowhere; its search "
                f"has {', '.join(of)}."
            )
        return replace(self.windows.search, features=tuple(of[n] for n in self.network.features))

    @property
    def single_cut(self) -> float:
        """The cut; InputError if there is none."""
        if self.cut is None:
            raise InputError(
                "The network has no cut to select by; run `punzinet train` to its end first."
            )
        return self.cut


def load_network(folder: Path, search: Search | None = None) -> SavedNetwork:
    """Read a network that `PunziNet.save` wrote.

    `search` is what the events are made for that it is going to judge, if that is known already.
    InputError if a file is missing, damaged, of another origin, the two do not belong together, or
    the network is of another search.
    """
    path, described = folder / WEIGHTS_FILE, folder / METADATA_FILE
    content = read_json(described, "punzinet train")
    try:
        metadata = _NetworkFile.model_validate(content)
        found = digest({key: value for key, value in content.items() if key != "digest"})
        if metadata.digest != found:
            raise InputError(f"{described} was changed; run `punzinet train` again.")
        weights = path.read_bytes()
        if hashlib.sha256(weights).hexdigest() != metadata.weights_sha256:
            raise InputError(
                f"{path} is not the file that {METADATA_FILE} beside it describes; run "
                "`punzinet train` again."
            )
        low, high = zip(*(metadata.scaling[name] for name in metadata.features), strict=True)
        network = PunziNet(metadata.features, low, high, metadata.hidden)
        network.load_state_dict(safetensors.torch.load(weights))
        mass, sigma, training, fitted = (np.array(metadata.windows[n]) for n in _WINDOW_COLUMNS)
        of = metadata.search
        windows = Windows(mass, sigma, training, fitted, (None,) * len(mass), of)
    except FileNotFoundError:
        raise InputError(f"{path} is not there; run `punzinet train` first.") from None
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
        problem = f"{folder} does not hold a whole network ({error})"
        if isinstance(error, ValidationError):
            problem = f"{described} is not a network of this software ({reason(error)})"
        raise InputError(f"{problem}; run `punzinet train` again.") from error
    if search is not None:
        trained = f"{', '.join(network.features)} in windows of {of.variable.name}"
        given = f"{', '.join(search.feature_names)} in windows of {search.variable.name}"
        if trained != given:
            raise InputError(
                f"The network in {folder} was trained on {trained}, but the tensors hold {given}; "
                "run `punzinet train` again."
            )
    return SavedNetwork(network, windows, metadata.cut, metadata.settings, metadata.provenance)
