"""What the codes of the small generator mean: a sequencer. Codes become strikes, strikes latents and, by a synthesizer, sound.

The small weights write made-up codes (`implementations.generator.songs`), so their meaning is made up too. Each frame is a step of 80 ms:

- codebook 0: the chord's root (code % 12) and the mood (code // 12), which says third, pattern and drums,
- codebook 1: the melody's note (code % 12) and the beat of four (code // 12),
- codebook 2: where the melody stands between left and right; codebook 3: how loud the hat is; both in steps of 16 codes,
- the others are not heard; 48 and more in codebook 0 or 1 are rests.

A voice is one note of one instrument. All notes are struck anew, always alike, so the sound is a sum of delayed copies of the voices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implementations.codec.configuration import CHANNELS, LATENTS_PER_FRAME, Configuration

SAMPLE_RATE, FRAME = 48000, 3840
CODES, STEP, NOTES, BEATS = 64, 16, 12, 4
MINOR, MAJOR = 3, 4
BASS, CHORD, MELODY, DRUMS = 0, NOTES, 2 * NOTES, 3 * NOTES
"""The first voice of each instrument; notes begin at C."""

KICK, SNARE, HAT = DRUMS, DRUMS + 1, DRUMS + 2
VOICES = DRUMS + 3
RINGING = 5760
"""Samples that a voice sounds, one and a half frames."""

LOUDEST = 6
"""Of a latent: a voice struck at 1. Latents then have about the power of the noise that the flow begins with."""

PANS = np.array([[9, 3], [8, 5], [5, 8], [3, 9]], np.float32) / 9
"""(steps, channels)."""

BASS_HERTZ, CHORD_HERTZ, MELODY_HERTZ = (octave * 2 ** (np.arange(NOTES) / NOTES) for octave in (130.813, 261.626, 1046.502))
"""Of each note, equal temperament: octaves 3, 4 and 6."""

HATS = np.array([0, 3, 6, 9], np.float32) / 9
"""How loud, by step."""


@dataclass(frozen=True)
class Mood:
    """third: semitones above the root. The others: the beats at which the triad, its root in the bass, and the drums are struck."""

    third: int
    chord: tuple[int, ...]
    bass: tuple[int, ...]
    kick: tuple[int, ...] = ()
    snare: tuple[int, ...] = ()


MOODS = (
    Mood(MAJOR, chord=(0, 2), bass=(0,)),
    Mood(MAJOR, chord=(1, 3), bass=(0, 2), kick=(0,), snare=(2,)),
    Mood(MINOR, chord=(2,), bass=(1, 2, 3), kick=(0, 2)),
    Mood(MINOR, chord=(0, 1, 2, 3), bass=(0, 2)),
)
"""In the order of the generator's tags: calm piano, bright pop, dark techno, slow strings."""


