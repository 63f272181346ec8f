"""What Orpheus is given to say: a prompt of token ids, a voice, and sounds that are no words. Pure.

Source of names and ids: the model's card and its training format (canopylabs/orpheus-3b-0.1-ft).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from brain.engines.ports import Emotion
from brain.engines.tts.speakable import pieces, readable

VOICES = ("tara", "leah", "jess", "leo", "dan", "mia", "zac", "zoe")
TAGS = ("laugh", "chuckle", "sigh", "cough", "sniffle", "groan", "yawn", "gasp")

END_OF_SPEECH = 128_258
_START_OF_HUMAN, _BEGIN_OF_TEXT = 128_259, 128_000
_END_OF_TEXT, _END_OF_HUMAN, _START_OF_AI, _START_OF_SPEECH = 128_009, 128_260, 128_261, 128_257

_LONGEST = 200
"""Characters a prompt: 11 to 17 s of sound."""
_LEAST_TOKENS, _TOKENS_A_CHARACTER, MOST_TOKENS = 250, 9, 2000
"""A second of sound is 82 tokens, and speech has 12 to 18 characters a second: this is for one who
speaks 9, with a laugh before it. More is a model that doesn't find its end."""
MOST_PROMPT_TOKENS = 4 * (_LONGEST + 40)
"""With a voice and a tag, if each character took the four bytes and each byte a token."""

_ANGLED = re.compile(r"<\s*[/|]?\s*([a-z][a-z0-9_-]{0,23})\s*[/|]?\s*>", re.IGNORECASE)

# A mood that is only hinted at makes no sound of its own; a strong one may make another.
_HINT, _STRONG = 0.5, 0.8
_SOUNDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "happy": ("chuckle", "laugh"),
        "excited": ("laugh", "laugh"),
        "silly": ("chuckle", "laugh"),
        "sad": ("sigh", "sniffle"),
        "scared": ("gasp", "gasp"),
        "surprised": ("gasp", "gasp"),
        "angry": ("groan", "groan"),
        "sleepy": ("yawn", "yawn"),
        "love": ("sigh", "sigh"),
        "confused": ("", "cough"),
    }
)


def said(voice: str, words: str) -> str:
    """The text of the prompt for `words` in `voice`: plain, without a control token in it."""
    return f"{voice}: {words}"


def prompt_ids(text: Iterable[int]) -> list[int]:
    """The prompt: the ids of its text, and what is around them."""
    return [
        _START_OF_HUMAN,
        _BEGIN_OF_TEXT,
        *text,
        _END_OF_TEXT,
        _END_OF_HUMAN,
        _START_OF_AI,
        _START_OF_SPEECH,
    ]


def most_tokens(words: str) -> int:
    """Tokens after which the saying of `words` is a runaway."""
    return min(MOST_TOKENS, _LEAST_TOKENS + _TOKENS_A_CHARACTER * len(words))


def tag_of(emotion: Emotion | None) -> str:
    """One of `TAGS` that goes with `emotion`, or nothing."""
    if emotion is None or emotion.intensity < _HINT:
        return ""
    usual, strong = _SOUNDS.get(emotion.name, ("", ""))
    return strong if emotion.intensity >= _STRONG else usual


def spoken(text: str, emotion: Emotion | None) -> Iterator[str]:
    """`text` in pieces that Orpheus can say, with its tags in angle brackets, and no others.

    A tag in the text stays where it is; else the emotion's comes first. Whatever else stands in
    angle brackets like a tag is left out: it would be read aloud. Nothing if there is nothing to
    say (a tag alone is something).
    """
    words = _cleaned(text)
    if not words:
        return
    tag = tag_of(emotion)
    if tag and _ANGLED.search(words) is None:
        words = f"<{tag}> {words}"
    yield from pieces(words, _LONGEST)


def _cleaned(text: str) -> str:
    # At odd places: the names of tags.
    parts = enumerate(_ANGLED.split(text))
    cleaned = [_tag(part) if index % 2 else readable(part) for index, part in parts]
    return " ".join(part for part in cleaned if part)


def _tag(name: str) -> str:
    return f"<{name.lower()}>" if name.lower() in TAGS else ""
