"""Conversations that are too long lose their oldest turns, several at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from brain.engines.llm.fitting import fitted
from brain.engines.ports import Message
from tests.engines.llm.pocket_mind import answer, loaded


def words(messages: Sequence[Message]) -> list[int]:
    """A token a character, which is its own id: what was left out can be seen."""
    return [ord(c) for message in messages for c in message.content]


def conversation(turns: int) -> list[Message]:
    messages = [Message("system", "S")]
    for i in range(turns):
        messages += [Message("user", f"<{i}>"), Message("assistant", "yes")]
    return [*messages, Message("user", "<last>")]


@given(st.integers(0, 60), st.integers(10, 400))
def test_the_newest_turns_stay(turns: int, limit: int) -> None:
    messages = conversation(turns)
    prompt = "".join(map(chr, fitted(messages, words, limit)))
    whole = "".join(map(chr, words(messages)))
    assert len(prompt) <= limit or prompt == "S<last>"
    assert prompt[0] == "S"
    assert whole.endswith(prompt[1:])
    if len(whole) <= limit:
        assert prompt == whole


def test_the_start_stays_the_same_for_several_turns() -> None:
    starts = ["".join(map(chr, fitted(conversation(i), words, 120)))[:8] for i in range(60)]
    changes = sum(a != b for a, b in itertools.pairwise(starts))
    assert changes <= 60 // 8 + 1


def test_the_pocket_mind_answers_at_the_end_of_a_very_long_conversation() -> None:
    async def main() -> None:
        async with loaded() as mind:
            messages = [Message("system", "You are Robo.")]
            for _ in range(400):
                messages += [Message("user", "How are you?"), Message("assistant", "I am fine.")]
            messages.append(Message("user", "What is your name?"))
            assert await answer(mind, messages)

    asyncio.run(main())
