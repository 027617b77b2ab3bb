"""Viterbi beside all paths; heads on codes that follow from the state; songs written by them."""

from itertools import product

import numpy as np
import pytest
import torch

from implementations.generator.checkpoints import random
from implementations.generator.component import GENERATOR, request_of
from implementations.generator.cuda import plain as hold
from implementations.generator.engine import Engine
from implementations.generator.flavours import CODEBOOKS, FLAVOURS
from implementations.generator.generation import generate
from implementations.generator.heads import AHEAD, Heads, fit, follows_of, nats, right, states_of, viterbi, write

TINY = FLAVOURS["tiny"]


def score(path, emissions, transitions):
    links = sum(transitions[place, path[place], path[place + 1]] for place in range(len(path) - 1))
    return links + sum(emissions[place, code] for place, code in enumerate(path))


@pytest.mark.parametrize(("places", "codes"), [(1, 4), (2, 5), (4, 3), (6, 2)])
def test_viterbi_finds_the_best_of_all_paths(places, codes):
    rng = np.random.default_rng(places)
    for _ in range(20):
        emissions, transitions = rng.normal(size=(places, codes)), rng.normal(size=(places - 1, codes, codes))
        best = max(product(range(codes), repeat=places), key=lambda path: score(path, emissions, transitions))
        assert viterbi(emissions, transitions).tolist() == list(best)


def test_viterbi_obeys_links_that_are_forbidden_and_ignores_absent_ones():
    emissions = np.log([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    forbidden = np.array([[[-np.inf, 0.0], [0.0, 0.0]]] * 2)
    assert viterbi(emissions, forbidden).tolist() == [0, 1, 0]
    assert viterbi(emissions, np.zeros((2, 2, 2))).tolist() == [0, 0, 0]


def test_links_say_how_much_likelier_a_code_is_than_without_them():
    rng = np.random.default_rng(0)
    above = rng.integers(4, size=4000)
    codes = np.stack([(above + book) % 4 if book < 2 else rng.integers(4, size=4000) for book in range(CODEBOOKS)], axis=1)
    follows = follows_of(codes, 4)
    assert follows.shape == (7, 4, 4)
    assert (follows[0].argmax(axis=1) == (np.arange(4) + 1) % 4).all()
    assert np.abs(follows[1:]).max() < 0.2, "of codes that do not depend on each other there is nothing to learn"


@pytest.fixture(scope="module")
def model():
    return Engine(TINY, random(TINY), hold)


def test_heads_learn_what_follows_from_a_state(model):
    """Codes of the frames ahead that are functions of the state; the control is the same heads before they learned."""
    rng = np.random.default_rng(1)
    kind = rng.integers(8, size=200)
    states = torch.eye(8)[kind]
    song = np.stack([(3 * kind + book) % TINY.vocabulary for book in range(CODEBOOKS)], axis=1)
    targets = torch.from_numpy(np.stack([song] * AHEAD, axis=1))
    trained = Heads(fit(states, targets, TINY.vocabulary, steps=60), follows_of(song, TINY.vocabulary))
    untrained = Heads(torch.zeros_like(trained.weight), 0 * trained.follows)
    same = np.concatenate([song[:1], song[:-1]])  # right() looks a frame ahead: its first frame is nobody's
    for heads, expected in ((trained, 1.0), (untrained, None)):
        found = heads.distributions(states).argmax(axis=-1) == targets.numpy()
        assert found.mean() == expected if expected else found.mean() < 0.2
    assert right(trained, states, same)[:, 0].min() == 1.0
    assert np.array_equal(trained.frames(states[0]), targets[0].numpy())


def test_songs_of_heads_have_the_length_and_begin_as_plain_decoding(model):
    """The first frame and, since nothing was foretold wrong before it, no other: what the heads say is read by the model."""
    request = request_of({**GENERATOR.case("tiny").make(0), "frames": 14, "top_k": 50})[1]
    plain = np.stack([frame.codes for frame in generate(model, request)])
    heads = Heads(torch.zeros(AHEAD * CODEBOOKS * TINY.vocabulary, TINY.backbone.dim), np.zeros((7, TINY.vocabulary, TINY.vocabulary)))
    found = np.stack(list(write(model, request, heads)))
    assert found.shape == (14, CODEBOOKS)
    assert np.array_equal(found[0], plain[0])
    assert not found[1 : 1 + AHEAD].any(), "heads without weights say code 0"
    assert found[1 + AHEAD].any()


def test_heads_that_know_the_song_write_it(model, monkeypatch):
    request = request_of({**GENERATOR.case("tiny").make(0), "frames": 14, "top_k": 50})[1]
    song = np.stack([frame.codes for frame in generate(model, request)]).astype(np.int64)
    ahead = iter(range(1, 14, 1 + AHEAD))
    heads = Heads(torch.zeros(1), np.zeros(1))
    monkeypatch.setattr(Heads, "frames", lambda self, state: song[(first := next(ahead)) : first + AHEAD])
    assert np.array_equal(np.stack(list(write(model, request, heads))), song)


def test_nats_are_those_of_the_models_own_logits(model):
    request = request_of({**GENERATOR.case("tiny").make(0), "frames": 6, "guidance": 1.0})[1]
    frames = list(generate(model, request))
    codes = np.stack([frame.codes for frame in frames]).astype(np.int64)
    logits = torch.from_numpy(np.stack([frame.logits for frame in frames])).log_softmax(-1)
    expected = -logits.gather(-1, torch.from_numpy(codes)[..., None]).mean()
    assert nats(model, states_of(model, request.prompt, codes), codes) == pytest.approx(float(expected), abs=1e-4)


def test_the_program_tells_what_the_ledger_asks_of_it(told_by):
    told = told_by("implementations.generator.heads", "--songs", "2", "--frames", "10", "--trained", "4", "--steps", "5")
    figure = told["codes_right_ahead"]
    assert 0 <= figure.low <= figure.value <= figure.high < 0.97


@pytest.mark.long
def test_heads_of_the_trained_model_know_the_chord_and_not_the_melody():
    """First codes are foretold, the second is a melody which the model itself does not know, and the others follow from it."""
    from implementations.generator.acceptance import engine
    from implementations.generator.heads import train
    from implementations.generator.songs import song
    from implementations.generator.text import prompt_of

    small = engine("small")
    heads = train(small, 128, 300)
    tags, lyrics, codes = song(1, 60)
    for shares in right(heads, states_of(small, prompt_of(tags, lyrics, small.flavour), codes), codes):
        assert shares[:, 0].min() > 0.4
        assert shares[:, 1:].mean() < 0.2
