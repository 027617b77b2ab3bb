"""Procedural music for the five models: what is heard, and what each model should say about it.

One latent per example, (valence, arousal, tonic, style), and the chord that sounds, decide everything. The tonic drones, with a
third between minor and major as the valence goes; the chord sounds above; arousal is brightness and level; style is a formant.
Labels: an embedding of the latent, eight notes in key, the next chord of a grammar, sixteen velocities, a groove of timing and weight.
1 in 16 next chords breaks the grammar, so that no model can be always right.

The same bytes for the same arguments, in every process and on every machine: raw integers of PCG64, then elementwise + - * / and
comparisons in float64, one rounding to float32; no exp, log or library sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

Split = Literal["train", "validation", "test"]

SPLITS: dict[Split, int] = {"train": 12_000, "validation": 3_000, "test": 3_000}
"""Examples in each split as the shipped checkpoints saw them; splits of one seed are independent streams."""

QUADRANTS, TONICS, STYLES, DEGREES = 4, 12, 4, 4
TOP_NOTES, DYNAMICS_TOLERANCE, GROOVE_TOLERANCE = 8, 0.06, 0.08

_BANDS, _BANDS_PER_OCTAVE = 128, 16
# 16 log2(k), written out because a logarithm's last bit is the library's.
_PARTIALS = (0.0, 16.0, 25.35940001153850, 32.0, 37.15084951819780, 41.35940001153850)
_MINOR, _MAJOR, _DIMINISHED = (0, 3, 7), (0, 4, 7), (0, 3, 6)
_TRIADS = (_MAJOR, _MINOR, _MAJOR, _MINOR, _DIMINISHED)
# (semitones above the tonic, quality) of the four chords that sound, then of the leading chord that only follows: minor key, major key.
_CHORDS = (((0, 1), (5, 1), (7, 0), (8, 0), (11, 4)), ((0, 0), (5, 0), (7, 0), (9, 1), (11, 4)))
# The chord that follows each of the four, by style; then the one that follows 1 time in 16.
_NEXT = ((1, 2, 0, 1), (3, 0, 3, 2), (2, 4, 0, 4), (1, 3, 1, 0))
_INSTEAD = ((3, 0, 3, 2), (1, 2, 0, 1), (3, 2, 3, 0), (2, 0, 4, 2))
_SCALES = ((0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11))
_REGISTERS = (0.0, 5.0, -5.0, 12.0)
_ACCENTS = ("4121312141213121", "4111411141114111", "4214214242142142", "1341134113411341")
_SWING = (0.0, 0.5, 0.25, -0.25)


@dataclass(frozen=True, eq=False)
class Examples:
    """features: (count, 128) float32, about [-1, 1]. labels: by model, in the same order.

    emotion_recognizer (count, 64), melody_transformer (count, 128) of 0 and 1, dynamics_engine (count, 16), groove_predictor
    (count, 32), all float32 and what a perfect model would put out; harmony_predictor (count,) int64 classes.
    """

    features: np.ndarray
    labels: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Latents:
    """(count,) each: valence, arousal float64 in [-1, 1]; tonic 0..11, style 0..3, degree 0..3, broken 0..1 int64."""

    valence: np.ndarray
    arousal: np.ndarray
    tonic: np.ndarray
    style: np.ndarray
    degree: np.ndarray
    broken: np.ndarray

    @property
    def major(self) -> np.ndarray:
        return (self.valence > 0).astype(np.int64)


def split(name: Split, count: int | None = None, seed: int = 0) -> Examples:
    """The first `count` examples of a split (`SPLITS[name]` by default); ValueError for an unknown name or a negative number."""
    if name not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}, found {name!r}")
    count = SPLITS[name] if count is None else count
    if count < 0 or seed < 0:
        raise ValueError(f"count and seed: expected numbers >= 0, found {count} and {seed}")
    latent, played, noise, touch, timing = (np.random.PCG64([seed, list(SPLITS).index(name), stream]) for stream in range(5))
    draws = _uniform(latent, (count, 6)).T
    latents = _Latents(
        valence=_away_from_zero(draws[0]),
        arousal=_away_from_zero(draws[1]),
        tonic=(draws[2] * TONICS).astype(np.int64),
        style=(draws[3] * STYLES).astype(np.int64),
        degree=(draws[4] * DEGREES).astype(np.int64),
        broken=(draws[5] < 1 / 16).astype(np.int64),
    )
    labels = {
        "emotion_recognizer": embedding(latents.valence, latents.arousal, latents.tonic, latents.style),
        "melody_transformer": _melody(latents),
        "harmony_predictor": _harmony(latents),
        "dynamics_engine": _dynamics(latents, touch),
        "groove_predictor": _groove(latents, timing),
    }
    exact = {model: label if label.dtype == np.int64 else label.astype(np.float32) for model, label in labels.items()}
    return Examples(_features(latents, played, noise).astype(np.float32), exact)


def accuracy(model: str, outputs: np.ndarray, labels: np.ndarray) -> float:
    """The share of right answers, in [0, 1], of a model's outputs on the labels of the same examples; NaN is never right.

    Emotion: quadrant and tonic both those of the nearest prototype. Melody: of the 8 strongest notes, those in the label.
    Harmony: the strongest chord. Dynamics and groove: values within 0.06 and 0.08.
    """
    if len(outputs) != len(labels) or not len(labels):
        raise ValueError(f"{model}: expected outputs for each of {len(labels)} labels and at least one, found {len(outputs)}")
    finite = np.isfinite(outputs).all(axis=1)
    outputs = np.where(np.isfinite(outputs), outputs, 0)
    match model:
        case "emotion_recognizer":
            right = nearest_prototype(outputs) == nearest_prototype(labels)
        case "melody_transformer":
            strongest = np.argsort(-outputs, axis=1, kind="stable")[:, :TOP_NOTES]
            right = np.take_along_axis(labels, strongest, axis=1) > 0
        case "harmony_predictor":
            right = outputs.argmax(axis=1) == labels
        case "dynamics_engine":
            right = np.abs(outputs - labels) <= DYNAMICS_TOLERANCE
        case "groove_predictor":
            right = np.abs(outputs - labels) <= GROOVE_TOLERANCE
        case _:
            raise ValueError(f"accuracy: no task of that name: {model!r}")
    return float((right & (finite if right.ndim == 1 else finite[:, None])).mean())


def constant_outputs(model: str, seen: np.ndarray, count: int) -> np.ndarray:
    """(count, outputs) of the predictor that always says the same, what any model has to beat.

    Of the labels seen: the frequency of each chord, the mean of notes, the median of the rest.
    """
    if model == "harmony_predictor":
        constant = np.bincount(seen, minlength=64) / len(seen)
    else:
        constant = seen.mean(axis=0) if model == "melody_transformer" else np.median(seen, axis=0)
    return np.tile(constant, (count, 1))


def embedding(valence: np.ndarray, arousal: np.ndarray, tonic: np.ndarray, style: np.ndarray) -> np.ndarray:
    """(count, 64) float64 within [-0.9, 0.9]: rows of a Hadamard matrix, orthogonal also in their first 32 places.

    So whoever sees only half of it (Dynamics) still can tell everything.
    """
    signs = _hadamard()
    mood = 0.3 * (valence[:, None] * signs[1]) + 0.3 * (arousal[:, None] * signs[2])
    return np.asarray(mood + 0.18 * signs[3 + tonic] + 0.12 * signs[16 + style])


def nearest_prototype(embeddings: np.ndarray) -> np.ndarray:
    """(count,) int64: 12 * quadrant + tonic of the nearest of 48 prototypes, which have valence and arousal +-0.6 and no style."""
    signs = _hadamard()
    quadrant, tonic = np.divmod(np.arange(QUADRANTS * TONICS), TONICS)
    mood = (quadrant // 2 * 1.2 - 0.6)[:, None] * signs[1] + (quadrant % 2 * 1.2 - 0.6)[:, None] * signs[2]
    prototypes = 0.3 * mood + 0.18 * signs[3 + tonic]
    # All prototypes are equally long, so the nearest is the one with the largest product.
    return np.asarray(np.argmax(embeddings.astype(np.float64) @ prototypes.T, axis=1))


@lru_cache(maxsize=1)
def _hadamard() -> np.ndarray:
    """(64, 64) of -1 and 1, Sylvester's."""
    signs = np.ones((1, 1))
    while len(signs) < 64:
        signs = np.block([[signs, signs], [signs, -signs]])
    return signs


