"""What is known of a prompt before it is asked is computed before, on real llama.cpp; by counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from brain.engines.lane import Lane
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.llm.native import Entry
from brain.engines.ports import (
    Cancelled,
    EngineUnavailable,
    LanguageModel,
    Message,
    Ticket,
    ToolSpec,
)
from tests.engines.llm.pocket_mind import answer, loaded, text_of

TOOLS = tuple(
    ToolSpec(
        f"tool_number_{number}",
        "Does it.",
        {"type": "object", "properties": {"direction": {"type": "string", "enum": ["up", "no"]}}},
    )
    for number in range(12)
)
SYSTEM = (Message("system", "Be brief."),)
QUESTION = "What does a cow say?"
ASKED = (*SYSTEM, Message("user", QUESTION))

SHARED, OWN = 2048, 8192
"""Contexts of four sequences: too little for each to have room of its own, and enough."""
CONTEXTS = pytest.mark.parametrize("context", [SHARED, OWN])


def run(main: Callable[[LlamaCppMind], Any], **changes: Any) -> Any:
    async def whole() -> Any:
        async with loaded(**changes) as mind:
            return await main(mind)

    return asyncio.run(whole())


def cells(mind: LlamaCppMind, messages: Sequence[Message] = ASKED) -> int:
    """How many tokens the whole prompt has."""
    return len(mind._loaded.prompter.prompt(messages, TOOLS))


def ends_and_begins(mind: LlamaCppMind) -> int:
    """Tokens of a question: its own, the end of its turn, and the beginning of the reply's."""
    return cells(mind) - cells(mind, [*SYSTEM, Message("user", "")]) + TURN


TURN = 6
"""Tokens between a user's words and the reply's first: of the pocket mind's template."""


@CONTEXTS
def test_the_first_turn_pays_for_its_own_words_alone(context: int) -> None:
    async def main(mind: LlamaCppMind) -> None:
        assert mind._loaded.context.own_cells is (context == OWN)
        right = text_of(await answer(mind, ASKED, tools=TOOLS, max_tokens=8))
        first = mind.counters
        assert first.prefilled == cells(mind)
        await mind._worker.run(mind._batcher.forget)
        await mind.prefill(SYSTEM, tools=TOOLS, ticket=Ticket("a"))
        before = mind.counters
        assert before.prefilled - first.prefilled > 150
        assert before.generated == first.generated
        assert text_of(await answer(mind, ASKED, tools=TOOLS, max_tokens=8)) == right
        assert 0 < mind.counters.prefilled - before.prefilled <= ends_and_begins(mind)

    run(main, context=context)


@CONTEXTS
def test_robots_of_one_house_pay_for_their_instructions_once(context: int) -> None:
    async def main(mind: LlamaCppMind) -> None:
        await mind.prefill(SYSTEM, tools=TOOLS, ticket=Ticket("a"))
        first = mind.counters
        for robot in ("b", "c", "d", "e", "f", "g"):
            await mind.prefill(SYSTEM, tools=TOOLS, ticket=Ticket(robot))
        assert mind.counters.batches == first.batches
        talks = {robot: [*ASKED] for robot in "abcd"}
        for robot, talk in talks.items():
            before = mind.counters.prefilled
            said = text_of(await answer(mind, talk, robot, tools=TOOLS, max_tokens=8))
            assert mind.counters.prefilled - before <= ends_and_begins(mind), robot
            talk += [Message("assistant", f"{said} {robot}"), Message("user", f"{robot}?")]
        await mind.prefill(SYSTEM, tools=TOOLS, ticket=Ticket("new"))
        before = mind.counters.prefilled
        for robot, talk in talks.items():
            await answer(mind, talk, robot, tools=TOOLS, max_tokens=8)
        assert mind.counters.prefilled - before < 4 * 30, "nobody's conversation had to go"

    run(main, context=context)


def test_what_was_said_so_far_is_computed_too() -> None:
    talk = [*ASKED, Message("assistant", "A cow says moo, and sometimes it doesn't.")]

    async def main(mind: LlamaCppMind) -> None:
        await mind.prefill(talk, tools=TOOLS, ticket=Ticket("a"))
        before = mind.counters.prefilled
        await answer(mind, [*talk, Message("user", QUESTION)], tools=TOOLS, max_tokens=4)
        assert mind.counters.prefilled - before <= ends_and_begins(mind)

    run(main)


