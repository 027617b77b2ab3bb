"""A PyTorch module in the frameworks that the source document recommends, for the scripts that measure one block of a model.

None of these packages is needed by anything else; what fails says why.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harness.figures import tell
from implementations._comparing import snr_db, timed

Call = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Block:
    """A module, what it is called with, and own rows that compute the same: made by a function of the number of threads."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    own: Mapping[str, Callable[[int], Call]]


def _names(inputs: tuple[Tensor, ...]) -> list[str]:
    return [f"x{number}" for number in range(len(inputs))]


def _onnx(module: nn.Module, inputs: tuple[Tensor, ...], folder: Path) -> Path:
    path = folder / "block.onnx"
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(module, inputs, path, input_names=_names(inputs), output_names=["y"], dynamo=True, external_data=False)
    return path


def onnxruntime(module: nn.Module, inputs: tuple[Tensor, ...], threads: int) -> Call:
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it would keep the cores of the reference, whose turn is next
    with tempfile.TemporaryDirectory() as folder:
        session = runtime.InferenceSession(_onnx(module, inputs, Path(folder)), options, providers=["CPUExecutionProvider"])
    arrays = {name: tensor.numpy() for name, tensor in zip(_names(inputs), inputs, strict=True)}
    return lambda: np.asarray(session.run(["y"], arrays)[0])


def executorch(module: nn.Module, inputs: tuple[Tensor, ...], threads: int) -> Call:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner  # type: ignore[import-not-found]
    from executorch.exir import to_edge_transform_and_lower  # type: ignore[import-not-found]
    from executorch.runtime import Runtime  # type: ignore[import-not-found]

    lowered = to_edge_transform_and_lower(torch.export.export(module, inputs), partitioner=[XnnpackPartitioner()]).to_executorch()
    content = lowered.buffer
    program = Runtime.get().load_program(content)
    method = program.load_method("forward")

    def run(held: tuple[object, ...] = (content, program)) -> np.ndarray:
        """held: what the method only points to."""
        found: np.ndarray = method.execute(list(inputs))[0].numpy()
        return found

    return run


def mnn(module: nn.Module, inputs: tuple[Tensor, ...], threads: int) -> Call:
    import _tools  # type: ignore[import-not-found]  # MNN's converter without MNN.tools, which installs a logging client and reports
    import MNN  # type: ignore[import-not-found]
    import MNN.numpy as mp  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        source, target = _onnx(module, inputs, Path(folder)), Path(folder) / "block.mnn"
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "block"])
        runtime = MNN.nn.create_runtime_manager(({"precision": "high", "backend": 0, "numThread": threads},))
        network = MNN.nn.load_module_from_file(str(target), _names(inputs), ["y"], runtime_manager=runtime)
    arrays = [mp.array(tensor.numpy()) for tensor in inputs]
    return lambda: np.array(network.forward(arrays)[0].read() if len(arrays) > 1 else network.forward(arrays[0]).read())


FRAMEWORKS = {"onnxruntime": onnxruntime, "executorch": executorch, "MNN": mnn}


NOT_HERE = 3
"""Status of the process of a row or framework that could not be measured, and says why."""


def main(
    program: str, description: str | None, own: tuple[str, ...], block: Callable[[], Block], told: Mapping[str, str] | None = None
) -> int:
    """Each own row and framework in turns with the module itself, each in a process of its own: native code may end it.

    told: by row or framework the metric under which the ledger is told its speed-up. Exit code 1 where nothing could be measured.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=(*own, *FRAMEWORKS), help="one of them, in this process")
    options = parser.parse_args()
    if options.only:
        torch.set_num_threads(options.threads)
        return _measured(options.only, block(), options.rounds, options.threads, (told or {}).get(options.only))
    codes = []
    for name in (*own, *FRAMEWORKS):
        command = [sys.executable, "-m", program, "--only", name, "--rounds", str(options.rounds), "--threads", str(options.threads)]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        codes.append(done.returncode)
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        said = done.stdout.strip().splitlines()[-1] if done.returncode in (0, NOT_HERE) else ""
        print(said or f"{name}: ended with code {done.returncode}: {last[:200]}", flush=True)
    return 0 if 0 in codes else 1


def _measured(name: str, block: Block, rounds: int, threads: int, metric: str | None) -> int:
    """Print what was measured, or why nothing could be; exit code 0 or `NOT_HERE`."""
    with torch.no_grad():
        module = block.module.eval()

        def plain() -> np.ndarray:
            found: np.ndarray = module(*block.inputs).numpy()
            return found

        try:
            made = block.own[name](threads) if name in block.own else FRAMEWORKS[name](module, block.inputs, threads)
            parity = snr_db(plain(), made())
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0][:200]}")
            return NOT_HERE
        seconds, ratios = timed({"reference": plain, name: made}, rounds)
    ratio, interval = statistics.median(ratios), (min(ratios), max(ratios))
    spread = f"{ratio:.2f}x the reference [{interval[0]:.2f}, {interval[1]:.2f}]"
    print(f"{name}: {seconds[name] * 1e3:.1f} ms, {spread} at {parity:.0f} dB")
    if metric:
        tell(metric, ratio, "measured", f"{name} on one block beside upstream's arithmetic", interval=interval)
    return 0