def _features(latents: _Latents, played: np.random.PCG64, noise: np.random.PCG64) -> np.ndarray:
    """(count, 128) float64: band b is centred (b - 4) * 3 / 4 semitones above the lowest tonic; levels are compressed to [-0.8, 1.2)."""
    count = len(latents.tonic)
    draws = _uniform(played, (count, 9)).T
    rolloff = 0.55 + 0.25 * latents.arousal
    major = 0.5 * (1 + latents.valence)
    root, quality = _chord(latents, latents.degree)
    chord = (root[:, None] + np.array(_TRIADS)[quality]) % 12 + 24
    drone = latents.tonic + 12 * (draws[0] < 0.5)
    sound = (
        (drone, 1.5),
        ((latents.tonic + 4) % 12 + 12, major),
        ((latents.tonic + 3) % 12 + 12, 1 - major),
        *((pitch, 0.8) for pitch in chord.T),
    )
    total = np.zeros((count, _BANDS))
    for (pitch, level), draw in zip(sound, draws[1:7], strict=True):
        strength = level * (0.85 + 0.3 * draw)
        for comb in _combs():
            total += strength[:, None] * comb[pitch]
            strength = strength * rolloff
    distance = (np.arange(_BANDS) - (70.0 + 14.0 * latents.style)[:, None]) / 5.0
    total += (0.5 + 0.3 * draws[7])[:, None] * _bump(distance)
    total *= ((0.9 + 0.3 * draws[8]) * (1 + 0.3 * latents.arousal))[:, None]
    speckle = _uniform(noise, (count, 2, _BANDS))
    total *= 0.85 + 0.3 * speckle[:, 0]
    total += 0.1 * speckle[:, 1]
    return 2 * (total / (0.5 + total)) - 0.8


