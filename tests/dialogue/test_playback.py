"""What was heard, by the clock and by the robot's marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.dialogue.playback import Playback


def two_clauses(*, marks: bool = False) -> Playback:
    playback = Playback(marks=marks)
    playback.clause("one two three four")
    playback.add(2.0, now=10.0)
    playback.clause("five six")
    playback.add(1.0, now=10.5)
    playback.complete()
    return playback


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (10.0, ""),
        (10.5, "one"),
        (11.9, "one two three"),
        (12.0, "one two three four"),
        (12.6, "one two three four five"),
        (13.0, "one two three four five six"),
        (99.0, "one two three four five six"),
    ],
)
def test_by_the_clock(now: float, text: str) -> None:
    assert two_clauses().heard_text(now) == text


@pytest.mark.parametrize(
    ("now", "text"),
    [
        # Ten letters a second: 0.2 s for each of the eight.
        (1.0, "four words"),
        (1.5, "four words a b"),
        (9.0, "four words a b c d e"),  # all that was sent, which isn't all
    ],
)
def test_of_a_clause_of_which_more_is_to_come_the_length_is_guessed(now: float, text: str) -> None:
    playback = Playback()
    playback.clause("four words")
    playback.add(1.0, now=0.0)
    playback.clause("a b c d e f g h.")
    playback.add(1.0, now=0.0)
    assert playback.heard_text(now) == text
    playback.complete()
    assert playback.heard_text(99.0) == "four words a b c d e f g h."


def test_the_first_clause_is_taken_for_a_usual_pace() -> None:
    playback = Playback()
    playback.clause("word " * 28)  # 10 s
    playback.add(1.0, now=0.0)
    assert playback.heard_text(99.0) == "word word"
    playback.add(14.0, now=1.0)  # it is a slow one
    assert playback.heard_text(7.5).split() == ["word"] * 14


def test_marks_are_believed_before_the_clock() -> None:
    playback = two_clauses(marks=True)
    assert playback.heard_text(99.0) == ""
    playback.mark(2.0, now=13.5)
    assert playback.heard_text(99.0) == "one two three four"
    playback.mark(1.0, now=13.6)  # marks never go back
    assert playback.heard(99.0) == 2.0
    playback.mark(1e9, now=14.0)  # nobody hears more than was sent
    assert playback.heard(99.0) == 3.0


def test_a_robot_that_owes_a_mark_is_waited_for_a_little() -> None:
    playback = two_clauses(marks=True)
    assert playback.ends_at == 14.0
    playback.mark(3.0, now=13.4)
    assert playback.ends_at == 13.4


def test_a_word_aside_is_heard_and_is_no_part_of_the_reply() -> None:
    playback = Playback()
    playback.clause("Let me think.", aside=True)
    playback.add(1.0, now=0.0)
    assert playback.words_between(0.0, 1.0) == "Let me think."
    assert playback.text() == playback.heard_text(1.0) == ""
    playback.clause("It is five.")
    playback.add(1.0, now=3.0)
    playback.complete()
    assert playback.words_between(0.0, 2.0) == "Let me think. It is five."
    assert playback.text() == playback.heard_text(4.0) == "It is five."
    assert playback.heard_text(3.7) == "It is"


def test_a_gap_in_the_sound_is_not_counted_as_heard() -> None:
    playback = Playback()
    playback.clause("one")
    playback.add(1.0, now=0.0)
    playback.add(1.0, now=5.0)
    assert playback.heard(5.5) == pytest.approx(1.5)
    assert playback.ends_at == 6.0


@given(
    st.lists(st.tuples(st.floats(0.001, 2), st.floats(0, 3)), min_size=1, max_size=30),
    st.floats(0, 60),
)
def test_never_more_is_heard_than_was_sent(blocks: list[tuple[float, float]], later: float) -> None:
    playback, now, heard = Playback(), 0.0, 0.0
    for seconds, wait in blocks:
        playback.add(seconds, now)
        now += wait
        assert heard - 1e-9 <= playback.heard(now) <= playback.sent + 1e-9
        heard = playback.heard(now)
    assert playback.heard(playback.ends_at + later) == pytest.approx(playback.sent)
