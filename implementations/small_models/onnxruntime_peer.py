"""The peer: onnxruntime, on the same models written as ONNX graphs, in float32 and dynamically quantized to int8."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Requires
from implementations.small_models.checkpoints import Served
from implementations.small_models.models import LSTM, Dense
from implementations.small_models.serving import Compute, implementations

if TYPE_CHECKING:
    import onnx

    from harness.settings import Settings

OPSET = 17
ONNX_GATES = (0, 3, 1, 2)
"""ONNX has i, o, f, c where torch has i, f, c, o."""


@dataclass
class _Graph:
    """Nodes and constants, as they are added."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node; the name of its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def export(served: Mapping[str, Served]) -> onnx.ModelProto:
    """One model, or the chain of all five, as an ONNX model.

    Inputs: features (frames, inputs) float32, and leading (2,) int64: (frames, 1) for one sequence, (1, frames) for single steps.
    Outputs: (frames, outputs) float32 by the model's name.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph()
    if len(served) == 1:
        inputs = dict.fromkeys(served, "features")
    else:
        first, half = graph.constant("first", np.array([0])), graph.constant("half", np.array([32]))
        axis, most = graph.constant("axis", np.array([1])), graph.constant("most", np.array([64]))
        inputs = dict.fromkeys(served, "emotion_recognizer") | {"emotion_recognizer": "features"}
        inputs |= {"harmony_predictor": "both", "dynamics_engine": "mood"}
    for name, one in served.items():
        _model(graph, name, one, inputs[name])
        if len(served) > 1 and name == "emotion_recognizer":
            graph.add("Slice", [name, first, half, axis], "mood")
            graph.add("Concat", [name, graph.add("Slice", ["features", first, most, axis], "audio")], "both", axis=1)
    columns = next(iter(served.values()))[0].inputs
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "small_models",
            [
                helper.make_tensor_value_info("features", TensorProto.FLOAT, ["frames", columns]),
                helper.make_tensor_value_info("leading", TensorProto.INT64, [2]),
            ],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["frames", model.outputs]) for name, (model, _) in served.items()],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=min(onnx.IR_VERSION, 10),  # runtimes lag behind the format
    )


def _model(graph: _Graph, name: str, served: Served, values: str) -> None:
    model, weights = served
    for number, layer in enumerate(model.layers):
        place = f"{name}.{number}"
        own = {key.partition(".")[2]: array for key, array in weights.items() if key.partition(".")[0] == str(number)}
        last = name if number == len(model.layers) - 1 else f"{place}.out"
        if isinstance(layer, Dense):
            kernel, bias = graph.constant(f"{place}.weight", own["weight"].T), graph.constant(f"{place}.bias", own["bias"])
            total = graph.add("Add", [graph.add("MatMul", [values, kernel], f"{place}.product"), bias], f"{place}.sum")
            more = {"axis": 1} if layer.activation == "softmax" else {}
            values = graph.add(layer.activation.capitalize(), [total], last, **more)
        else:
            values = graph.add("Reshape", [_lstm(graph, place, layer, own, values), f"{place}.flat"], last)


def _lstm(graph: _Graph, place: str, layer: LSTM, own: Mapping[str, np.ndarray], values: str) -> str:
    """The name of its states, (sequence, 1, batch, outputs)."""

    def gates(array: np.ndarray) -> np.ndarray:
        return np.concatenate([np.split(array, 4)[gate] for gate in ONNX_GATES])

    kernel = graph.constant(f"{place}.W", gates(own["weight_ih"])[None])
    recurrent = graph.constant(f"{place}.R", gates(own["weight_hh"])[None])
    bias = graph.constant(f"{place}.B", np.concatenate([gates(own["bias_ih"]), gates(own["bias_hh"])])[None])
    columns = graph.constant(f"{place}.columns", np.array([layer.inputs]))
    shape = graph.add("Concat", ["leading", columns], f"{place}.shape", axis=0)
    steps = graph.add("Reshape", [values, shape], f"{place}.steps")
    graph.constant(f"{place}.flat", np.array([-1, layer.outputs]))
    return graph.add("LSTM", [steps, kernel, recurrent, bias], f"{place}.states", hidden_size=layer.outputs)


def quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with int8 weights, a scale per output, and activations quantized as they come."""
    import logging

    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it asks for a preparation that only models with unknown shapes need
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantize_dynamic(model, path, weight_type=QuantType.QInt8, per_channel=True)
            return onnx.load(path)
    finally:
        root.setLevel(level)


@contextmanager
def _open(served: Mapping[str, Served], settings: Settings) -> Iterator[tuple[Compute, int]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = settings.threads or 1, 1
    model = export(served)
    if settings.precision == "int8":
        model = quantized(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = list(served)

    def compute(features: np.ndarray, stateful: bool) -> Mapping[str, np.ndarray]:
        frames = len(features)
        if not frames:
            return {name: np.empty((0, model.outputs), np.float32) for name, (model, _) in served.items()}
        leading = np.array((frames, 1) if stateful else (1, frames), np.int64)
        return dict(zip(names, session.run(names, {"features": features, "leading": leading}), strict=True))

    yield compute, sum(len(constant.raw_data) for constant in model.graph.initializer)


(
    EMOTION,
    MELODY,
    HARMONY,
    DYNAMICS,
    GROOVE,
    CHAIN,
) = implementations(
    "onnxruntime",
    "peer",
    _open,
    precisions=("int8",),
    settings=("batch", "threads"),
    requires=Requires(packages=("onnxruntime", "onnx")),
    description="onnxruntime on the CPU; int8 by its dynamic quantization",
)
