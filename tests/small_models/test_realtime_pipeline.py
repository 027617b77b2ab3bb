"""The models beside an audio thread, called block by block: what comes out, and what each result says of itself."""

import ctypes
import threading
import time

import numpy as np
import pytest

from harness.settings import Settings
from implementations.small_models.models import MODELS
from implementations.small_models.realtime import FLAGS, NEUTRAL, pipeline, python_pipeline
from implementations.small_models.weights import random_weights

RATE, HOP, LOOKAHEAD = 48000, 480, 960
SETTINGS = Settings(sample_rate=RATE)
SLICES = {}
for _model in MODELS.values():
    _first = sum(model.outputs for model in list(MODELS.values())[: len(SLICES)])
    SLICES[_model.name] = slice(_first, _first + _model.outputs)
ALL_NEUTRAL = {f"{name} neutral" for name in MODELS}


class Result(ctypes.Structure):
    _fields_ = (
        ("sequence", ctypes.c_uint64), ("born_ns", ctypes.c_int64), ("dropped", ctypes.c_uint64), ("checksum", ctypes.c_uint64),
        ("payload", ctypes.POINTER(ctypes.c_float)), ("values", ctypes.c_uint32), ("flags", ctypes.c_uint32),
    )  # fmt: skip


class Player:
    """Calls a Callback as an audio thread would, in this one."""

    def __init__(self, made):
        self.callback, self.native = made
        floats = ctypes.POINTER(ctypes.c_float)
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, floats, floats, ctypes.c_uint32)(self.callback.function)
        self._results = ctypes.CFUNCTYPE(ctypes.POINTER(Result), ctypes.c_void_p)(self.callback.results)

    def block(self, samples, *, in_place=False):
        given = np.array(samples, np.float32)
        came = given if in_place else np.empty_like(given)
        pointers = (array.ctypes.data_as(ctypes.POINTER(ctypes.c_float)) for array in (given, came))
        self._call(self.callback.state, *pointers, len(given))
        return came

    def result(self):
        """Sequence, values, and the names of the flags."""
        found = self._results(self.callback.state).contents
        values = np.ctypeslib.as_array(found.payload, (found.values,)).copy()
        assert found.checksum == checksum(found.sequence, values)
        return found.sequence, values, {name for bit, name in enumerate(FLAGS) if found.flags >> bit & 1}

    @property
    def dropped(self):
        return self._results(self.callback.state).contents.dropped

    def infer(self, samples):
        """One hop in, and its inference awaited; then the result that the next, empty block takes."""
        before = self.native.inferences
        self.block(samples)
        wait(lambda: self.native.inferences > before)
        self.block([])
        return self.result()


def checksum(sequence, values):
    found = 14695981039346656037 ^ sequence
    for bits in values.view(np.uint32).tolist():
        found = (found ^ bits) * 1099511628211 % 2**64
    return found


def wait(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "the inference thread did not come to it"
        time.sleep(0.0005)


def ramp(features):
    return np.concatenate([features, features, features[:48]]).astype(np.float32)


@pytest.fixture
def player():
    with python_pipeline(SETTINGS, ramp) as made:
        yield Player(made)


def fresh(result):
    """The result where this machine was quick enough for it, else a skip: how old is too old is a matter of 30 ms."""
    if "too old" in result[2]:
        pytest.skip("this machine took more than 30 ms from one block to the next")
    return result


@pytest.mark.parametrize("frames", [1, 63, 64, 480, 512, 1000, 2500])
@pytest.mark.parametrize("in_place", [False, True])
def test_audio_is_late_by_exactly_the_lookahead(player, frames, in_place):
    samples = np.random.Generator(np.random.PCG64(1)).uniform(-1, 1, 3 * 2500).astype(np.float32)
    came = np.concatenate([player.block(samples[i : i + frames], in_place=in_place) for i in range(0, len(samples), frames)])
    assert player.callback.latency == LOOKAHEAD
    np.testing.assert_array_equal(came, np.concatenate([np.zeros(LOOKAHEAD, np.float32), samples])[: len(came)])


def test_before_the_first_result_values_are_neutral_and_say_so(player):
    player.block(np.zeros(64))
    sequence, values, flags = player.result()
    assert (sequence, flags) == (0, {"no result", *ALL_NEUTRAL})
    for name, where in SLICES.items():
        assert (values[where] == np.float32(NEUTRAL[name])).all()


def test_a_result_is_of_the_last_50_ms(player):
    samples = np.random.Generator(np.random.PCG64(2)).uniform(-0.5, 0.5, 7 * HOP).astype(np.float32)
    for hop in range(7):
        sequence, values, flags = fresh(player.infer(samples[hop * HOP : (hop + 1) * HOP]))
    assert (sequence, flags) == (7, set())
    np.testing.assert_allclose(values, ramp(features(samples[2 * HOP :])), atol=2e-5)


def features(window):
    """In float64: energies in bands of equal width in mel."""
    size, rate = 4096, RATE
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(window)) / len(window))
    power = np.abs(np.fft.rfft(window * taper, size)) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 16000 / 700), 130) / 2595) - 1) * size / rate
    bins = np.arange(len(power))
    weights = [np.interp(bins, edges[b : b + 3], [0, 1, 0]) for b in range(128)]
    return np.log10(1 + 1000 * np.array(weights) @ power / len(window)) / 4


