"""Sentences to speak: a small grammar over word lists of our own, with invented words between them, the same for a seed everywhere.

The words cover each sound of English in several neighbourhoods; invented words, spelt from syllables, bring the neighbourhoods that a
list of any length lacks, so that the voice can speak words it never saw. Splits are independent streams, and no sentence of one
appears in another. Text of anybody else is not used.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Split = Literal["train", "validation", "test"]

SPLITS: dict[Split, int] = {"train": 2_000, "validation": 100, "test": 100}
"""Sentences in each split as the shipped voice saw them."""

INVENTED = 0.3
"""Share of nouns, verbs and adjectives that are made from syllables."""

HELD_OUT = (
    "A yellow umbrella leaned against the kitchen window.",
    "Thank you for calling, please leave a message.",
    "Seventeen hungry penguins waddled toward the frozen harbour.",
)
"""Written by hand, from words most of which the grammar does not have: what the shipped voice is judged on."""


def _words(text: str) -> list[str]:
    return text.split()


_DETERMINERS = _words("the a this that every one another my your his her our their some")
_ADJECTIVES = _words("""
old young red blue green black white bright dark small large cheap rich poor soft loud quiet strange usual royal joyful huge thin thick
smooth rough fresh dry wet warm cool heavy light empty full narrow wide broken golden silver wooden early late careful foolish clever
honest brave gentle angry happy sleepy famous foreign modern ancient easy hard certain several curious precious annoying zealous vague
orange purple southern northern musical electric
""")
_NOUNS = _words("""
man woman boy girl child teacher doctor singer judge king queen father mother brother sister house garden river mountain valley ocean
beach island forest tree leaf flower bird fish horse sheep mouse dog cat ship boat train car wheel engine road bridge church school market
shop kitchen table chair window door floor wall roof box bag book page letter word story song voice sound noise music drum violin piano
machine computer number measure treasure pleasure vision decision question answer reason thought thing truth health breath month earth
world work weather leather feather weight height light night day year hour minute second morning evening winter summer spring autumn water
fire air stone sand snow ice rain storm cloud sky sun moon star bread butter cheese milk sugar coffee tea apple orange cherry onion potato
knife fork spoon cup glass bottle paper pencil picture camera bicycle garage beige village city street corner square circle edge middle
bottom top side joy toy coin oil point noise cow town crown mouth south power tower flower jewel judge bridge cage badge match youth yard
onion union beauty view cube
""")
_VERBS = _words("""
saw found took gave made heard felt kept left lost held brought bought caught taught thought showed moved pulled pushed carried followed
watched washed fixed changed chose used joined enjoyed avoided measured treasured described imagined loved hated feared praised judged
reached touched painted counted opened closed covered answered asked thanked helped saved served shared shook broke drew threw knew grew
sold told understood wanted needed needs makes takes shows knows loves finds reads writes sings brings pulls pushes uses chooses changes
measures watches
""")
_GOING = _words("""
walked ran came went slept waited laughed cried smiled talked listened worked played sailed jumped danced arrived vanished returned
appeared stood fell rose sang shouted coughed sneezed breathed hurried wandered goes comes runs sleeps laughs works
""")
_ADVERBS = _words("""
slowly quickly quietly loudly gently badly well often never always sometimes usually today tomorrow yesterday again together alone outside
inside early late there here soon now then once twice
""")
_PREPOSITIONS = _words("in on under over behind beside between through across along around against toward without with near above below by")
_PRONOUNS = _words("he she it we they you I nobody everyone someone")
_NAMES = _words("""
Anna George Julia Thomas Ruth Joyce Oscar Ursula Edith Yolanda Zachary Charles Shirley Hugh Victor Wendy Fiona Theodore London Paris Asia
Africa Egypt Chicago Boston Norway
""")
_NUMBERS = _words("""
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty
forty fifty sixty seventy eighty ninety hundred thousand million
""")
_JOINING = _words("and but because while when although so until if before after or")
_ALONE = """hello, good morning, good night, thank you, yes, no, please, welcome, goodbye, hello world, how are you, of course, I see,
never mind, excuse me, what a pity, all right, look out, come here, see you soon, be careful, happy birthday"""

_ONSETS = _words("""
b bl br ch d dr f fl fr g gl gr h j k kl kr kw l m n p pl pr r s sh shr sk skr sl sm sn sp spl spr st str sw t th thr tr tw v w y z
""") + [""]
_NUCLEI = _words("a e i o u a e i o u ai ee oa oo ou oi ar er or aw igh ay ow ew air")
_CODAS = (
    _words("""
