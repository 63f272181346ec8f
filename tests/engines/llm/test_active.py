"""What goes into one batch, of replies in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from brain.engines.llm.active import SHARED_PIECE, Active, filled
from brain.engines.llm.request import Prepared, Request
from brain.engines.llm.sequences import Slot
from brain.engines.ports import CancelToken


def nothing(*_: object) -> Any:
    raise AssertionError("a batch is made without it")


def under_way(sequence: int, there: int, missing: int, *, answers: bool = True) -> Active:
    """A reply whose first `there` tokens are in memory; its token at i is 1000 x sequence + i."""
    tokens = [1000 * sequence + i for i in range(there + missing)]
    return Active(
        Request(nothing, nothing, CancelToken(), 10),
        Prepared(list(tokens), nothing, nothing, nothing),  # type: ignore[arg-type]
        Slot(sequence, tokens[:there], busy=True),
        10 if answers else 0,
        tokens,
    )


@st.composite
def many(draw: st.DrawFn) -> list[Active]:
    sequences = draw(st.permutations(range(8)))[: draw(st.integers(1, 8))]
    return [
        under_way(
            sequence,
            draw(st.integers(0, 40)),
            draw(st.sampled_from([1, 1, 1, 5, 300])),
            answers=draw(st.booleans()),
        )
        for sequence in sequences
    ]


@given(many(), st.sampled_from([8, 64, 512]))
def test_a_batch_goes_on_with_each_in_the_order_of_the_sequences(
    replies: list[Active], batch: int
) -> None:
    """Else llama.cpp computes them one after another."""
    entries, shares = filled(replies, batch)
    assert 0 < len(entries) <= batch
    assert [entry.sequence for entry in entries] == sorted(entry.sequence for entry in entries)
    at = 0
    for share in shares:
        there = len(share.active.slot.tokens)
        mine = entries[at : at + share.size]
        assert [entry.token for entry in mine] == share.active.tokens[there : there + share.size]
        assert [entry.position for entry in mine] == list(range(there, there + share.size))
        last = share.active.answers and there + share.size == len(share.active.tokens)
        assert share.asked == (at + share.size - 1 if last else None)
        assert [entry.wants_logits for entry in mine] == [*[False] * (share.size - 1), last]
        at += share.size
    assert at == len(entries)


def test_whoever_is_being_answered_gets_a_token_and_a_newcomer_a_piece() -> None:
    newcomer, others = under_way(2, 0, 300), [under_way(5, 30, 1), under_way(0, 20, 1)]
    _, shares = filled([newcomer, *others], 512)
    assert [(share.active, share.size) for share in shares] == [
        (others[1], 1),
        (newcomer, SHARED_PIECE),
        (others[0], 1),
    ]
