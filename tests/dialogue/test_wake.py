"""Wake phrases in what the ears wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.dialogue.wake import MAX_LETTERS, find, without

REACHY = ("hey reachy",)
ROBOT = ("hey robot",)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hey Reachy, what time is it?", "What time is it?"),
        ("hey reachy what time is it", "What time is it"),
        ("Hey, Reachy! Dance.", "Dance."),
        ("Hey Reachy.", ""),
        ("  hey   reachy  ...", ""),
        # As ears write it who don't know the name.
        ("Hey Richie, dance.", "Dance."),
        ("Hey Ritchie, dance.", "Dance."),
        ("Hay Reachie. Dance.", "Dance."),
        ("Hey Reach e, dance.", "Dance."),
        ("HEY RÉACHY dance", "Dance"),
        # In the midst of a sentence it stays.
        ("Tell me, hey Reachy, a joke.", "Tell me, hey Reachy, a joke."),
        ("What time is it, hey Reachy?", "What time is it, hey Reachy?"),
    ],
)
def test_a_phrase_is_found_and_cut_off_where_it_leads(text: str, rest: str) -> None:
    assert without(text, REACHY) == rest


@pytest.mark.parametrize(
    "text",
    [
        "", "...", "What time is it?", "Hey.", "Reachy.", "Hey Rachel, dance.", "Hey teach me.",
        "They reached it.", "He reached for it.", "A beach is near.", "Hey beach.",
        "hey reac", "heyday reachable", "Merry Christmas.",
    ],
)  # fmt: skip
def test_what_is_none_is_none(text: str) -> None:
    assert without(text, REACHY) is None


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("Hey robot, dance.", True),
        ("Hey, robbot, dance.", True),
        ("A robot is a machine.", False),
        ("The robot is a machine.", False),
        ("Every robot is a machine.", False),
        ("Hello robot.", False),
    ],
)
def test_it_is_not_any_talk_of_robots(text: str, there: bool) -> None:
    assert (find(text, ROBOT) is not None) == there


def test_any_of_several_phrases_will_do_and_the_first_in_the_text_counts() -> None:
    phrases = ("hello computer", "hey reachy")
    assert without("Hey Reachy, say hello computer.", phrases) == "Say hello computer."
    assert without("Hello computer. Dance.", phrases) == "Dance."


@pytest.mark.parametrize(
    ("phrase", "text", "rest"),
    [
        ("привет робот", "Привет, робот! Как дела?", "Как дела?"),
        ("grüß dich robo", "Grüss dich, Robo, tanz!", "Tanz!"),
        # Scripts without spaces between the words.
        ("嘿机器人", "嘿机器人今天天气怎么样", "今天天气怎么样"),
        # A short name has to be right.
        ("r2", "R2, dance.", "Dance."),
        ("bo", "Ba, dance.", None),
    ],
)
def test_other_names_and_tongues(phrase: str, text: str, rest: str | None) -> None:
    assert without(text, (phrase,)) == rest


@given(st.text(max_size=80), st.lists(st.text(max_size=MAX_LETTERS), max_size=4))
def test_whatever_is_said_it_is_found_within_it(text: str, phrases: list[str]) -> None:
    found = find(text, phrases)
    if found is not None:
        assert 0 <= found[0] < found[1] <= len(text)
    rest = without(text, phrases)
    assert (rest is None) == (found is None)
    assert not rest or len(rest) <= 3 * len(text)  # (capitals may be longer)


@given(st.sampled_from(["hey reachy", "hello robot", "привет робот"]), st.text(max_size=40))
def test_a_phrase_is_always_found_where_it_leads(phrase: str, rest: str) -> None:
    assert without(f"{phrase}, {rest}", (phrase,)) is not None
