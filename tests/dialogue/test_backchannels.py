"""What listeners say without wanting the floor."""

from __future__ import annotations

import pytest

from brain.dialogue.backchannels import is_backchannel, may_become_backchannel, words_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        *((text, "en") for text in (
            "Mm-hm.", "Mhm", "Mm-hmm...", "Hmm", "Uh-huh.", "Um", "Okay.", "OK!", "Yeah.",
            "Yeah, okay",
            "Right.", "I see.", "Sure.", "Oh.", "Ah.", "Wow.", "All right.", "Got it.", "oh, I see",
            "that\N{RIGHT SINGLE QUOTATION MARK}s right",
        )),
        ("Ja, genau", "de"), ("Ach so!", "de"), ("D\N{RIGHT SINGLE QUOTATION MARK}accord", "fr"),
        ("très bien", "fr"), ("Sí, claro", "es"), ("Ho capito", "it"), ("Tá bom", "pt"),
        ("Precies", "nl"), ("Okay", "ja"), ("genau", None), ("yeah", None), ("ja", "de-AT"),
    ],
)  # fmt: skip
def test_these_are(text: str, language: str | None) -> None:
    assert is_backchannel(text, language)
    assert may_become_backchannel(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        *((text, "en") for text in (
            "", "...", "No.", "Stop!", "Wait", "Okay, stop.", "yeah but why", "Huh?", "Right now",
            "What?", "yeah yeah yeah yeah yeah", "ja", "I see a ball", "mom", "hum along", "1, 2",
        )),
        ("yeah", "de"), ("yeah", "sv"),
    ],
)  # fmt: skip
def test_these_are_none(text: str, language: str | None) -> None:
    assert not is_backchannel(text, language)


@pytest.mark.parametrize("text", ["I", "I s", "ye", "yeah o", "al", "got", "mm ri", "R"])
def test_these_may_become_one(text: str) -> None:
    assert not is_backchannel(text, "en")
    assert may_become_backchannel(text, "en")


@pytest.mark.parametrize("text", ["", "stop", "yeah wh", "wait", "what", "yeah but"])
def test_these_will_never_be_one(text: str) -> None:
    assert not may_become_backchannel(text, "en")


def test_spellings_of_one_word_are_the_same() -> None:
    assert words_of("Él está AQUÍ, it's") == words_of("el esta aqui its")