def test_a_result_that_is_too_old_is_replaced(player):
    player.infer(np.ones(HOP))
    time.sleep(0.05)
    player.block(np.zeros(64))
    sequence, values, flags = player.result()
    assert (sequence, flags) == (1, {"too old", *ALL_NEUTRAL})
    assert (values[SLICES["dynamics_engine"]] == 0.5).all()


@pytest.mark.parametrize("off", ["groove_predictor", "emotion_recognizer"])
def test_a_model_that_is_switched_off_is_neutral_and_so_is_what_it_feeds(player, off):
    player.native.enable(31 & ~(1 << list(MODELS).index(off)))
    _, values, flags = fresh(player.infer(np.random.Generator(np.random.PCG64(3)).uniform(-1, 1, HOP)))
    neutral = set(MODELS) if off == "emotion_recognizer" else {off}
    assert flags == {"switched off", *(f"{name} neutral" for name in neutral)}
    for name, where in SLICES.items():
        assert (values[where] == np.float32(NEUTRAL[name])).all() == (name in neutral)
    player.native.enable(31)
    assert fresh(player.infer(np.ones(HOP)))[2] == set()


def test_values_that_are_not_finite_are_replaced_with_those_they_feed():
    bad = {"harmony_predictor": np.nan}

    def step(features):
        outputs = ramp(features)
        for name, value in bad.items():
            outputs[SLICES[name].start + 3] = value
        return outputs

    with python_pipeline(SETTINGS, step) as made:
        player = Player(made)
        _, values, flags = fresh(player.infer(np.ones(HOP)))
        assert flags == {"not finite", "harmony_predictor neutral"}
        assert np.isfinite(values).all()
        bad["emotion_recognizer"] = np.inf
        _, values, flags = fresh(player.infer(np.ones(HOP)))
        assert flags == {"not finite", *ALL_NEUTRAL}
        bad.clear()
        assert fresh(player.infer(np.ones(HOP)))[2] == set()


def test_a_step_that_raises_is_a_flag_and_the_next_one_may_succeed():
    broken = threading.Event()
    broken.set()

    def step(features):
        if broken.is_set():
            raise RuntimeError("made to fail")
        return ramp(features)

    with python_pipeline(SETTINGS, step) as made:
        player = Player(made)
        assert fresh(player.infer(np.ones(HOP)))[2] == {"failed", *ALL_NEUTRAL}
        broken.clear()
        assert fresh(player.infer(np.ones(HOP)))[2] == set()


def test_an_engine_that_cannot_go_on_is_stopped_and_audio_goes_on():
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    step = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer, size, pointer, size)(lambda *_: -1)
    with pipeline(SETTINGS, ctypes.cast(step, ctypes.c_void_p).value) as made:
        player = Player(made)
        player.block(np.ones(HOP))
        wait(lambda: player.block([]) is not None and "stopped" in player.result()[2])
        assert player.result()[2] == {"stopped", *ALL_NEUTRAL}
        assert player.block(np.ones(HOP)).tolist() == [0.0] * HOP
        assert player.block(np.ones(HOP)).tolist() == [1.0] * HOP


def test_hops_that_find_the_ring_full_are_counted_and_count_as_silence():
    held, inside = threading.Event(), threading.Event()

    def step(features):
        inside.set()
        held.wait(20)
        return ramp(features)

    with python_pipeline(SETTINGS, step) as made:
        player = Player(made)
        player.block(np.ones(HOP))
        assert inside.wait(20)
        for _ in range(20):
            player.block(np.ones(HOP))
        assert player.dropped == 4  # 16 have room
        held.set()
        wait(lambda: player.native.inferences >= 2)
        sequence, values, _ = fresh(player.infer(np.ones(HOP)))
        assert (sequence, player.dropped) == (22, 4)
        # Of the last five hops the oldest four are those that were dropped.
        window = np.concatenate([np.zeros(4 * HOP), np.ones(HOP)])
        np.testing.assert_allclose(values, ramp(features(window)), atol=2e-5)


def test_leaving_does_not_wait_for_the_interpreter_that_it_holds():
    def leave():
        with python_pipeline(SETTINGS, lambda features: (time.sleep(0.001), ramp(features))[1]) as made:
            player = Player(made)
            for _ in range(10):
                player.block(np.ones(HOP))

    thread = threading.Thread(target=leave, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_a_rate_that_no_hop_fits_is_refused():
    with pytest.raises(ValueError, match="rate: expected 100 to 192000 Hz"), python_pipeline(Settings(sample_rate=400000), ramp):
        pass


def test_the_native_engine_computes_what_it_computes_alone():
    pytest.importorskip("implementations.small_models._native")
    from implementations.small_models.native import Engine
    from implementations.small_models.realtime.engine import engine_pipeline

    weights = {name: random_weights(model, number) for number, (name, model) in enumerate(MODELS.items())}
    samples = np.random.Generator(np.random.PCG64(4)).uniform(-0.5, 0.5, 6 * HOP).astype(np.float32)
    with engine_pipeline(MODELS, weights, SETTINGS) as made:
        player = Player(made)
        for hop in range(6):
            _, values, flags = fresh(player.infer(samples[hop * HOP : (hop + 1) * HOP]))
        assert flags == set()
        alone = Engine(MODELS, weights).run(features(samples[HOP:]).astype(np.float32)[None])[0]
        np.testing.assert_allclose(values, alone, atol=1e-4)
        player.native.enable(0b10111)
        _, values, flags = fresh(player.infer(samples[:HOP]))
        assert flags == {"switched off", "dynamics_engine neutral"}
        assert (values[SLICES["dynamics_engine"]] == 0.5).all()
