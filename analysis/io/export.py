"""The network as ONNX, for basf2's MVA package, ROOT, or anything else that evaluates it.

The graph takes the unscaled features, an (n, F) tensor of floats called ``features``, and
gives the (n, 1) tensor ``output`` in (0, 1): scaling and sigmoid are inside. A second one,
``logit``, is the same before the sigmoid, which selections cut on: near 1 single precision does not
tell outputs apart. They agree with `Perceptron.logit` to better than 1e-6. The metadata are texts:
``features`` (names in order, separated by commas), ``cut`` (of the output), ``cut_logit`` (an event
is selected if its logit is at least that) and ``provenance`` (JSON).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.special import expit

from punzinet.analysis.io.files import write_whole
from punzinet.analysis.saved_network import SavedNetwork

if TYPE_CHECKING:
    from punzinet.analysis.types import FloatArray

OPSET, IR_VERSION = 13, 8
"""Versions old enough for the ONNX runtimes of software releases in use: of 2021."""


def write_onnx(saved: SavedNetwork, path: Path) -> None:
    """Write a network as ONNX, with its cut and its provenance."""
    features, low, high, layers = saved.network
    constants: dict[str, FloatArray] = {"scale_min": low, "scale_range": high - low}
    # In double precision inside: runtimes approximate tanh in single precision to about 1e-7,
    # which weights of order ten and two hidden layers turn into 1e-5 of the output.
    nodes = [
        helper.make_node("Cast", ["features"], ["precise"], to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["precise", "scale_min"], ["shifted"]),
        helper.make_node("Div", ["shifted", "scale_range"], ["scaled"]),
    ]
    last = "scaled"
    for depth, layer in enumerate(layers):
        weight, bias, linear = f"weight_{depth}", f"bias_{depth}", f"linear_{depth}"
        constants[weight], constants[bias] = layer
        nodes.append(helper.make_node("Gemm", [last, weight, bias], [linear], transB=1))
        is_output = depth == len(layers) - 1
        last = "probability" if is_output else f"activation_{depth}"
        nodes.append(helper.make_node("Sigmoid" if is_output else "Tanh", [linear], [last]))
    nodes.append(helper.make_node("Cast", [last], ["output"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("Cast", [linear], ["logit"], to=TensorProto.FLOAT))
    given, *gives = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["events", columns])
        for name, columns in (("features", len(features)), ("output", 1), ("logit", 1))
    )
    values = [numpy_helper.from_array(v.astype(np.float64), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "punzinet", [given], gives, values)
    of = {"opset_imports": [helper.make_opsetid("", OPSET)], "ir_version": IR_VERSION}
    model = helper.make_model(graph, producer_name="punzinet", **of)
    metadata = {"features": ",".join(features)}
    metadata["provenance"] = json.dumps(saved.provenance, sort_keys=True)
    if saved.cut is not None:
        metadata["cut"] = repr(float(expit(saved.cut)))
        metadata["cut_logit"] = repr(float(saved.cut))
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    write_whole(path, model.SerializeToString(deterministic=True))
