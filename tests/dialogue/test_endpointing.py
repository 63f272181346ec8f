"""How much silence ends a turn: by the words, by a model, and by what a user is known to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.dialogue.endings import Ending
from brain.dialogue.endpointing import Endpointing, weighed
from brain.dialogue.pauses import Pauses
from brain.dialogue.state import samples

TRAILS, UNKNOWN, COMPLETE = Ending.TRAILS, Ending.UNKNOWN, Ending.COMPLETE


@pytest.mark.parametrize(
    ("ending", "base_ms", "habit_ms", "silence_ms"),
    [
        (COMPLETE, 500, 0, 300),
        (UNKNOWN, 500, 0, 500),
        (TRAILS, 500, 0, 1_200),
        # The robot's own silence is the base: it is never made longer by complete words, nor
        # shorter by words that trail off.
        (COMPLETE, 200, 0, 200),
        (COMPLETE, 900, 0, 300),
        (UNKNOWN, 900, 0, 900),
        (TRAILS, 2_000, 0, 2_000),
        # Whoever is known to pause for 600 ms is waited for a little longer than that.
        (COMPLETE, 500, 600, 700),
        (UNKNOWN, 500, 600, 700),
        (TRAILS, 500, 600, 1_200),
        (COMPLETE, 500, 150, 300),
        (UNKNOWN, 500, 150, 500),
        # Within bounds.
        (COMPLETE, 500, 1_400, 1_200),
        (UNKNOWN, 2_000, 1_400, 2_000),
    ],
)
def test_the_silence_that_is_wanted(
    ending: Ending, base_ms: int, habit_ms: int, silence_ms: int
) -> None:
    rules = Endpointing(samples(300), samples(1_200))
    assert rules.silence(ending, samples(base_ms), samples(habit_ms)) == samples(silence_ms)


@given(
    ending=st.sampled_from(Ending),
    base=st.integers(1, 80_000),
    habit=st.integers(0, 80_000),
    shortest=st.integers(1, 80_000),
    more=st.integers(0, 80_000),
)
def test_it_is_always_between_its_bounds_and_the_base(
    ending: Ending, base: int, habit: int, shortest: int, more: int
) -> None:
    rules = Endpointing(shortest, shortest + more)
    silence = rules.silence(ending, base, habit)
    assert min(base, rules.shortest) <= silence <= max(base, rules.longest)
    assert silence <= rules.silence(TRAILS, base, habit)
    assert rules.silence(COMPLETE, base, habit) <= rules.silence(UNKNOWN, base, habit)
    assert silence >= rules.silence(ending, base, 0)


@pytest.mark.parametrize(
    ("words", "probability", "ending"),
    [
        (COMPLETE, None, COMPLETE),
        (UNKNOWN, None, UNKNOWN),
        (TRAILS, None, TRAILS),
        (COMPLETE, 0.5, COMPLETE),
        (COMPLETE, 0.1, UNKNOWN),
        (UNKNOWN, 0.1, TRAILS),
        (TRAILS, 0.1, TRAILS),
        (COMPLETE, 0.9, COMPLETE),
        (UNKNOWN, 0.9, COMPLETE),
        (TRAILS, 0.9, TRAILS),
        (UNKNOWN, 0.31, UNKNOWN),
        (UNKNOWN, 0.69, UNKNOWN),
    ],
)
def test_a_model_moves_what_the_words_say_by_one_step(
    words: Ending, probability: float | None, ending: Ending
) -> None:
    assert weighed(words, probability) is ending


def after(*turns_ms: int | tuple[int, ...]) -> Pauses:
    """Of a user whose turns had these pauses."""
    pauses = Pauses()
    for turn, told in enumerate(turns_ms, 1):
        for pause in told if isinstance(told, tuple) else (told,):
            pauses.paused(turn, samples(pause))
        pauses.ended(turn)
    return pauses


@pytest.mark.parametrize(
    ("turns", "habit_ms"),
    [
        ([], 0),
        ([700, 700, 700, 700], 0),  # too few to tell
        ([700, 700, 700, 700, 700], 700),
        ([0, 0, 0, 0, 700], 0),  # once in five is no habit
        ([0, 0, 0, 600, 700], 600),
        ([(200, 700, 100)] * 5, 700),
        ([(200, 700, 1_600)] * 5, 700),  # that one was the beginning of something new
        ([700] * 20 + [0] * 17, 0),  # forgotten as it is seen no more
        ([0] * 20 + [700] * 4, 0),
        ([0] * 20 + [700] * 5, 700),
    ],
)
def test_a_habit_is_what_four_of_five_turns_stay_below(
    turns: list[int | tuple[int, ...]], habit_ms: int
) -> None:
    assert after(*turns).habit == samples(habit_ms)


def test_a_pause_right_after_the_end_belongs_to_that_turn() -> None:
    pauses = after(0, 0, 0, 0, 0)
    for turn in range(6, 12):
        pauses.ended(turn)
        pauses.paused(turn, samples(800))
    assert pauses.habit == samples(800)


def test_habits_are_forgotten() -> None:
    pauses = after(*[700] * 10)
    pauses.forget()
    assert pauses.habit == 0
