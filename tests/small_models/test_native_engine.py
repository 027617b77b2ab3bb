"""The native engine at every dispatch level of this processor and every precision, against float64."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from engine_cases import FEATURES, ODD, SNR_DB, WEIGHTS, answers, as_stored, snr_db

from implementations.small_models.models import MODELS
from implementations.small_models.native import Engine
from implementations.small_models.packed import ACTIVATIONS as ACTIVATION_NUMBERS
from implementations.small_models.reference import ACTIVATIONS, run_model
from implementations.small_models.weights import random_weights

_native = pytest.importorskip("implementations.small_models._native", reason="native: not built")
LEVELS = _native.levels()
PRECISIONS = ("float32", "int24", "bfloat16", "float16", "int8")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("precision", ["float32", "int24"])
def test_exact_precisions_are_within_their_bound_of_float64(level, stateful, batch, precision):
    engine = Engine(MODELS, WEIGHTS, precision=precision, stateful=stateful, level=level, batch=batch)
    found = engine.run(FEATURES)
    for name, expected in answers(stateful).items():
        assert np.abs(found[:, engine.slices[name]] - expected).max() <= 5e-7, name


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("precision", SNR_DB)
def test_narrower_weights_reach_their_signal_to_noise_ratio(level, stateful, precision):
    engine = Engine(MODELS, WEIGHTS, precision=precision, stateful=stateful, level=level)
    found = engine.run(FEATURES)
    for name, expected in answers(stateful).items():
        assert snr_db(expected, found[:, engine.slices[name]]) >= SNR_DB[precision], name


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_other_widths_and_depths(level, stateful, name, precision):
    """Against float64 with the weights as stored: what is left is the rounding of sums, and of inputs where they are narrowed too."""
    model = ODD[name]
    weights = random_weights(model, 5)
    features = np.random.default_rng(3).normal(size=(11, model.inputs)).astype(np.float32)
    expected = run_model(model, as_stored(weights, precision), features, stateful=stateful)
    for batch in (1, 5):
        engine = Engine({name: model}, {name: weights}, precision=precision, stateful=stateful, level=level, batch=batch)
        assert np.abs(engine.run(features) - expected).max() <= (2e-2 if precision == "int8" else 1e-6)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_frame_does_not_depend_on_the_frames_beside_it(level, stateful, precision):
    """To the bit, whatever the batch, and however many threads share it."""
    options = {"precision": precision, "stateful": stateful, "level": level}
    single = Engine(MODELS, WEIGHTS, **options).run(FEATURES)
    for batch, threads in ((2, 1), (7, 1), (64, 1), (64, 2), (17, 2), (64, 3)):
        assert np.array_equal(single, Engine(MODELS, WEIGHTS, batch=batch, threads=threads, **options).run(FEATURES)), (batch, threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_state_goes_on_from_one_pass_over_many_frames_to_the_next(name, precision, threads):
    features = np.random.default_rng(4).normal(size=(75, ODD[name].inputs)).astype(np.float32)
    options = {"precision": precision, "stateful": True}
    models, weights = {name: ODD[name]}, {name: random_weights(ODD[name], 6)}
    single, wide = Engine(models, weights, **options), Engine(models, weights, batch=32, threads=threads, **options)
    for _ in range(2):
        assert np.array_equal(single.run(features), wide.run(features))


@pytest.mark.parametrize(("option", "value"), [("batch", 4097), ("threads", 65)])
def test_more_frames_or_threads_than_there_may_be_are_refused(option, value):
    with pytest.raises(ValueError, match="expected pointers that are not null"):
        Engine(MODELS, WEIGHTS, **{option: value})


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_state_goes_on_from_call_to_call_until_reset(level, precision):
    engine = Engine(MODELS, WEIGHTS, precision=precision, stateful=True, level=level)
    whole = engine.run(FEATURES)
    engine.reset()
    steps = np.concatenate([engine.run(frame[None]) for frame in FEATURES])
    assert np.array_equal(whole, steps)
    assert not np.array_equal(engine.run(FEATURES[:1]), whole[:1])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_stateless_is_smaller_and_int8_stays_below_a_million_bytes(precision):
    with_state, without = (Engine(MODELS, WEIGHTS, precision=precision, stateful=stateful) for stateful in (True, False))
    assert without.arena_bytes < 0.66 * with_state.arena_bytes
    assert without.weight_bytes <= without.arena_bytes
    if precision == "int8":
        assert without.arena_bytes < 1_000_000


@pytest.mark.parametrize("level", LEVELS)
def test_models_that_are_switched_off_are_zeros_for_those_they_feed(level):
    engine = Engine(MODELS, WEIGHTS, level=level)
    everything = engine.run(FEATURES)
    engine.enable("melody_transformer", False)
    found = engine.run(FEATURES)
    melody = engine.slices["melody_transformer"]
    assert not found[:, melody].any()
    found[:, melody] = everything[:, melody]
    assert np.array_equal(found, everything)
    engine.enable("emotion_recognizer", False)
    groove = run_model(MODELS["groove_predictor"], WEIGHTS["groove_predictor"], np.zeros((1, 64), np.float32))
    assert np.abs(engine.run(FEATURES[:1])[:, engine.slices["groove_predictor"]] - groove).max() <= 5e-7
    engine.enable("melody_transformer")
    engine.enable("emotion_recognizer")
    assert np.array_equal(engine.run(FEATURES), everything)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused_and_leave_the_state_alone(level, precision, bad):
    engine = Engine(MODELS, WEIGHTS, precision=precision, stateful=True, level=level)
    expected = engine.run(FEATURES)
    engine.reset()
    features = FEATURES.copy()
    features[1, 127] = bad
    with pytest.raises(ValueError, match="expected finite features"):
        engine.run(features)
    assert np.array_equal(engine.run(FEATURES), expected)


def test_shapes_and_dtypes_that_are_not_the_engines_are_refused():
    engine = Engine(MODELS, WEIGHTS)
    for wrong in (FEATURES[:, :127], FEATURES[0], FEATURES.astype(np.float64), np.asfortranarray(FEATURES)):
        with pytest.raises((ValueError, TypeError)):
            engine.run(wrong)
    for out in (np.empty((24, 303), np.float32), np.empty((23, 304), np.float32), np.empty((24, 304))):
        with pytest.raises((ValueError, TypeError)):
            engine.run(FEATURES, out)
    with pytest.raises(ValueError, match=r"level: expected one of .*baseline, found 'sse9'"):
        Engine(MODELS, WEIGHTS, level="sse9")
    assert engine.run(FEATURES[:0]).shape == (0, 304)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["tanh", "relu", "sigmoid"])
def test_activations_are_within_half_a_millionth(level, name):
    values = np.concatenate([np.linspace(-20, 20, 160_000), np.geomspace(1e-30, 1e30, 8_000), -np.geomspace(1e-30, 1e30, 8_000)])
    values = values.astype(np.float32)
    found = values.copy()
    _native.activate(ACTIVATION_NUMBERS[name], found, level=level)
    assert np.abs(found - ACTIVATIONS[name](values.astype(np.float64))).max() <= 4e-7
    if name != "relu":
        assert np.abs(found).max() <= 1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e30])
def test_softmax_of_small_and_huge_values(level, scale):
    values = (np.random.default_rng(1).normal(size=64) * scale).astype(np.float32)
    powers = np.exp(values.astype(np.float64) - values.max())
    _native.activate(ACTIVATION_NUMBERS["softmax"], values, level=level)
    assert np.abs(values - powers / powers.sum()).max() <= 4e-7


def test_calls_from_several_threads_take_turns():
    engine = Engine(MODELS, WEIGHTS)
    expected = engine.run(FEATURES)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: engine.run(FEATURES), range(40)))
    assert all(np.array_equal(each, expected) for each in found)
