"""What rows say that their weights take: of the model that the call before used."""

import pytest

from harness.component import Loaded
from harness.registry import discover, unavailable
from harness.settings import Settings
from implementations.tts.acoustic.component import COMPONENT as ACOUSTIC
from implementations.tts.acoustic.component import parameters
from implementations.tts.component import COMPONENT as CHAIN
from implementations.tts.vocoder.component import COMPONENT as VOCODER
from implementations.tts.vocoder.shapes import SHAPES
from implementations.tts.voices import VOICES

QUICK = {component.name: component.case("quick").make(0) for component in (CHAIN, ACOUSTIC, VOCODER)}
SMALL = VOICES["small"]
COUNTS = {"tts": parameters(SMALL.configuration) + SMALL.shape.parameters, "tts_vocoder": SHAPES["v2"].parameters}


def size_of(component, name, *inputs, **given):
    """After a call on the inputs."""
    row = discover().implementations(component)[name]
    if reason := unavailable(row):
        pytest.skip(reason)
    with row.load(Settings(**given)) as run:
        assert isinstance(run, Loaded)
        assert callable(run.weight_bytes)
        for one in inputs or (QUICK[component],):
            outputs = run(one)
            if not isinstance(outputs, dict):
                list(outputs)
        return run.weight_bytes()


@pytest.mark.parametrize("component", COUNTS)
def test_float32_takes_four_bytes_a_parameter(component):
    for name in ("reference", "torch_planar", "torch_streaming"):
        # Beside the parameters: statistics of norms, edges of bins, the sizes that weight norm keeps apart.
        assert 4 <= size_of(component, name) / COUNTS[component] < 4.1


@pytest.mark.parametrize(
    ("component", "name", "precision", "most"),
    [
        ("tts", "torch_planar", "float16", 0.8),  # the encoder and what decides stay float32
        ("tts", "quantized", "int8", 0.9),  # and the vocoder's products have more weights than its taps
        ("tts_acoustic", "torch_planar", "bfloat16", 0.8),
        ("tts_acoustic", "torch_quantized", "int8", 0.7),
        ("tts_vocoder", "torch_planar", "bfloat16", 0.51),
    ],
)
def test_narrower_weights_take_less(component, name, precision, most):
    assert 0.2 < size_of(component, name, precision=precision) / size_of(component, "reference") < most


def test_native_weights_take_what_is_packed():
    shorts = size_of("tts_vocoder", "native", precision="int16")
    assert 0.5 < shorts / size_of("tts_vocoder", "native_streaming") < 0.6


def test_they_are_those_of_the_last_call():
    first, last = ({"mel": QUICK["tts_vocoder"]["mel"][:2], "vocoder": name} for name in ("v3", "v2"))
    assert size_of("tts_vocoder", "reference", first, last) == size_of("tts_vocoder", "reference", last)
    assert size_of("tts", "native", workers=2) == 2 * size_of("tts", "native")


def test_a_runtime_that_does_not_say_is_not_guessed():
    assert size_of("tts_vocoder", "onnxruntime") is None
