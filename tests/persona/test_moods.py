"""Mood tags in front of a streamed reply."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.persona.character import DEFAULT_INSTRUCTIONS, idle_note
from brain.persona.moods import EMOTIONS, GESTURES, MoodTags, mood_instruction
from brain.planner import schema


def parse(pieces: list[str]) -> tuple[MoodTags, str]:
    tags = MoodTags()
    said = "".join(tags.feed(piece) for piece in pieces) + tags.finish()
    return tags, said


@pytest.mark.parametrize(
    ("reply", "emotion", "gestures", "said"),
    [
        ("[happy] [nod] Hello!", "happy", ["nod"], "Hello!"),
        ("[happy][wink_l][spin]Hi.", "happy", ["wink_l", "spin"], "Hi."),
        ("Hello!", None, [], "Hello!"),
        ("  Hello!", None, [], "Hello!"),
        ("[tired] Yawn.", "sleepy", [], "Yawn."),
        ("[sad] [head-shake] No.", "sad", ["headshake"], "No."),
        ("[confused] [confused] What?", "confused", ["confused"], "What?"),
        ("[Head Shake] [sad] No.", "sad", ["headshake"], "No."),
        ("[grumpy] [moonwalk] Hm.", None, [], "Hm."),
        (
            "[this is no tag but a long aside] yes",
            None,
            [],
            "[this is no tag but a long aside] yes",
        ),
        ("[happy", None, [], "[happy"),
        ("[happy]", "happy", [], ""),
        ("", None, [], ""),
        ("I like [brackets] here", None, [], "I like [brackets] here"),
    ],
)
def test_tags_are_taken_off(
    reply: str, emotion: str | None, gestures: list[str], said: str
) -> None:
    tags, rest = parse(list(reply))
    assert (tags.emotion, tags.gestures, rest) == (emotion, gestures, said)


@given(
    st.sampled_from(EMOTIONS),
    st.lists(st.sampled_from(GESTURES), max_size=3),
    st.text(max_size=30),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_pieces_make_no_difference(
    emotion: str, gestures: list[str], text: str, cuts: list[int]
) -> None:
    reply = f"[{emotion}] " + "".join(f"[{gesture}] " for gesture in gestures) + text
    places = [0, *sorted(cuts), len(reply)]
    pieces = [reply[a:b] for a, b in itertools.pairwise(places)]
    whole, said_whole = parse([reply])
    cut, said_cut = parse(pieces)
    assert (whole.emotion, whole.gestures, said_whole) == (cut.emotion, cut.gestures, said_cut)
    assert whole.emotion == emotion


def test_speech_is_not_held_back_once_settled() -> None:
    tags = MoodTags()
    assert tags.feed("[happy] ") == ""
    assert not tags.settled
    assert tags.feed("He") == "He"
    assert tags.settled
    assert tags.feed("llo [nod]") == "llo [nod]"


def test_the_names_are_those_of_the_plan() -> None:
    assert schema.EMOTIONS == EMOTIONS
    assert schema.GESTURES == GESTURES
    assert all(name in mood_instruction() for name in EMOTIONS + GESTURES)


def test_notes_are_speakable_instructions() -> None:
    assert "15 seconds" in idle_note(15.2)
    assert "It is dark." in idle_note(60, " It is dark. ")
    assert not set("*#`[]") & set(DEFAULT_INSTRUCTIONS)
