"""A saved network, read and evaluated without torch, which takes a second to import.

It is a folder with two files: the weights in ``network.safetensors``, which can be read but never
run, and everything a person or a later stage wants to know about them in ``network.json``, which
names the weights, and the rest of itself, by their digests.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import safetensors.numpy
from pydantic import ConfigDict, ValidationError
from safetensors import SafetensorError

from punzinet.analysis.io.files import InputError, read_json, reason
from punzinet.analysis.io.output import digest
from punzinet.analysis.manifest.sections import Section
from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows

WEIGHTS_FILE = "network.safetensors"
METADATA_FILE = "network.json"
WINDOW_COLUMNS = ("mass", "sigma", "training", "fitted")
_BLOCK = 8192  # events that are evaluated together: all activations of a layer fit into the cache


class Perceptron(NamedTuple):
    """Scaled inputs, tanh layers, and one output before the sigmoid; everything float64."""

    features: tuple[str, ...]  # F names, in the order of the inputs
    low: FloatArray  # (F,) value of each feature that is mapped to 0
    high: FloatArray  # and to 1
    layers: Sequence[Sequence[FloatArray]]  # weights (outputs, inputs) and biases (outputs,) each

    def logit(self, x: FloatArray) -> FloatArray:
        """Output before the sigmoid, (n,) float32, of (n, F) unscaled features.

        Element-wise operations, unlike a matrix product, give the same to the last bit for any
        chunking, so that a cut placed on one event's output holds everywhere. In single precision,
        weights of order ten would turn the rounding of the first layer into 1e-5 of the output, and
        other programs, which evaluate an exported network, would not agree. ValueError for events
        of another shape.
        """
        if np.shape(x)[1:] != (len(self.features),):
            raise ValueError(
                f"the events have the shape {np.shape(x)}, but the network takes (n, "
                f"{len(self.features)}): {', '.join(self.features)}"
            )
        scale = self.high - self.low
        logit = np.empty(len(x), dtype=np.float32)
        for start in range(0, len(x), _BLOCK):
            block = np.asarray(x[start : start + _BLOCK], dtype=np.float32).T.astype(np.float64)
            units = [(block[i] - self.low[i]) / scale[i] for i in range(len(scale))]
            for depth, (weight, bias) in enumerate(self.layers):
                if depth > 0:
                    units = [np.tanh(unit) for unit in units]
                units = [_affine(units, weight[row], bias[row]) for row in range(len(bias))]
            logit[start : start + _BLOCK] = units[0]
        return logit


def _affine(units: Sequence[FloatArray], weight: FloatArray, bias: np.float64) -> FloatArray:
    """One neuron's input, always added in the same order."""
    total: FloatArray = units[0] * weight[0]
    for unit, factor in zip(units[1:], weight[1:], strict=True):
        total += unit * factor
    total += bias
    return total


class NetworkFile(Section):
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

    network: Perceptron
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


def load_network(folder: Path | str, search: Search | None = None) -> SavedNetwork:
    """Read a network that `PunziNet.save` wrote, without torch.

    `search` is what the events are made for that it is going to judge, if that is known already.
    InputError if a file is missing, damaged, of another origin, the two do not belong together, or
    the network is of another search.
    """
    path, described = Path(folder, WEIGHTS_FILE), Path(folder, METADATA_FILE)
    content = read_json(described, "punzinet train")
    try:
        metadata = NetworkFile.model_validate(content)
        found = digest({key: value for key, value in content.items() if key != "digest"})
        if metadata.digest != found:
            raise InputError(f"{described} was changed; run `punzinet train` again.")
        weights = path.read_bytes()
        if hashlib.sha256(weights).hexdigest() != metadata.weights_sha256:
            raise InputError(
                f"{path} is not the file that {METADATA_FILE} beside it describes; run "
                "`punzinet train` again."
            )
        network = _perceptron(metadata, safetensors.numpy.load(weights))
        mass, sigma, training, fitted = (np.array(metadata.windows[n]) for n in WINDOW_COLUMNS)
        of = metadata.search
        windows = Windows(mass, sigma, training, fitted, (None,) * len(mass), of)
    except FileNotFoundError:
        raise InputError(f"{path} is not there; run `punzinet train` first.") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
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


def _perceptron(metadata: NetworkFile, state: dict[str, FloatArray]) -> Perceptron:
    """The network of a file's tensors; KeyError or ValueError if they are others than it says."""
    exact = {name: values.astype(np.float64) for name, values in state.items()}
    low, high = exact.pop("scale_min"), exact.pop("scale_max")
    layers = []
    for depth, (inputs, outputs) in enumerate(pairwise((len(low), *metadata.hidden, 1))):
        layer = [exact.pop(f"layers.{2 * depth}.{kind}") for kind in ("weight", "bias")]
        if [values.shape for values in layer] != [(outputs, inputs), (outputs,)]:
            raise ValueError(f"{WEIGHTS_FILE} has other layers")
        layers.append(layer)
    scaling = [metadata.scaling[name] for name in metadata.features]
    if exact or not np.array_equal(np.column_stack([low, high]), scaling):
        raise ValueError(f"{WEIGHTS_FILE} has other tensors")
    return Perceptron(tuple(metadata.features), low, high, layers)
