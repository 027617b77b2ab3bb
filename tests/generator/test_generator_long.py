"""What takes minutes: real width, a hundred songs."""

import gc
import wave
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import psutil
import pytest

pytestmark = pytest.mark.long


def test_two_layers_foretell_four():
    """The model behind all that is said of 28 layers: within 10 %, for the engine that is fastest here."""
    from implementations.generator.benchmark import ROWS, measure
    from implementations.generator.flavours import FLAVOURS

    def split(name):
        return measure({"native": ROWS["native, exact"](FLAVOURS[name])}, 12)["native"]

    off = []
    for _ in range(3):
        two, four = split("real-width"), split("real-width-4")
        off.append(two.at(4) / four.at(4) - 1)
    assert abs(np.median(off)) < 0.1, off


def test_memory_at_real_width_is_what_was_counted():
    """Within 5 %: weights and caches of the exact engine, beside what a process takes before; in one of its own."""
    from implementations.generator.component import GENERATOR, request_of
    from implementations.generator.flavours import FLAVOURS

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        held = fresh.submit(_held_at_real_width).result()
    flavour, request = FLAVOURS["real-width"], request_of(GENERATOR.case("real-width").make(0))[1]
    counted = 2 * flavour.parameters + flavour.cache_bytes(len(request.prompt.text) + request.frames, 2, 4)
    assert held == pytest.approx(counted, rel=0.05)


def _held_at_real_width():
    """Bytes by which this process grows with the exact engine, which has generated a song.

    Without what the C library keeps of freed memory: up to 150 MB, from making the weights.
    """
    from implementations._memory import give_back
    from implementations.generator.benchmark import ROWS
    from implementations.generator.component import GENERATOR, request_of
    from implementations.generator.flavours import FLAVOURS
    from implementations.generator.generation import generate

    kept = []
    for name in ("tiny", "real-width"):
        gc.collect()
        give_back()
        before = psutil.Process().memory_info().rss
        kept.append(ROWS["native, exact"](FLAVOURS[name]))
        list(generate(kept[-1], request_of(GENERATOR.case(name).make(0))[1]))
    gc.collect()
    give_back()
    return psutil.Process().memory_info().rss - before


def test_a_hundred_generations_of_random_lengths():
    """At the size of the goldens, through generator and codec, upstream's edges among the lengths: under a segment, and 26 frames over one.

    As many frames as were asked for, codes that are codes, finite samples of that length, the same again by seed, no leak.
    """
    from harness.settings import Settings
    from implementations.codec import model as codec
    from implementations.codec.configuration import FLAVOURS as CODECS
    from implementations.codec.song import noise_of, song
    from implementations.codec.torch_packed import kernels
    from implementations.generator.component import request_of
    from implementations.generator.component import song as case
    from implementations.generator.flavours import FLAVOURS
    from implementations.generator.generation import generate
    from implementations.generator.torch_rows import open_native

    model, sizes, ready = open_native(FLAVOURS["tiny"], Settings(threads=1)), CODECS["tiny"], kernels(codec.load("tiny"))

    def made(frames, seed):
        inputs = {**case("", "tiny", text=8, frames=frames, top_k=50).make(seed), "temperature": 1.0}
        codes = np.stack([frame.codes for frame in generate(model, request_of(inputs)[1])])
        entries = np.minimum(codes, sizes.codebook_size - 1).astype(np.int64)

        def flow(codes, noise, context):
            return ready.flow(codes, noise, context, 2, 1.25)

        parts = song([entries], lambda number: noise_of(seed, number, sizes, 93), flow, ready.decode, sizes, length=93)
        return codes, np.concatenate([samples for _, samples in parts])

    random, resident = np.random.default_rng(0), []
    lengths = [1, 92, 93, 94, 106, 119, *random.integers(1, 80, 94)]
    for seed, frames in enumerate(lengths):
        codes, samples = made(int(frames), seed)
        assert codes.shape == (frames, 8)
        assert (codes >= 0).all()
        assert (codes < FLAVOURS["tiny"].vocabulary).all()
        assert samples.shape == (frames * sizes.samples_per_frame, 2)
        assert np.isfinite(samples).all()
        if seed % 10 == 0:
            again = made(int(frames), seed)
            assert np.array_equal(again[0], codes)
            assert np.array_equal(again[1], samples)
            assert frames < 3 or not np.array_equal(made(int(frames), seed + 1000)[0], codes)
        gc.collect()
        resident.append(psutil.Process().memory_info().rss)
    slope = np.polyfit(np.arange(50), resident[50:], 1)[0]
    assert slope < 1e5, f"{slope / 1e3:.0f} kB more with every song"


def test_a_hundred_songs(tmp_path):
    """Random lengths, those at which upstream loses sound or divides by zero among them: right length, finite, no leak, the same again."""
    from implementations.generator.__main__ import main

    random, resident = np.random.default_rng(0), []
    lengths = [0.01, 0.08, 7.36, 7.44, 7.52, 8.32, *random.uniform(0.1, 3.0, 94).round(2)]
    for number, seconds in enumerate(lengths):
        path = tmp_path / f"{number}.wav"
        arguments = ["--tags", "calm piano", "--lyrics", "la", "--seconds", str(seconds), "--seed", str(number), "-o", str(path)]
        assert main(arguments) == 0
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels()) == (48000, 2)
            assert 1920 <= file.getnframes() <= max(1, round(seconds * 12.5)) * 3840
        if number % 10 == 0:
            assert main([*arguments[:-1], str(tmp_path / "again.wav")]) == 0
            assert (tmp_path / "again.wav").read_bytes() == path.read_bytes()
        path.unlink()
        resident.append(psutil.Process().memory_info().rss)
    slope = np.polyfit(np.arange(50), resident[50:], 1)[0]
    assert slope < 1e6, f"{slope / 1e6:.2f} MB more with every song"
