"""What a robot may say to children of 5 to 12, and when two lines are the same. Pure.

A word list and a few patterns hold off what is crude; they don't judge what a sentence means.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

_LOOK_ALIKES = str.maketrans("01345789@$!", "oieastbgasi")
# Letters of other scripts that look like these.
_OTHER_SCRIPTS = str.maketrans("авеікмнорстухѕјαεικνορτυχ", "abeikmhopctyxsjaeikvoptux")
_BALL = re.compile(r"\b\w*balls?\b", re.IGNORECASE)
# Mark-up, not words: what a model writes that has lost its way.
_MARKUP = re.compile(r"[<>{}\[\]_|\\`^~\n]")
_STREETS = "street|road|avenue|boulevard"
_PRIVATE = (
    "(?:home |street |e-?mail |mail )?address|surname|last name|family name|full name|e-?mail|"
    "(?:tele)?phone(?: number)?|password|school|birthday|birth ?date|date of birth"
)
_PERSONAL: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("an e-mail address", re.compile(
        r"[\w.+-]+ ?(?:@|\(at\)) ?[\w-]+ ?\.\w{2,}|\w+ at [\w-]+ dot \w{2,}", re.I)),
    ("an address", re.compile(
        r"\b\d{1,5}[A-Za-z]?,? (?:[A-Z][\w'’-]*\.? ){1,3}"
        rf"(?i:{_STREETS}|st|rd|ave|lane|drive|blvd|way|square|court)\b")),
    ("an address", re.compile(
        rf"\b\d{{1,5}},? (?!the\b|this\b|a\b)[\w'’-]+ (?:{_STREETS})\b", re.I)),
    ("personal data", re.compile(rf"\b(?:your|ur) (?:{_PRIVATE})\b", re.I)),
    ("personal data", re.compile(
        r"\bwhere (?:do|does|did) (?:you|u|your \w+) live\b|"
        r"\bwhere (?:is|are|'s) your (?:home|house|flat|apartment|room)\b", re.I)),
    ("personal data", re.compile(
        r"\b(?:what|which|whose) (?:is the )?(?:name of )?(?:the |your )?school\b", re.I)),
)  # fmt: skip
_DIGITS = re.compile(r"\+?\d(?:[\s()./-]*\d){6,}")


def unfit(text: str, *, ball: bool) -> str | None:
    """Why `text` may not be said, in a few words; None if it may. `ball`: one is surely seen."""
    if _MARKUP.search(text) or any(unicodedata.category(char) == "Cf" for char in text):
        return "it isn't plain words"
    if _is_unsafe(text):
        return "such words are not for children"
    for what, pattern in _PERSONAL:
        if pattern.search(text):
            return f"it holds or asks for {what}"
    if any(_is_phone_number(found.group()) for found in _DIGITS.finditer(text)):
        return "it holds a phone number"
    if not ball and _BALL.search(text):
        return "it speaks of a ball, and none is seen"
    return None


def same_line(one: str, other: str) -> bool:
    """Whether two texts sound alike: their letters and digits are the same."""
    return _heard(one) == _heard(other)


def _is_phone_number(digits: str) -> bool:
    """Seven digits and more are one, but for a robot that counts aloud: 1 2 3 4 5 6 7."""
    return bool(re.match(r"\+|0\d", digits)) or bool(re.search(r"\d{3}", digits))


def _is_unsafe(text: str) -> bool:
    words, stems = _unsafe()
    for spelt in _spellings(text):
        padded = f" {' '.join(spelt)} "
        if any(f" {entry} " in padded for entry in words):
            return True
        if any(f" {stem}" in padded for stem in stems):
            return True
    return False


def _spellings(text: str) -> list[list[str]]:
    """The words of `text` in lower case, read in four ways.

    As they stand, with stretched letters shortened to one and to two, with spelt-out words joined.
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = plain.translate(_OTHER_SCRIPTS).replace("'", "").replace("’", "")
    words = []
    for token in re.findall(r"[a-z0-9@$!*]+", plain):
        word = token.rstrip("!*")
        # A number is a number; among letters, digits are letters in disguise.
        disguised = word.translate(_LOOK_ALIKES) if re.search(r"[a-z]", word) else word
        words.append(disguised)
    single = [re.sub(r"(.)\1{2,}", r"\1", word) for word in words]
    double = [re.sub(r"(.)\1{2,}", r"\1\1", word) for word in words]
    spelt = re.sub(r"\b\w(?: \w\b){2,}", lambda run: run[0].replace(" ", ""), " ".join(words))
    return [words, single, double, spelt.split()]


@cache
def _unsafe() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whole entries and stems of the word list."""
    lines = (Path(__file__).parent / "unsafe_words.txt").read_text(encoding="utf-8").splitlines()
    entries = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    stems = tuple(entry[:-1] for entry in entries if entry.endswith("*"))
    return tuple(entry for entry in entries if not entry.endswith("*")), stems


def _heard(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