b ck d ft g k l lt ld lf lk m mp n nd ng nk nt nch p pt r rd rk rm rn rt sh sk sp st t tch th v x zz ss ff dge ct ns
""")
    + [""] * 3
)
_ENDINGS = _words("ing er y ed le ness ment tion sion ous ful ish ive age ure ity al") + [""] * 3


def sentences(split: Split, count: int | None = None, seed: int = 0) -> tuple[str, ...]:
    """The first `count` sentences of a split (`SPLITS[split]` by default); ValueError for an unknown name or a negative number."""
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}, found {split!r}")
    count = SPLITS[split] if count is None else count
    if count < 0 or seed < 0:
        raise ValueError(f"count and seed: expected numbers >= 0, found {count} and {seed}")
    draw = _Draw(seed, list(SPLITS).index(split))
    found: dict[str, None] = {}
    while len(found) < count:
        text = _sentence(draw)
        if _home(text) == split:
            found[text] = None
    return tuple(found)


def _home(text: str) -> Split:
    """The one split that may have it, by its letters: a tenth of all texts for validation, a tenth for test."""
    place = sum(number * ord(letter) for number, letter in enumerate(text, 1)) % 10
    return "validation" if place == 0 else "test" if place == 1 else "train"


class _Draw:
    """Choices from raw integers of PCG64, which are the same in every version of NumPy."""

    def __init__(self, *seed: int) -> None:
        self._random = np.random.PCG64(list(seed))

    def below(self, count: int) -> int:
        return int(self._random.random_raw()) % count

    def chance(self, share: float) -> bool:
        return self.below(1 << 20) < share * (1 << 20)

    def one(self, choices: list[str]) -> str:
        return choices[self.below(len(choices))]


def _sentence(draw: _Draw) -> str:
    kind = draw.below(20)
    if kind == 0:
        text = draw.one([text.strip() for text in _ALONE.split(",")])
    elif kind == 1:
        text = " ".join(draw.one(_NUMBERS) for _ in range(1 + draw.below(5)))
    elif kind == 2:
        text = ", ".join(_word(draw, _NOUNS) for _ in range(1 + draw.below(4)))
    elif kind == 3:
        text = _phrase(draw)
    elif kind < 9:
        text = f"{_clause(draw)}{draw.one([',', ''])} {draw.one(_JOINING)} {_clause(draw)}"
    else:
        text = _clause(draw)
    return f"{text[0].upper()}{text[1:]}."


def _clause(draw: _Draw) -> str:
    subject = draw.one([draw.one(_PRONOUNS), draw.one(_NAMES), _phrase(draw), _phrase(draw)])
    if draw.chance(0.6):
        action = f"{_word(draw, _VERBS)} {_phrase(draw)}"
    else:
        action = f"{draw.one(_GOING)}{' ' + draw.one(_ADVERBS) if draw.chance(0.5) else ''}"
    place = f" {draw.one(_PREPOSITIONS)} {_phrase(draw)}" if draw.chance(0.4) else ""
    return f"{subject} {action}{place}"


def _phrase(draw: _Draw) -> str:
    adjective = f"{_word(draw, _ADJECTIVES)} " if draw.chance(0.5) else ""
    noun = _word(draw, _NOUNS)
    return f"{draw.one(_DETERMINERS)} {adjective}{noun}"


def _word(draw: _Draw, known: list[str]) -> str:
    return _invented(draw) if draw.chance(INVENTED) else draw.one(known)


def _invented(draw: _Draw) -> str:
    syllables = "".join(
        draw.one(_ONSETS) + draw.one(_NUCLEI) + (draw.one(_CODAS) if draw.chance(0.6) else "") for _ in range(1 + draw.below(2))
    )
    return syllables + draw.one(_ENDINGS)
