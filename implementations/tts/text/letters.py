"""Letter-to-sound rules of English, for words that no dictionary has, in the manner of Elovitz et al. (NRL Report 7948, 1976).

A rule is `left<letters>right sounds`: the letters, between what stands left and right of them (regular expressions; ^ and $ are the ends of
the word), sound so. The first that fits is taken, and the word goes on behind its letters. Stress is added last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from implementations.tts.text.symbols import VOWELS

_V, _C = "[aeiouy]", "[bcdfghjklmnpqrstvwxz]"
_WHERE = {"V": _V, "C": _C, "E": "[eiy]", "M": f"^{_C}*"}  # M: nothing but consonants before: the first vowel of the word

_TEXT = """
<augh>t AO | <augh> AE F | <aigh> EY | <ai>r EH | <ai> EY | <ay> EY | <au> AO | <aw> AO | <ae> IY | <alk> AO K | <alm> AA M | <al>f AE
<all>$ AO L | w<a>r AO | qu<a>r AO | w<a>(?!g|x|C*e$) AA | <are>$ EH R | <a>rr AE | M<ar> AA R | <ar> ER | <age>$ AH JH | <a>ble AH
<able>$ AH B AH L | <al>$ AH L | <al>ly$ AH L | <a>$ AH | ^<a>Ce EY | ^<a>(?=.[aeiou]) AH | <a>(?=C(?:e|es|ed|ing|er|ers|y)$) EY
<a>tion EY | <a>CiV EY | <a>ste EY | <a>nge EY | M<a> AE | <a> AE
m<b>$ | <bb> B | <b> B
<ch>r K | s<ch> K | ^<ch>o K | <ch> CH
<tch> CH
<ck> K | <cc>E K S | <cc> K | s<c>E | <ci>(?=a|ou|en) SH | <c>E S | <c> K
<dg>e JH | <dd> D
([td])<ed>$ IH D | ([pkfsx]|ch|sh)<ed>$ T
<d>ge | <d> D
<eigh> EY | <eau> OW | <ear>C ER | <ear> IY R | <ea>d EH | <ea>th EH | <ea>v EH | <ea> IY | <eer> IY R | <ee> IY | c<ei> IY | <ei>g EY
<ei> IY | ^<eu> Y UW | <eur>$ ER | <eu> UW | <ew> UW | <ey>$ IY | <ey> EY | <ere>$ IY R | <e>rr EH | <er>V EH R | <er> ER | <et>$ AH T
([csxz]|sh|ch|[dg]g)<es>$ IH Z | (ss|x|z|sh|ch)<e>s IH | M<e>$ IY | <e>$ | V.*<e>(?=d$|s$|ly$|less$|ful$|ment$|ness$) | <en>$ AH N
<ent>$ AH N T | <ence>$ AH N S | <el>$ AH L | <e>ry$ EH | ^<e>x IH G Z | ^<e>xC IH K | M<e>(?=C[aeiou]) IY | M<e> EH | ^<e> IH
^.*V.*<e>(?=C$) AH | <e> EH
<ff> F | <f> F
<gh>$ | i<gh>t | ^<gh> G | <gh> | <gg> G | ^<gn> N | <gn>$ N | <gue>$ G | ^<gu>E G | <g>e[rt] G | ^<g>i[vrf] G | <g>E JH | <g> G
^<ho>u AW | ^<hour> AW ER
<wh>o HH
<h>V HH | <h>
<igh> AY | <ign>$ AY N | <ild>$ AY L D | <ind>$ AY N D | <ier>$ IY ER | <ied>$ IY D | <ies>$ IY Z | M<ie>$ AY | M<ied>$ AY D
M<ies>$ AY Z | <ie> IY | <ire>$ AY ER | <ir>V IH R | <ir> ER | <ique>$ IY K | <ism>$ IH Z AH M | <ize> AY Z | <ise>$ AY Z
<io>(?=n) IY AH | <ia>(?=n) IY AH | <ing>$ IH NG | <ive>$ IH V | <ine>$ IY N | <ite>$ AY T | M<i>(?=C(?:e|es|ed|ing|er|ers)$) AY
<i>(?=Ce$) AY | M<i>V AY | <i>V IY | <i>$ IY | ^<i> IH | <i> IH
<j> JH
^<kn> N | <kh> K | <kk> K | <k> K
[bcdfgkptz]<le>$ AH L | [bcdfgkptz]<les>$ AH L Z | [bcdfgkptz]<led>$ AH L D | <ll> L | <l> L
^<mc>[ck] M AH | ^<mc> M AH K | <mm> M | <mn>$ M | <m> M
<ng>$ NG | <ng>(?=s$|ed$|ing) NG | <ng>th NG K | <ng>E N JH | <ng> NG G | <n>(?=k|q|c[^eiy]) NG | <nn> N | <n> N
<ought> AO T | <ough>$ OW | <ough> AH F | <oul>d UH | <ous>$ AH S | <ou>r AO | <ou>(?=ble|ple|ng|s?in) AH | <ou> AW | <ook> UH K
<oor> AO R | <oo> UW | <oar> AO R | <oa> OW | <oi> OY | <oy> OY | <oe>$ OW | <oes>$ OW Z | <ow>$ OW | <ow>(?=n$|ed$|er$|ing$|s$) OW
<ow> AW | <old> OW L D | <olk> OW K | <oll>$ OW L | <ost>$ OW S T | <oth>$ OW TH | w<or> ER | <ore>$ AO R | <or>$ ER | <ors>$ ER Z
<or> AO R | <on>$ AH N | <om>$ AH M | <ome>$ AH M | <o>$ OW | <o>(?=C(?:e|es|ed|ing|er|ers)$) OW | M<o>(?=C[aeiou]) OW | <o>V OW
<o>(?=C[iy]) AA | <o> AA
<ph> F | ^<ps> S | ^<pn> N | <pp> P | <p> P
<que>$ K | <qu> K W | <q> K
^<rh> R | <rr> R | <r> R
<sch> S K | <sh> SH | <ss>ion SH | <ssion>$ SH AH N | V<sion>$ ZH AH N | <sion>$ SH AH N | V<sure>$ ZH ER | <ss> S | <s>m$ Z
([aeiouybdglmnrvw])<s>$ Z | V<s>e$ Z | V<s>(?=V(?!$)) Z | ^<s> S | <s>c S | <s> S
<tion> SH AH N | <tial> SH AH L | <tious>$ SH AH S | <tient> SH AH N T | <ture>$ CH ER | <tures>$ CH ER Z | <tu>(?=a|al|o) CH UW
^<th>(?=e[mnrsy]|is|at|o[su]) DH | <th>er DH | <the>$ DH | <th> TH | s<t>(?=en$|le$) | <tt> T | <tch> CH | <t> T
^<uni> Y UW N IH | ^<u>(?=C[aeiou]) Y UW | ^<u> AH | <ui>(?=t|s|c) UW | <ue>$ UW | <ur>V UH R | <ure>$ Y UH R | <ur> ER | <uy> AY | g<u>E
([rlj]|ch|sh)<u>(?=C[aeiou]) UW | <u>(?=C[aeiou]) Y UW | ([rlj]|ch|sh)<u>V UW | <u>V UW | <ull>$ UH L
<ful>$ F AH L
<u>$ UW | <u> AH
<v> V
^<wr> R | <wh> W | <ww> W | <w>(?=V) W | <w>
^<x> Z | <xi>(?=ou) K SH | <x> K S
^<y>(?=V) Y | M<y>$ AY | <y>$ IY | <yr> IH R | M<y>(?=Ce$) AY | <y>(?=Ce$) AY | <y>V Y | <y> IH
<zz> Z | <z> Z
"""


@dataclass(frozen=True)
class _Rule:
    letters: str
    left: re.Pattern[str]
    right: re.Pattern[str]
    sounds: tuple[str, ...]


def _parsed() -> Iterator[_Rule]:
    for text in " | ".join(_TEXT.strip().splitlines()).split(" | "):
        match = re.fullmatch(r"(\S*?)<([a-z]+)>(\S*) ?(.*)", text)
        if match is None:
            raise ValueError(f"letter-to-sound rule: expected left<letters>right sounds, found {text!r}")
        left, letters, right, sounds = match.groups()
        for mark, stands_for in _WHERE.items():
            left, right = left.replace(mark, stands_for), right.replace(mark, stands_for)
        yield _Rule(letters, re.compile(f"(?:{left})\\Z"), re.compile(right), tuple(sounds.split()))


_RULES: dict[str, list[_Rule]] = {}
for _rule in _parsed():
    _RULES.setdefault(_rule.letters[0], []).append(_rule)

LONGEST = 32
"""Letters; what is longer is no word, and is read in pieces: rules look back at the whole of what they read."""


def sounds(word: str) -> tuple[str, ...]:
    """ARPABET with stress of a word in small letters a to z; other characters have no sound."""
    if len(word) > LONGEST:
        return tuple(sound for start in range(0, len(word), LONGEST) for sound in sounds(word[start : start + LONGEST]))
    found: list[str] = []
    place = 0
    while place < len(word):
        rule = next((rule for rule in _RULES.get(word[place], ()) if _fits(rule, word, place)), None)
        if rule is not None:
            found += rule.sounds
        place += len(rule.letters) if rule is not None else 1
    return stressed(found, word)


def _fits(rule: _Rule, word: str, place: int) -> bool:
    after = place + len(rule.letters)
    return word.startswith(rule.letters, place) and bool(rule.right.match(word, after)) and bool(rule.left.search(word[:place]))


_BEFORE_STRESS = re.compile(r"(?:tion|sion|cian|tial|cial|ious|eous|ic|ics|ity|ical|ify|ian|ial|logy|graphy|meter)s?$")
"""Endings right before which the main stress lies."""
_TWO_SYLLABLES = ("ity", "ical", "ify", "logy", "graphy", "meter", "ious", "eous", "ian", "ial")
_UNSTRESSED = re.compile(r"^(?:re|de|be|un|in|im|en|em|ex|con|com|dis|mis|pre|pro|per|sub|ad|ab|at|ac|a(?=[^aeiou]))[a-z]*[aeiouy]")
"""Beginnings that leave the stress to the next syllable, in words of two."""


def stressed(phonemes: list[str], word: str) -> tuple[str, ...]:
    """The phonemes with a stress on every vowel: the main one before certain endings, behind a prefix, else on the first syllable."""
    vowels = [place for place, phoneme in enumerate(phonemes) if phoneme in VOWELS]
    if not vowels:
        return tuple(phonemes)
    ending = _BEFORE_STRESS.search(word)
    if ending and len(vowels) > 2:
        main = vowels[-3 if ending[0].startswith(_TWO_SYLLABLES) else -2]
    elif len(vowels) == 2 and _UNSTRESSED.match(word):
        main = vowels[1]
    else:
        main = vowels[0]
    return tuple(f"{phoneme}{int(place == main)}" if place in vowels else phoneme for place, phoneme in enumerate(phonemes))
