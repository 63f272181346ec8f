"""What Orpheus is given to say: ids, cleaned text, tags that are no words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.engines.ports import Emotion
from brain.engines.tts.orpheus.prompt import (
    MOST_TOKENS,
    TAGS,
    VOICES,
    most_tokens,
    prompt_ids,
    said,
    spoken,
    tag_of,
)
from brain.persona.moods import EMOTIONS

EIGHT = {"laugh", "chuckle", "sigh", "cough", "sniffle", "groan", "yawn", "gasp"}


def test_the_prompt_is_framed_by_its_special_tokens() -> None:
    assert said("tara", "Hello.") == "tara: Hello."
    assert prompt_ids([7, 8, 9]) == [128259, 128000, 7, 8, 9, 128009, 128260, 128261, 128257]


def test_the_voices_and_the_tags_are_those_of_the_model() -> None:
    assert VOICES == ("tara", "leah", "jess", "leo", "dan", "mia", "zac", "zoe")
    assert set(TAGS) == EIGHT


def test_each_tag_belongs_to_a_mood_and_a_calm_robot_makes_no_noises() -> None:
    levels = [level / 10 for level in range(11)]
    found = {tag_of(Emotion(name, level)) for name in EMOTIONS for level in levels}
    assert found == EIGHT | {""}
    assert {tag_of(Emotion(name, 0.4)) for name in EMOTIONS} == {""}
    assert tag_of(Emotion("neutral", 1.0)) == tag_of(None) == ""
    assert tag_of(Emotion("a mood that nobody knows", 1.0)) == ""


@pytest.mark.parametrize(
    ("text", "emotion", "said"),
    [
        ("Hello there.", None, ["Hello there."]),
        ("Hello there.", Emotion("happy", 0.6), ["<chuckle> Hello there."]),
        ("Hello there.", Emotion("happy", 0.2), ["Hello there."]),
        ("Well <sigh> yes.", Emotion("happy", 1.0), ["Well <sigh> yes."]),
        ("<LAUGH>Stop it!", None, ["<laugh> Stop it!"]),
        ("< gasp >Who is it?", None, ["<gasp> Who is it?"]),
        ("<smile>Hi.</smile> <custom_token_5>Bye.<|eot_id|>", None, ["Hi. Bye."]),
        ("**Two** < three \U0001f600", None, ["Two three"]),
        ("<yawn>", None, ["<yawn>"]),
        ("", Emotion("sad", 1.0), []),
        (" \U0001f600 ... <smile>", Emotion("sad", 1.0), []),
    ],
)
def test_what_is_said(text: str, emotion: Emotion | None, said: list[str]) -> None:
    assert list(spoken(text, emotion)) == said


@settings(deadline=None)  # a busy machine takes its time
@given(
    st.lists(
        st.text(max_size=20) | st.sampled_from(["<laugh>", "<smile>", "<|eot_id|>", "<", ">", " "])
    ).map("".join),
    st.sampled_from([None, *(Emotion(name, 0.9) for name in EMOTIONS)]),
)
def test_no_angle_bracket_is_left_but_of_the_eight(text: str, emotion: Emotion | None) -> None:
    for piece in spoken(text, emotion):
        left = re.sub(rf"<({'|'.join(EIGHT)})>", "", piece)
        assert "<" not in left
        assert ">" not in left


def test_a_long_text_comes_in_pieces_with_one_tag_and_each_has_its_end() -> None:
    pieces = list(spoken("We went to the market and bought apples. " * 40, Emotion("sleepy", 0.7)))
    assert len(pieces) > 4
    assert max(map(len, pieces)) <= 200
    assert [piece.count("<yawn>") for piece in pieces] == [1] + [0] * (len(pieces) - 1)
    # 82 tokens a second: time enough for a slow speaker of 9 characters a second.
    assert all(most_tokens(piece) >= 82 * len(piece) / 9 for piece in pieces)
    assert most_tokens("Hi.") < 300 < most_tokens("word " * 20) < most_tokens("x" * 999)
    assert most_tokens("x" * 999) == MOST_TOKENS == 2000