@lru_cache(maxsize=1)
def _combs() -> np.ndarray:
    """(partials, 36 pitches, 128 bands): where the k-th partial of a pitch lies."""
    band = 4 + np.arange(36) * (_BANDS_PER_OCTAVE / 12)
    places = band[None, :, None] + np.array(_PARTIALS)[:, None, None]
    return _bump((np.arange(_BANDS) - places) / 0.8)


def _bump(distance: np.ndarray) -> np.ndarray:
    """1 at 0, a quarter at 1, then falling with the fourth power."""
    inner = 1 / (1 + distance * distance)
    return np.asarray(inner * inner)


def _chord(latents: _Latents, degree: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pitch class of the root and quality (as in `_TRIADS`), of a degree of the example's key."""
    steps, quality = np.moveaxis(np.array(_CHORDS)[latents.major, degree], -1, 0)
    return (latents.tonic + steps) % 12, quality


def _harmony(latents: _Latents) -> np.ndarray:
    """(count,) the chord that follows: 5 * root + quality; high arousal adds the seventh to major and minor chords."""
    degree = np.array((_NEXT, _INSTEAD))[latents.broken, latents.style, latents.degree]
    root, quality = _chord(latents, degree)
    return np.asarray(5 * root + np.where((latents.arousal > 0) & (quality < 2), quality + 2, quality))


def _melody(latents: _Latents) -> np.ndarray:
    """(count, 128) of 0 and 1: the eight notes in key nearest to a centre: an octave higher where arousal is high, moved by style.

    Two heights, not a slope: on a slope the notes at its edges would be a matter of the last digit of arousal.
    """
    note = np.arange(128)
    scales = np.zeros((2, 12), bool)
    for scale, steps in zip(scales, _SCALES, strict=True):
        scale[list(steps)] = True
    in_key = scales[latents.major[:, None], (note - latents.tonic[:, None]) % 12]
    centre = 60 + 6 * np.where(latents.arousal > 0, 1, -1) + np.array(_REGISTERS)[latents.style]
    distance = np.where(in_key, np.abs(note - centre[:, None]), 128.0)
    played = np.zeros((len(centre), 128))
    np.put_along_axis(played, np.argsort(distance, axis=1, kind="stable")[:, :TOP_NOTES], 1.0, axis=1)
    return played


def _dynamics(latents: _Latents, noise: np.random.PCG64) -> np.ndarray:
    """(count, 16) in [0, 1]: velocities of the sixteenths of a bar; arousal is loud, style accents, valence swells."""
    accents = np.array([[int(digit) - 2.5 for digit in pattern] for pattern in _ACCENTS])
    swell = 0.1 * latents.valence[:, None] * ((np.arange(16) - 7.5) / 7.5)
    level = 0.5 + 0.25 * latents.arousal
    velocity = level[:, None] + 0.08 * accents[latents.style] + swell + 0.025 * _triangular(noise, (len(level), 16))
    return np.asarray(np.clip(velocity, 0, 1))


def _groove(latents: _Latents, noise: np.random.PCG64) -> np.ndarray:
    """(count, 32) in [-1, 1]: timing of the sixteenths (swing of the style, early when aroused), then their weights."""
    place = np.arange(16)
    offbeat, backbeat = place % 2, (place % 8 == 4) * 1.0
    timing = np.array(_SWING)[latents.style][:, None] * offbeat - 0.3 * latents.arousal[:, None] * backbeat
    weight = np.array([[(int(digit) - 2.5) / 3 for digit in pattern] for pattern in _ACCENTS])[latents.style]
    weight = weight * (0.75 + 0.25 * latents.valence * latents.arousal)[:, None] + 0.3 * latents.valence[:, None] * offbeat
    return np.clip(np.concatenate([timing, weight], axis=1) + 0.05 * _triangular(noise, (len(timing), 32)), -1, 1)


def _away_from_zero(draws: np.ndarray) -> np.ndarray:
    """[0, 1) to [-1, -0.1) and [0.1, 1): quadrants are told apart, but not by much."""
    value = 2 * draws - 1
    return np.where(value < 0, 0.9 * value - 0.1, 0.9 * value + 0.1)


def _triangular(random: np.random.PCG64, shape: tuple[int, int]) -> np.ndarray:
    """In (-1, 1), most often near 0."""
    pairs = _uniform(random, (*shape, 2))
    return np.asarray(pairs[..., 0] - pairs[..., 1])


def _uniform(random: np.random.PCG64, shape: tuple[int, ...]) -> np.ndarray:
    """float64 in [0, 1)."""
    raw = random.random_raw(math.prod(shape))
    return ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)
