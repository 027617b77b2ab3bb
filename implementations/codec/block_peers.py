"""One block of the estimator in the frameworks that are recommended for it: `python -m implementations.codec.block_peers`.

A block at the first published width on the 186 latents of a short segment, both rows of the guidance, float32; whatever is installed takes
turns with the reference and with the packed block. What fails says why; none of these packages is needed by anything else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from implementations.codec.benchmark import decibels, timed
from implementations.codec.configuration import Configuration
from implementations.codec.estimator import Block, rotations
from implementations.codec.model import seeded
from implementations.codec.prepacked import _block, _modulation

LATENTS = 186
Open = Callable[["Alone", Tensor, int], Callable[[], np.ndarray]]


class Alone(nn.Module):
    """A block with the modulation of one step and the positions of a segment in it: (b, t, width) -> (b, t, width)."""

    modulation: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, block: Block, modulation: Tensor, rotation: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.block = block
        for name, tensor in zip(("modulation", "cos", "sin"), (modulation, *rotation), strict=True):
            self.register_buffer(name, tensor)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x, self.modulation, (self.cos, self.sin))
        return out


def reference(alone: Alone, x: Tensor, threads: int) -> Callable[[], np.ndarray]:
    return lambda: alone(x).numpy()


def packed(alone: Alone, x: Tensor, threads: int) -> Callable[[], np.ndarray]:
    block = alone.block
    ready = _block(block, torch.float32)
    by = _modulation(block.scale_shift_table, block.attn_norm.weight, block.mlp_norm.weight, alone.modulation)
    rotation = torch.complex(alone.cos, alone.sin)[:, None]
    return lambda: ready(x, by, rotation).numpy()


def _onnx(alone: Alone, x: Tensor, folder: Path) -> Path:
    path = folder / "block.onnx"
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(alone, (x,), path, input_names=["x"], output_names=["y"], dynamo=True, external_data=False)
    return path


def onnxruntime(alone: Alone, x: Tensor, threads: int) -> Callable[[], np.ndarray]:
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    with tempfile.TemporaryDirectory() as folder:
        session = runtime.InferenceSession(_onnx(alone, x, Path(folder)), options, providers=["CPUExecutionProvider"])
    array = x.numpy()
    return lambda: np.asarray(session.run(["y"], {"x": array})[0])


def executorch(alone: Alone, x: Tensor, threads: int) -> Callable[[], np.ndarray]:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner  # type: ignore[import-not-found]
    from executorch.exir import to_edge_transform_and_lower  # type: ignore[import-not-found]
    from executorch.runtime import Runtime  # type: ignore[import-not-found]

    lowered = to_edge_transform_and_lower(torch.export.export(alone, (x,)), partitioner=[XnnpackPartitioner()]).to_executorch()
    content = lowered.buffer
    program = Runtime.get().load_program(content)
    method = program.load_method("forward")

    def run(held: tuple[object, ...] = (content, program)) -> np.ndarray:
        """held: what the method only points to."""
        found: np.ndarray = method.execute([x])[0].numpy()
        return found

    return run


def mnn(alone: Alone, x: Tensor, threads: int) -> Callable[[], np.ndarray]:
    import _tools  # type: ignore[import-not-found]  # MNN's converter without MNN.tools, which installs a logging client and reports
    import MNN  # type: ignore[import-not-found]
    import MNN.numpy as mp  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        source, target = _onnx(alone, x, Path(folder)), Path(folder) / "block.mnn"
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "block"])
        runtime = MNN.nn.create_runtime_manager(({"precision": "high", "backend": 0, "numThread": threads},))
        network = MNN.nn.load_module_from_file(str(target), ["x"], ["y"], runtime_manager=runtime)
    inputs = mp.array(x.numpy())
    return lambda: np.array(network.forward(inputs).read())


CANDIDATES: dict[str, Open] = {"packed": packed, "onnxruntime": onnxruntime, "executorch": executorch, "MNN": mnn}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=CANDIDATES, help="one of them, in this process")
    options = parser.parse_args()
    if options.only:
        return _measure(options.only, options.rounds, options.threads)
    for name in CANDIDATES:  # each in a process of its own: native code may end it
        command = [sys.executable, "-m", __spec__.name, "--only", name, "--rounds", str(options.rounds), "--threads", str(options.threads)]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(
            done.stdout.strip().splitlines()[-1] if done.returncode == 0 else f"{name}: ended with code {done.returncode}: {last[:200]}",
            flush=True,
        )


def _measure(name: str, rounds: int, threads: int) -> None:
    torch.set_num_threads(threads)
    estimator = seeded(Configuration(num_layers=1, num_layers_2=1)).flow_matching.estimator
    block: Any = estimator.transformer_blocks[0]
    with torch.no_grad():
        modulation, _ = estimator.adaln_single(torch.tensor(0.3))
        x = torch.randn(2, LATENTS, estimator.scale_shift_table.shape[1], generator=torch.Generator().manual_seed(0))
        alone = Alone(block, modulation, rotations(LATENTS, estimator.head_dim)).eval()
        plain = reference(alone, x, threads)
        try:
            call = CANDIDATES[name](alone, x, threads)
            parity = decibels(plain(), call())
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0][:200]}")
            return
        seconds, ratios = timed({"reference": plain, name: call}, rounds)
    spread = f"{statistics.median(ratios):.2f}x the reference [{min(ratios):.2f}, {max(ratios):.2f}]"
    print(f"{name}: {seconds[name] * 1e3:.1f} ms, {spread} at {parity:.0f} dB")


if __name__ == "__main__":
    main()