def strikes(codes: np.ndarray) -> np.ndarray:
    """(frames, 2, VOICES) float32: how loud each voice is struck on the left and the right, 0 to 1 in ninths. codes: (frames, 8)."""
    chords, notes = _patterns()[codes[:, 0], codes[:, 1] // NOTES], np.eye(NOTES, dtype=np.float32)
    chords[:, HAT] = HATS[codes[:, 3] // STEP]
    struck = np.repeat(chords[:, None], CHANNELS, axis=1)
    melody = notes[codes[:, 1] % NOTES] * (codes[:, 1] < NOTES * BEATS)[:, None]
    struck[..., MELODY:DRUMS] = PANS[codes[:, 2] // STEP][..., None] * melody[:, None]
    return struck


def latents_of(codes: np.ndarray) -> np.ndarray:
    """(2 frames, 2 VOICES) float32, all left voices before the right ones: a frame's strikes, then nothing."""
    found = np.zeros((len(codes), LATENTS_PER_FRAME, CHANNELS * VOICES), np.float32)
    found[:, 0] = LOUDEST * strikes(codes).reshape(len(codes), -1)
    return found.reshape(-1, CHANNELS * VOICES)


def render(codes: np.ndarray) -> np.ndarray:
    """(frames x 3840, 2) float32 at 48 kHz: what the codes (frames, 8) ought to sound like. The last frame is cut off as it rings."""
    sounds = strikes(codes) @ voices()
    wave = np.zeros(((len(codes) + 1) * FRAME, CHANNELS), np.float32)
    for frame, sound in enumerate(sounds):
        wave[frame * FRAME : frame * FRAME + RINGING] += sound.T
    return wave[:-FRAME]


def voices() -> np.ndarray:
    """(VOICES, RINGING) float32: each voice at its loudest."""
    bass = [_tone(hertz, (0.25, 0.12, 0.06, 0.03, 0.015), 0.06) for hertz in BASS_HERTZ]
    chord = [_tone(hertz, (0.12, 0.03, 0.012, 0.006), 0.05) for hertz in CHORD_HERTZ]
    tune = [_tone(hertz, (0.2, 0.03, 0.01), 0.045) for hertz in MELODY_HERTZ]
    return np.stack([*bass, *chord, *tune, _kick(), _snare(), _hat()]).astype(np.float32)


def melody(codes: np.ndarray) -> np.ndarray:
    """(frames,) int64: the pitch class that the melody has in each frame, -1 where it rests."""
    return np.where(codes[:, 1] < NOTES * BEATS, codes[:, 1] % NOTES, -1)


def _patterns() -> np.ndarray:
    """(64 codes, 6, VOICES) float32: what codebook 0 strikes at each beat of codebook 1; nothing where either rests."""
    table = np.zeros((CODES, CODES // NOTES + 1, VOICES), np.float32)
    for code in range(NOTES * len(MOODS)):
        mood, root = MOODS[code // NOTES], code % NOTES
        for beat in range(BEATS):
            table[code, beat, [CHORD + (root + tone) % NOTES for tone in (0, mood.third, 7)]] = beat in mood.chord
            table[code, beat, [BASS + root, KICK, SNARE]] = [beat in struck for struck in (mood.bass, mood.kick, mood.snare)]
    return table


_TIME = np.arange(RINGING) / SAMPLE_RATE


def _decay(seconds: float) -> np.ndarray:
    """Falls to 1/e within these seconds, after an attack of 2 ms; silent at both ends, so that nothing clicks."""
    attack, release = np.minimum(1, _TIME / 0.002), np.minimum(1, (RINGING - np.arange(RINGING)) / 960)
    found: np.ndarray = np.exp(-_TIME / seconds) * attack * release
    return found


def _tone(hertz: float, harmonics: tuple[float, ...], seconds: float) -> np.ndarray:
    partials = [level * np.sin(2 * np.pi * hertz * number * _TIME) for number, level in enumerate(harmonics, 1)]
    found: np.ndarray = sum(partials, np.zeros(RINGING)) * _decay(seconds)
    return found


def _kick() -> np.ndarray:
    sweep = 45 * _TIME + 110 * 0.02 * (1 - np.exp(-_TIME / 0.02))  # cycles: from 155 down to 45 Hz
    found: np.ndarray = 0.4 * np.sin(2 * np.pi * sweep) * _decay(0.04)
    return found


def _snare() -> np.ndarray:
    noise = np.convolve(np.random.Generator(np.random.PCG64(1)).standard_normal(RINGING), np.hanning(12) / 4, mode="same")
    found: np.ndarray = (0.1 * noise + 0.1 * np.sin(2 * np.pi * 190 * _TIME)) * _decay(0.025)
    return found


def _hat() -> np.ndarray:
    noise = np.random.Generator(np.random.PCG64(2)).standard_normal(RINGING)
    found: np.ndarray = 0.08 * np.diff(noise, prepend=0) * _decay(0.008)
    return found


def meanings() -> np.ndarray:
    """(8, 64, 47) float32: what each code of each codebook says of chord (root and third), mood, note, beat, both pans and the hat."""
    codes, heard = np.arange(CODES), np.arange(NOTES * BEATS)
    note, group = heard % NOTES, heard // NOTES
    minor = np.array([mood.third == MINOR for mood in MOODS])[group]
    mood, melody, beat, pan, hat = 2 * NOTES, 2 * NOTES + 4, 3 * NOTES + 4, 3 * NOTES + 8, 3 * NOTES + 10
    found = np.zeros((8, CODES, hat + 1), np.float32)
    found[0, heard, NOTES * minor + note] = found[0, heard, mood + group] = 1
    found[1, heard, melody + note] = found[1, heard, beat + group] = 1
    found[2, :, pan:hat] = PANS[codes // STEP]
    found[3, :, hat] = HATS[codes // STEP]
    return found


def check(configuration: Configuration) -> None:
    """ValueError where a codec's sizes are not those of this score."""
    expected = SAMPLE_RATE, FRAME, VOICES
    found = configuration.sample_rate, configuration.samples_per_frame, configuration.latent_hidden_dim
    if found != expected:
        raise ValueError(f"score: expected (sample rate, samples to a frame, latents of a channel) {expected}, found {found}")
