"""Conversations stay where they are cached, and newcomers don't push them out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from brain.engines.llm.sequences import Choice, Slot, choose, common_prefix

SYSTEM = list(range(100))


def slots(*contents: list[int], busy: tuple[int, ...] = ()) -> list[Slot]:
    """Slots used in the order in which they stand."""
    return [Slot(i, list(tokens), i in busy, i) for i, tokens in enumerate(contents)]


def test_a_conversation_goes_on_where_it_was() -> None:
    a, b = [*SYSTEM, *range(200, 260)], [*SYSTEM, *range(300, 360)]
    made = slots(a, b, [])
    assert choose(made, [*a, 1, 2]) == Choice(made[0], None, 160)
    assert choose(made, [*b, 1, 2]) == Choice(made[1], None, 160)


def test_a_reply_that_was_heard_only_in_part_is_cut() -> None:
    a = [*SYSTEM, *range(200, 260)]
    made = slots(a, [])
    assert choose(made, [*a[:140], 7, 8]) == Choice(made[0], None, 140)


def test_a_newcomer_shares_the_instructions_and_takes_an_empty_slot() -> None:
    a = [*SYSTEM, *range(200, 360)]
    made = slots(a, [])
    assert choose(made, [*SYSTEM, 9, 9]) == Choice(made[1], made[0], 100)


def test_a_newcomer_takes_the_least_recently_used_when_all_are_taken() -> None:
    a, b = [*SYSTEM, *range(200, 360)], [*SYSTEM, *range(400, 560)]
    made = slots(a, b)
    assert choose(made, [*SYSTEM, 9, 9]) == Choice(made[0], None, 100)
    made[0].used_at = 5
    assert choose(made, [*SYSTEM, 9, 9]) == Choice(made[1], None, 100)


def test_a_busy_slot_may_be_shared_from_but_not_taken() -> None:
    a = [*SYSTEM, *range(200, 360)]
    made = slots(a, [], busy=(0,))
    assert choose(made, [*a, 1]) == Choice(made[1], made[0], 260)
    assert choose(made, [*a, 1], may_share=False) == Choice(made[1], None, 0)
    assert choose(slots(a, busy=(0,)), a) is None


token_lists = st.lists(st.integers(0, 2), max_size=8)


@given(st.lists(st.tuples(token_lists, st.booleans()), max_size=5), token_lists, st.booleans())
def test_what_is_chosen_is_always_true(
    contents: list[tuple[list[int], bool]], prompt: list[int], may_share: bool
) -> None:
    made = [Slot(i, tokens, busy, i) for i, (tokens, busy) in enumerate(contents)]
    choice = choose(made, prompt, may_share=may_share)
    if choice is None:
        assert all(slot.busy for slot in made)
        return
    assert not choice.slot.busy
    source = choice.source or choice.slot
    assert source.tokens[: choice.common] == prompt[: choice.common]
    assert choice.source is None or may_share
    if may_share:
        assert choice.common == max(common_prefix(slot.tokens, prompt) for slot in made) or (
            choice.source is None and len(choice.slot.tokens) - choice.common <= 32
        )