@pytest.mark.parametrize("messages", [(), (Message("user", "Hello."),), (Message("system", ""),)])
def test_a_beginning_of_any_kind(messages: Sequence[Message]) -> None:
    async def main(mind: LlamaCppMind) -> None:
        await mind.prefill(messages, ticket=Ticket("a"))
        assert mind.counters.generated == 0
        assert text_of(await answer(mind, QUESTION, max_tokens=8))
        assert not mind._batcher.has_work

    run(main)


def test_one_that_does_not_fit_does_no_harm() -> None:
    async def main(mind: LlamaCppMind) -> None:
        await mind.prefill([Message("user", "Hm. " * 400)], ticket=Ticket("a"))
        assert text_of(await answer(mind, QUESTION, max_tokens=8))

    run(main, context=512)


def cancelling(mind: LlamaCppMind, ticket: Ticket, at: int) -> None:
    """Have `ticket` cancelled while batch number `at` is being computed."""
    context = mind._loaded.context
    decode, calls = context.decode, 0

    def decode_and_cancel(entries: Sequence[Entry]) -> int:
        nonlocal calls
        calls += 1
        if calls == at:
            ticket.cancel.cancel()
        return decode(entries)

    context.decode = decode_and_cancel  # type: ignore[method-assign]


@CONTEXTS
def test_a_cancel_ends_it_within_a_batch_and_what_was_done_stays(context: int) -> None:
    async def main(mind: LlamaCppMind) -> None:
        ticket = Ticket("a")
        cancelling(mind, ticket, at=3)
        with pytest.raises(Cancelled):
            await mind.prefill(SYSTEM, tools=TOOLS, ticket=ticket)
        done = mind.counters
        assert (done.batches, done.aborted, done.prefilled) == (3, 1, 2 * 32)
        await answer(mind, ASKED, tools=TOOLS, max_tokens=1)
        assert mind.counters.reused == 2 * 32

    run(main, batch=32, context=context)


def test_a_question_takes_over_the_place_of_a_prefill_that_gives_way() -> None:
    """It comes through the lane: the prefill ends within a batch, nothing of it is lost, and after
    the reply there is nothing left to do."""

    async def main(mind: LlamaCppMind) -> None:
        engine: LanguageModel = mind
        lane = LaneLanguageModel(Lane(engine))
        context, replies = mind._loaded.context, []
        decode, calls = context.decode, 0
        loop = asyncio.get_running_loop()

        async def ask() -> None:
            ticket = Ticket("a")
            stream = lane.stream(ASKED, tools=TOOLS, max_tokens=4, ticket=ticket)
            replies.extend([item async for item in stream])

        def decode_and_ask(entries: Sequence[Entry]) -> int:
            nonlocal calls
            calls += 1
            if calls == 3:
                asked = asyncio.run_coroutine_threadsafe(ask(), loop)
                asked.add_done_callback(lambda _: loop.call_soon_threadsafe(done.set))
                while not mind._batcher._pending:  # as if the batch took long
                    pass
            return decode(entries)

        done = asyncio.Event()
        context.decode = decode_and_ask  # type: ignore[method-assign]
        await asyncio.gather(lane.prefill(SYSTEM, tools=TOOLS, ticket=Ticket("a")), done.wait())
        assert text_of(replies)
        assert mind.counters.prefilled == cells(mind), "nothing was computed twice"
        assert [bool(slot.tokens) for slot in mind._batcher._slots].count(True) == 1

    run(main, batch=32)


def test_closing_ends_it() -> None:
    async def main(mind: LlamaCppMind) -> None:
        prefill = asyncio.ensure_future(mind.prefill(SYSTEM, tools=TOOLS, ticket=Ticket("a")))
        await asyncio.sleep(0)
        await mind.close()
        with pytest.raises(EngineUnavailable):
            await prefill
        with pytest.raises(EngineUnavailable):
            await mind.prefill(SYSTEM, tools=TOOLS, ticket=Ticket("a"))

    run(main)
