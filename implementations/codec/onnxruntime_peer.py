"""The peer: onnxruntime, on the estimator written as an ONNX graph with the operators that transformers have had since opset 23.

It gets what the optimized rows get: everything around the estimator is computed as they compute it, in PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Requires
from implementations._torch import threads
from implementations.codec.serving import Kernels, Model, implementations

if TYPE_CHECKING:
    import onnx
    import torch

    from harness.settings import Settings
    from implementations.codec.estimator import AdaLNSingle, Block, Estimator, Projection
    from implementations.codec.model import HeartCodec

OPSET = 23
INPUTS = ("x", "waves", "cos", "sin", "cos_2", "sin_2")


@dataclass
class _Graph:
    """Nodes and constants, as they are added."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; the name of its output, or a list of several."""
        from onnx import helper

        names = [f"{operator}_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(values)), name))
        return name

    def linear(self, layer: Any, x: str) -> str:
        weight, bias = layer.weight.T, getattr(layer, "bias", None)
        product: str = self.add("MatMul", x, self.constant(weight))
        return product if bias is None else self.sum(product, self.constant(bias))

    def sum(self, left: str, right: str) -> str:
        found: str = self.add("Add", left, right)
        return found

    def product(self, left: str, right: str) -> str:
        found: str = self.add("Mul", left, right)
        return found

    def silu(self, x: str) -> str:
        return self.product(x, self.add("Sigmoid", x))


def export(estimator: Estimator) -> onnx.ModelProto:
    """The estimator as an ONNX model. Inputs: x (b, t, in_channels), waves (1, 512) of the time, cosines and sines (b, t, head_dim / 2) of
    the positions for both widths. Output: velocity (b, t, channels)."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph()
    hidden = _blocks(graph, estimator.adaln_single, estimator.transformer_blocks, _projected(graph, estimator.proj_in, "x"), "")
    joined = graph.add("Concat", "x", _ended(graph, *hidden, estimator.scale_shift_table), axis=2)
    connected = _projected(graph, estimator.connection_proj, joined)
    hidden = _blocks(graph, estimator.adaln_single_2, estimator.transformer_blocks_2, connected, "_2")
    out = _projected(graph, estimator.proj_out, _ended(graph, *hidden, estimator.scale_shift_table_2))
    graph.nodes.append(helper.make_node("Identity", [out], ["velocity"]))
    rank = {"waves": ["one", "features"]}
    model = helper.make_graph(
        graph.nodes,
        "estimator",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, rank.get(name, ["b", "t", f"of_{name}"])) for name in INPUTS],
        [helper.make_tensor_value_info("velocity", TensorProto.FLOAT, ["b", "t", "channels"])],
        graph.constants,
    )
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=min(onnx.IR_VERSION, 11))


def _projected(graph: _Graph, layer: Projection, x: str) -> str:
    first = layer.ffn_1
    channels_first = graph.add("Transpose", x, perm=[0, 2, 1])
    found = graph.add("Conv", channels_first, graph.constant(first.weight), graph.constant(np.asarray(first.bias)), pads=[1, 1])
    scaled = graph.product(graph.add("Transpose", found, perm=[0, 2, 1]), graph.constant(np.float32(layer.KERNEL**-0.5)))
    return graph.linear(layer.ffn_2, scaled)


def _blocks(graph: _Graph, adaln: AdaLNSingle, blocks: Any, x: str, suffix: str) -> tuple[str, str]:
    """The blocks of a width, and the time's embedding (1, width) for the norm after them."""
    embedder = adaln.emb.timestep_embedder
    embedded = graph.linear(embedder.linear_2, graph.silu(graph.linear(embedder.linear_1, "waves")))
    shape = graph.constant(np.array([6, -1]))
    modulation = graph.add("Reshape", graph.linear(adaln.linear, graph.silu(embedded)), shape)
    for block in blocks:
        x = _block(graph, block, x, modulation, suffix)
    return x, embedded


def _block(graph: _Graph, block: Block, x: str, modulation: str, suffix: str) -> str:
    parts = graph.add("Split", graph.sum(modulation, graph.constant(block.scale_shift_table)), outputs=6, axis=0, num_outputs=6)
    shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = parts
    heads = block.attn.heads
    inner = _normed(graph, block.attn_norm, x, shift, scale)
    q, k, v = (graph.linear(layer, inner) for layer in (block.attn.q_proj, block.attn.k_proj, block.attn.v_proj))
    turn = {"interleaved": 1, "num_heads": heads}
    q, k = (graph.add("RotaryEmbedding", one, f"cos{suffix}", f"sin{suffix}", **turn) for one in (q, k))
    mixed = graph.add("Attention", q, k, v, q_num_heads=heads, kv_num_heads=heads)
    x = graph.sum(x, graph.product(gate, graph.linear(block.attn.o_proj, mixed)))
    inner = _normed(graph, block.mlp_norm, x, mlp_shift, mlp_scale)
    both = graph.product(graph.silu(graph.linear(block.mlp.gate, inner)), graph.linear(block.mlp.up, inner))
    return graph.sum(x, graph.product(mlp_gate, graph.linear(block.mlp.down, both)))


def _normed(graph: _Graph, norm: Any, x: str, shift: str, scale: str) -> str:
    normed = graph.add("RMSNormalization", x, graph.constant(norm.weight), axis=-1, epsilon=norm.eps)
    return graph.sum(graph.product(normed, graph.sum(scale, graph.constant(np.float32(1)))), shift)


def _ended(graph: _Graph, x: str, embedded: str, table: torch.Tensor) -> str:
    shift, scale = graph.add("Split", graph.sum(embedded, graph.constant(table)), outputs=2, axis=0, num_outputs=2)
    width = table.shape[1]
    normed = graph.add("LayerNormalization", x, graph.constant(np.ones(width, np.float32)), axis=-1, epsilon=1e-6)
    return graph.sum(graph.product(normed, graph.sum(scale, graph.constant(np.float32(1)))), shift)


class _Session:
    """The exported estimator in place of the module's: the same call, in onnxruntime."""

    def __init__(self, estimator: Estimator, count: int | None) -> None:
        import onnxruntime

        from implementations.codec.estimator import time_waves

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = count or 0, 1
        content = export(estimator).SerializeToString()
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._head_dim, self._waves = estimator.head_dim, time_waves

    def __call__(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        import torch

        from implementations.codec.estimator import rotations

        turns = [one.expand(len(x), -1, -1) for size in (1, 2) for one in rotations(x.shape[1], size * self._head_dim)]
        inputs = dict(zip(INPUTS, (x, self._waves(t), *turns), strict=True))
        found = self._session.run(["velocity"], {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in inputs.items()})
        return torch.from_numpy(found[0])


def kernels(model: HeartCodec, count: int | None = None) -> Kernels:
    """The reference's kernels over the exported estimator."""
    from implementations.codec.reference import kernels as plain

    session = _Session(model.flow_matching.estimator, count)
    del model.flow_matching.estimator
    object.__setattr__(model.flow_matching, "estimator", session)
    return plain(model)


@contextmanager
def _open(settings: Settings) -> Iterator[Model]:
    from implementations.codec import model

    with threads(settings.threads):
        yield lru_cache(maxsize=None)(lambda name: kernels(model.load(name), settings.threads))


(FLOW,) = implementations(
    "onnxruntime",
    "peer",
    _open,
    only=("codec_flow",),
    solver=False,
    requires=Requires(packages=("onnxruntime", "onnx", "torch")),
    description="onnxruntime on the CPU for the estimator, PyTorch for what is around it",
)
