"""The generator as an ONNX model, written layer by layer: what outside runtimes are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from implementations.tts.vocoder.shapes import Shape

if TYPE_CHECKING:
    import onnx

    from implementations.tts.vocoder.hifigan import Weights

OPSET = 17


@dataclass
class _Graph:
    """Nodes and constants, as they are added."""

    weights: Weights
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node; the name of its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def convolution(self, layer: str, values: str, *, slope: float = 0.1, operator: str = "Conv", **attributes: Any) -> str:
        """A leaky ReLU, where it has a slope, and the layer."""
        names = [f"{layer}.weight", f"{layer}.bias"]
        self.constants.update((name, self.weights[name]) for name in names)
        if slope:
            values = self.add("LeakyRelu", [values], f"{layer}.in", alpha=slope)
        return self.add(operator, [values, *names], layer, **attributes)


def export(shape: Shape, weights: Weights) -> onnx.ModelProto:
    """Input: mel (1, mels, frames) float32; output: wave (1, 1, frames * hop) float32; any number of frames."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = _Graph(weights)
    values = graph.convolution("conv_pre", "mel", slope=0.0, pads=[3, 3])
    for i, stage in enumerate(shape.stages):
        padding = (stage.kernel - stage.rate) // 2
        values = graph.convolution(f"ups.{i}", values, operator="ConvTranspose", strides=[stage.rate], pads=[padding, padding])
        total = ""
        for j in range(len(shape.block_kernels)):
            found = _block(graph, shape, i, j, values)
            total = graph.add("Add", [total, found], f"stage.{i}.sum.{j}") if total else found
        graph.constants["blocks"] = np.array(len(shape.block_kernels), np.float32)
        values = graph.add("Div", [total, "blocks"], f"stage.{i}")
    graph.add("Tanh", [graph.convolution("conv_post", values, slope=0.01, pads=[3, 3])], "wave")
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "hifigan",
            [helper.make_tensor_value_info("mel", TensorProto.FLOAT, [1, shape.mels, "frames"])],
            [helper.make_tensor_value_info("wave", TensorProto.FLOAT, [1, 1, "samples"])],
            [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=min(onnx.IR_VERSION, 10),  # runtimes lag behind the format
    )


def _block(graph: _Graph, shape: Shape, i: int, j: int, values: str) -> str:
    kernel, block = shape.block_kernels[j], f"resblocks.{i * len(shape.block_kernels) + j}"
    for k, dilation in enumerate(shape.block_dilations[j]):
        wide, plain = (kernel - 1) * dilation // 2, (kernel - 1) // 2
        first = f"{block}.convs1.{k}" if shape.resblock == 1 else f"{block}.convs.{k}"
        found = graph.convolution(first, values, dilations=[dilation], pads=[wide, wide])
        if shape.resblock == 1:
            found = graph.convolution(f"{block}.convs2.{k}", found, pads=[plain, plain])
        values = graph.add("Add", [values, found], f"{block}.{k}")
    return values
