"""The peers: onnxruntime and OpenVINO on the project's own ONNX model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Requires
from implementations.tts.vocoder.component import BFLOAT16, precision_variant
from implementations.tts.vocoder.onnx_graph import export
from implementations.tts.vocoder.serving import Vocode, implementation

if TYPE_CHECKING:
    import onnx

    from harness.settings import Settings
    from implementations.tts.vocoder.hifigan import Weights
    from implementations.tts.vocoder.shapes import Shape

CALIBRATION = 32
"""Mel frames, of noise, from which static quantization takes its ranges."""


class _Noise:
    """Calibration data as onnxruntime asks for it: two mels, then none."""

    def __init__(self, shape: Shape) -> None:
        random = np.random.Generator(np.random.PCG64(1))
        self._left: Iterator[np.ndarray] = iter(random.standard_normal((2, 1, shape.mels, CALIBRATION), np.float32))

    def get_next(self) -> dict[str, np.ndarray] | None:
        mel = next(self._left, None)
        return None if mel is None else {"mel": mel}


def quantized(model: onnx.ModelProto, shape: Shape) -> onnx.ModelProto:
    """Convolutions in int8 by static quantization: a scale per output channel of the weights, one for all that enters."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    reader: Any = type("Noise", (_Noise, CalibrationDataReader), {})(shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
        )
        return onnx.load(path)


def _onnxruntime(shape: Shape, weights: Weights, settings: Settings) -> tuple[Vocode, None]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads, options.inter_op_num_threads = settings.threads or 0, 1
    model = export(shape, weights)
    if settings.precision == "int8":
        model = quantized(model, shape)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def vocode(mel: np.ndarray) -> np.ndarray:
        wave: np.ndarray = session.run(["wave"], {"mel": np.ascontiguousarray(mel.T)[None]})[0][0, 0]
        return wave

    return vocode, None  # what the runtime makes of the model's weights it does not say


def _openvino(shape: Shape, weights: Weights, settings: Settings) -> tuple[Vocode, None]:
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "bf16" if settings.precision == "bfloat16" else "f32", "PERFORMANCE_HINT": "LATENCY"}
    if settings.threads:
        options["INFERENCE_NUM_THREADS"] = str(settings.threads)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(export(shape, weights).SerializeToString()), "CPU", options)

    def vocode(mel: np.ndarray) -> np.ndarray:
        return np.array(compiled({"mel": np.ascontiguousarray(mel.T)[None]})["wave"][0, 0])

    return vocode, None  # what the runtime makes of the model's weights it does not say


ONNXRUNTIME = implementation(
    "onnxruntime",
    "peer",
    _onnxruntime,
    precisions=("float32", "int8"),
    requires=Requires(packages=("torch", "onnx", "onnxruntime")),
    variants=(precision_variant("int8", 15.0, "static quantization, one range for all channels of what enters a convolution"),),
    description="onnxruntime on the CPU; int8 by its static quantization",
)
OPENVINO = implementation(
    "openvino",
    "peer",
    _openvino,
    precisions=("float32", "bfloat16"),
    requires=Requires(packages=("torch", "onnx", "openvino")),
    variants=(BFLOAT16,),
    description="OpenVINO on the CPU",
)
