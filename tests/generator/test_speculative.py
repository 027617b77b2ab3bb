"""Speculative decoding gives the song of plain decoding, code by code, whatever is drafted; acceptance counts what it says."""

import numpy as np
import pytest
from scipy.stats import chisquare

from implementations.generator.checkpoints import random
from implementations.generator.component import GENERATOR, request_of
from implementations.generator.cuda import plain as hold
from implementations.generator.engine import Engine
from implementations.generator.flavours import CODEBOOKS, FLAVOURS
from implementations.generator.generation import generate
from implementations.generator.speculative import Dial, ModelDraft, SectionCopy, Tally, accept
from implementations.generator.speculative import generate as speculate

TINY = FLAVOURS["tiny"]
FRAMES = 14


@pytest.fixture(scope="module")
def model():
    return Engine(TINY, random(TINY), hold)


def asked(seed=0, **changes):
    inputs = {**GENERATOR.case("tiny").make(seed), "frames": FRAMES, **changes}
    return request_of(inputs)[1]


def plain(model, request):
    return list(generate(model, request))


class Nonsense:
    """Frames that are never right, of every length from none to as many as are allowed."""

    def propose(self, history, count, request):
        return np.full((min(count, len(history) % 5), CODEBOOKS), 65)


class Stuck:
    """The last frame again: half right now and then."""

    def propose(self, history, count, request):
        return np.repeat(history[-1:], count, axis=0)


DRAFTS = {
    "the song": lambda song: Dial(song, 0.0, TINY.vocabulary),
    "nine in ten": lambda song: Dial(song, 0.1, TINY.vocabulary),
    "half": lambda song: Dial(song, 0.5, TINY.vocabulary),
    "the model itself": lambda song: ModelDraft(Engine(TINY, random(TINY), hold)),
    "another model": lambda song: ModelDraft(Engine(TINY, random(TINY, seed=1), hold)),
    "copies": lambda song: SectionCopy(),
    "nonsense": lambda song: Nonsense(),
    "stuck": lambda song: Stuck(),
}


@pytest.mark.parametrize("sampled", [{"top_k": 1}, {"top_k": 50}], ids=["greedy", "top-k 50"])
@pytest.mark.parametrize("draft", DRAFTS)
def test_the_song_is_that_of_plain_decoding(model, draft, sampled):
    request = asked(**sampled)
    expected = plain(model, request)
    song = np.stack([frame.codes for frame in expected])
    for ahead in (0, 3):
        found = list(speculate(model, request, DRAFTS[draft](song), ahead=ahead))
        np.testing.assert_array_equal(np.stack([frame.codes for frame in found]), song)
        np.testing.assert_allclose(np.stack([f.logits for f in found]), np.stack([f.logits for f in expected]), atol=1e-4)


def test_without_guidance_there_is_one_row(model):
    request = asked(top_k=50, guidance=1.0)
    song = np.stack([frame.codes for frame in plain(model, request)])
    found = speculate(model, request, Dial(song, 0.1, TINY.vocabulary))
    np.testing.assert_array_equal(np.stack([frame.codes for frame in found]), song)


def test_a_draft_that_is_right_saves_passes(model):
    request = asked(top_k=50)
    song = np.stack([frame.codes for frame in plain(model, request)])
    tally = Tally()
    list(speculate(model, request, Dial(song, 0.0, TINY.vocabulary), ahead=4, tally=tally))
    assert (tally.frames, tally.acceptance) == (FRAMES, 1.0)
    assert tally.passes == 3, "one frame, then four drafted and one more at a time: 1 + 5 + 5 + 3"
    depth_only = Tally()
    list(speculate(model, request, Dial(song, 0.0, TINY.vocabulary), ahead=0, tally=depth_only))
    assert (depth_only.passes, depth_only.accepted) == (FRAMES - 1, FRAMES - 1)
    list(speculate(model, request, Nonsense(), ahead=4, tally=(wrong := Tally())))
    assert (wrong.accepted, wrong.passes) == (0, FRAMES - 1)


def test_the_model_as_its_own_draft_is_always_right(model):
    tally = Tally()
    list(speculate(model, asked(top_k=50), ModelDraft(Engine(TINY, random(TINY), hold)), tally=tally))
    assert tally.acceptance == 1.0


def test_the_end_of_a_song_is_found_within_a_draft(model):
    request = asked(top_k=50, seed=5)
    song = np.stack([frame.codes for frame in plain(model, request)])
    ending = asked(top_k=50, seed=5, end=int(np.sort(song[1:].max(axis=1))[-3]))
    expected = np.stack([frame.codes for frame in plain(model, ending)])
    assert len(expected) < FRAMES
    found = list(speculate(model, ending, Dial(song, 0.0, TINY.vocabulary)))
    np.testing.assert_array_equal(np.stack([frame.codes for frame in found]), expected)


def test_repeats_are_copied_from_the_longest_match():
    song = np.arange(12)[:, None].repeat(CODEBOOKS, axis=1)
    history = np.concatenate([song, song[3:6], song[:5]])
    np.testing.assert_array_equal(SectionCopy().propose(history, 3, None)[:, 0], [5, 6, 7])
    assert not len(SectionCopy().propose(song, 3, None))


TARGET = np.array([0.5, 0.2, 0.2, 0.1, 0.0])
DRAFT = np.array([0.1, 0.3, 0.2, 0.1, 0.3])


def drawn(rule):
    random = np.random.default_rng(7)
    proposed = random.choice(5, 20000, p=DRAFT)
    return np.bincount([rule(int(x), *random.random(2)) for x in proposed], minlength=5)


def test_rejection_sampling_has_the_distribution_of_the_target():
    counts = drawn(lambda x, u, v: accept(TARGET, DRAFT, x, u, v))
    assert counts[4] == 0
    assert chisquare(counts[:4], 20000 * TARGET[:4]).pvalue > 0.001


def test_accepting_blindly_is_seen():
    """The control: the same test refuses the draft's own distribution, also where only the residual is wrong."""
    blind = drawn(lambda x, u, v: x)
    assert chisquare(blind, 20000 * np.maximum(TARGET, 1e-9) / np.maximum(TARGET, 1e-9).sum()).pvalue < 1e-9
    careless = drawn(lambda x, u, v: x if u * DRAFT[x] < TARGET[x] else int(np.searchsorted(np.cumsum(TARGET), v, side="right")))
    assert chisquare(careless[:4], 20000 * TARGET[:4]).pvalue < 1e-9


def test_forced_codes_are_refused(model):
    request = asked(forced=np.zeros((FRAMES, CODEBOOKS), np.int64))
    with pytest.raises(ValueError, match="forced: a draft cannot be checked"):
        list(speculate(model, request, Nonsense()))
