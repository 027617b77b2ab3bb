"""The way in for users: what comes out, which backend is taken, other checkpoints, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from small_models_rows import golden_file, goldens

import implementations
from implementations import small_models
from implementations.small_models import backends, music_models
from implementations.small_models.component import COMPONENTS
from implementations.small_models.models import MODELS
from implementations.small_models.weights import BadWeights

FRAMES = COMPONENTS["model_pipeline"].case("sequence-1s").make(0)["features"][:7]


def test_the_chain_gives_an_output_by_model_and_a_model_gives_its_own():
    outputs = implementations.music_models(FRAMES)
    assert {name: output.shape for name, output in outputs.items()} == {name: (7, model.outputs) for name, model in MODELS.items()}
    emotion = music_models(FRAMES, model="emotion_recognizer", backend="reference")
    assert np.abs(emotion - outputs["emotion_recognizer"]).max() < 4e-6
    melody = music_models(emotion, model="melody_transformer", backend="reference")
    assert np.abs(melody - outputs["melody_transformer"]).max() < 3e-5


def test_state_is_kept_within_a_call_only():
    single, sequence = (music_models(FRAMES, stateful=stateful)["melody_transformer"] for stateful in (False, True))
    assert np.abs(single[0] - sequence[0]).max() < 1e-5
    assert np.abs(single[1:] - sequence[1:]).max() > 1e-3
    assert np.array_equal(music_models(FRAMES, stateful=True)["melody_transformer"], sequence)


def test_backends_say_what_is_wrong_with_them():
    found = backends()
    assert found["reference"] is None
    assert found["numpy_packed"] is None
    assert {"native", "torch_eager", "mlx_graph", "onnxruntime"} <= found.keys()


def test_other_checkpoints_take_the_place_of_the_shipped_ones():
    for stateful, features, expected in goldens("emotion_recognizer"):
        found = music_models(features, model="emotion_recognizer", stateful=stateful, checkpoints=golden_file("emotion_recognizer"))
        assert np.abs(found - expected).max() < 2e-6
    with pytest.raises(BadWeights, match="expected weights of melody_transformer, found emotion_recognizer"):
        music_models(FRAMES, checkpoints=golden_file("emotion_recognizer"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "melody"}, ValueError, "model: expected one of emotion_recognizer, .*found 'melody'"),
        ({"backend": "fast"}, ValueError, "backend: expected auto or one of native, .*found 'fast'"),
        ({"backend": "numpy_packed", "precision": "int8"}, ValueError, r"numpy_packed: precision: expected float32, found 'int8'"),
        ({"checkpoints": "/nowhere"}, BadWeights, "/nowhere: expected a file of weights, found nothing"),
        ({"stateful": "yes"}, TypeError, "stateful: expected True or False"),
    ],
)
def test_what_cannot_be_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        music_models(FRAMES, **arguments)


def test_a_wrong_backend_is_passed_over_with_a_warning(monkeypatch):
    """As upstream's silent fallback is not."""
    real = small_models._loaded

    def loaded(name, *arguments):
        run = real(name, *arguments)
        return (lambda inputs: {key: 1.01 * output for key, output in run(inputs).items()}) if name == "numpy_packed" else run

    monkeypatch.setattr(small_models, "_loaded", loaded)
    monkeypatch.setattr(small_models, "BACKENDS", replace(small_models.BACKENDS, fastest_first=("numpy_packed", "reference")))
    with pytest.warns(RuntimeWarning, match="numpy_packed is passed over: emotion_recognizer differs from the reference by"):
        assert np.abs(music_models(FRAMES)["emotion_recognizer"]).max() > 0
    with pytest.raises(RuntimeError, match=r"backend numpy_packed does not work here: .*differs"):
        music_models(FRAMES, backend="numpy_packed")
