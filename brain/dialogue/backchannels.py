"""What listeners say without wanting the floor: "mm-hm", "yeah", "okay".

It is known by its words, and by nothing more than them: "okay, stop" is none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_WORDS = re.compile(r"[^\W\d_]+|\d+")
# Mm, mhm, hmm, uh, um, uhm, aha, oh, öh, and so on. (Not "huh?", which asks.)
_HUM = re.compile(r"[mh]*m[mh]*|u+h*m+|[uaoeäö]+h+|[ao]h+a+|h+m+")
_MOST = 4
"""Words and hums; who says more means something."""

_EVERYWHERE = ("ok", "okay", "uh huh", "a ha", "wow", "ah", "oh", "ooh")
_PHRASES: Mapping[str, tuple[str, ...]] = {
    "en": (
        "yeah", "yes", "yep", "yup", "right", "all right", "alright", "sure", "i see", "got it",
        "cool", "great", "nice", "good", "exactly", "of course", "i know", "true", "really",
        "that's right", "is that so", "gotcha", "fine",
    ),
    "de": (
        "ja", "jo", "jaja", "genau", "richtig", "stimmt", "klar", "gut", "alles klar", "ach so",
        "achso", "aha", "verstehe", "ich verstehe", "sicher", "eben", "na klar", "schön", "super",
        "ach", "tja", "so so",
    ),
    "fr": (
        "oui", "ouais", "d'accord", "bien", "très bien", "bien sûr", "je vois", "exact",
        "exactement", "voilà", "c'est ça", "ah bon", "ah oui", "bon", "hein",
    ),
    "es": (
        "sí", "claro", "vale", "ya", "bien", "muy bien", "bueno", "ya veo", "eso", "exacto",
        "entiendo", "de acuerdo", "ajá",
    ),
    "it": (
        "sì", "certo", "va bene", "bene", "giusto", "capisco", "ho capito", "esatto", "d'accordo",
        "ecco", "già", "chiaro",
    ),
    "pt": ("sim", "claro", "certo", "tá", "tá bom", "bem", "entendo", "pois", "pois é", "isso"),
    "nl": ("ja", "jawel", "goed", "precies", "juist", "oké", "klopt", "inderdaad", "ik snap het"),
}  # fmt: skip


def words_of(text: str) -> tuple[str, ...]:
    """Its words, without case, accents and punctuation: two spellings of one word are the same."""
    plain = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return tuple(
        _WORDS.findall(plain.replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", ""))
    )


_LISTS = {
    language: frozenset(words_of(phrase) for phrase in (*_EVERYWHERE, *phrases))
    for language, phrases in _PHRASES.items()
}
_ALL = frozenset().union(*_LISTS.values())
_NONE = frozenset(words_of(phrase) for phrase in _EVERYWHERE)


def is_backchannel(text: str, language: str | None) -> bool:
    """Whether `text` is nothing but back-channels and hums. `language` ISO 639-1, None: any."""
    words = words_of(text)
    return 0 < len(words) <= _MOST and _made_of(words, _phrases(language))


def may_become_backchannel(text: str, language: str | None) -> bool:
    """Whether it is the beginning of one, cut off in the midst of its last word perhaps."""
    words = words_of(text)
    if not 0 < len(words) <= _MOST:
        return False
    phrases = _phrases(language)
    if len(words) == 1 and len(words[0]) == 1:
        return True  # a letter is no word yet
    for i in range(len(words)):
        begun, rest = words[:i], words[i:]
        if (not begun or _made_of(begun, phrases)) and any(
            phrase[: len(rest) - 1] == rest[:-1] and phrase[len(rest) - 1].startswith(rest[-1])
            for phrase in phrases
            if len(phrase) >= len(rest)
        ):
            return True
    return _made_of(words, phrases)


def _phrases(language: str | None) -> frozenset[tuple[str, ...]]:
    return _ALL if language is None else _LISTS.get(language.lower()[:2], _NONE)


def _made_of(words: tuple[str, ...], phrases: frozenset[tuple[str, ...]]) -> bool:
    if not words:
        return True
    if _HUM.fullmatch(words[0]) and _made_of(words[1:], phrases):
        return True
    return any(
        words[:count] in phrases and _made_of(words[count:], phrases)
        for count in range(1, len(words) + 1)
    )
