"""How much of a prompt is computed anew in a conversation: counts, by real llama.cpp and the real
history. No turn pays for what was computed before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from brain.dialogue.history import History
from brain.engines.llm.active import SHARED_PIECE
from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.llm.native import Entry
from brain.engines.llm.sampling import Sampling
from brain.engines.ports import Cancelled, Message, Priority, Ticket, ToolCall, ToolSpec
from tests.engines.llm.pocket_mind import answer, loaded, text_of

WAVE = ToolSpec("wave", "Wave.", {"type": "object", "properties": {}})
SYSTEM = Message("system", "Be brief.")
LONG = "I have a story to tell, of robots in the snow, and of their friends in the south. " * 4

SHARED, OWN = 2048, 8192
"""Contexts of four sequences: too little for each to have room of its own, and enough."""


class Robot:
    """Asks the mind as a session does, and counts what that costs."""

    def __init__(self, mind: LlamaCppMind, name: str = "a", budget: int = 8_000) -> None:
        self.mind, self.name = mind, name
        self.history = History(budget)
        self.turn = 0

    def told(self, history: History | None = None) -> list[Message]:
        return [SYSTEM, *(history or self.history).messages()]

    def size(self, messages: Sequence[Message]) -> int:
        return len(self.mind._loaded.prompter.prompt(messages, [WAVE]))

    async def ask(self, text: str) -> tuple[str, int]:
        """What it says, and how many tokens of the prompt were computed for it."""
        self.turn += 1
        self.history.user_said(text, self.turn)
        return await self.answered()

    async def answered(self) -> tuple[str, int]:
        before = self.mind.counters.prefilled
        items = await answer(self.mind, self.told(), self.name, tools=[WAVE], max_tokens=12)
        return text_of(items), self.mind.counters.prefilled - before

    async def talk(self, *texts: str) -> None:
        for text in texts:
            said, _ = await self.ask(text)
            self.history.assistant_said(said)

    def new(self, text: str) -> int:
        """Tokens of a question alone, and what stands around it and before the reply."""
        asked = [*self.told(), Message("user", text)]
        return self.size(asked) - self.size(self.told()) + OPENER


OPENER = 6
"""Tokens in which a prompt without the question differs at its end: the reply's beginning, which
is there in both, the end of the last reply, and the one that is always computed."""


async def an_ordinary_turn(robot: Robot) -> None:
    await robot.talk("Hello.", LONG)
    _, computed = await robot.ask("What does a cow say?")
    assert 0 < computed <= robot.new("What does a cow say?")


async def a_guess_that_did_not_come_true(robot: Robot) -> None:
    """The user went on: the words that were guessed are forgotten, and nothing else."""
    await robot.talk("Hello.", LONG)
    guess = robot.history.copy()
    guess.user_said("What does a cow", 9)
    ticket = Ticket(robot.name, Priority.SPECULATION)
    stream = robot.mind.stream(robot.told(guess), tools=[WAVE], ticket=ticket)
    await anext(stream)
    ticket.cancel.cancel()
    with pytest.raises(Cancelled):
        await anext(stream)
    await stream.aclose()
    _, computed = await robot.ask("What does a cow say to a dog?")
    assert 0 < computed <= robot.new("What does a cow say to a dog?")


async def a_guess_that_came_true(robot: Robot) -> None:
    """It is asked again from the start, if its reply was lost on the way: for one token."""
    await robot.talk(LONG)
    guess = robot.history.copy()
    guess.user_said("What does a cow say?", 9)
    await answer(robot.mind, robot.told(guess), robot.name, tools=[WAVE], max_tokens=12)
    _, computed = await robot.ask("What does a cow say?")
    assert computed == 1


async def a_reply_that_was_interrupted(robot: Robot) -> None:
    """Of the reply only what was heard is in the prompt: the rest is forgotten."""
    await robot.talk("Hello.", LONG)
    said, _ = await robot.ask("Count to ten.")
    heard = said[: len(said) // 2].rpartition(" ")[0]
    robot.history.assistant_said(heard)
    _, computed = await robot.ask("What does a cow say?")
    # (Where it is cut, a word may be one token in the reply and others in the prompt.)
    assert 0 < computed <= robot.new("What does a cow say?") + 3


async def a_tool_call(robot: Robot) -> None:
    await robot.talk("Hello.", LONG)
    await robot.ask("Wave.")
    before = robot.size(robot.told())
    robot.history.assistant_said("", [ToolCall("wave", "{}", "c1")])
    robot.history.tool_answered("c1", '{"status": "ok"}')
    said, computed = await robot.answered()
    assert 0 < computed <= robot.size(robot.told()) - before + OPENER
    robot.history.assistant_said(said)
    _, computed = await robot.ask("What does a cow say?")
    assert 0 < computed <= robot.new("What does a cow say?")


async def a_history_that_was_trimmed(robot: Robot) -> None:
    """Only then is it read anew, from the instructions on; and the turn after that is as ever."""
    robot.history = History(1_200)
    costs = []
    for turn in range(8):
        said, computed = await robot.ask(f"{LONG[:160]} {turn}")
        costs.append(computed)
        robot.history.assistant_said(said)
    ordinary = robot.new(f"{LONG[:160]} 9") + 4
    dear = [cost for cost in costs[1:] if cost > ordinary]
    assert 1 <= len(dear) <= 3
    assert max(costs[1:]) < robot.size(robot.told()), "the instructions were there"


CASES = (
    an_ordinary_turn, a_guess_that_did_not_come_true, a_guess_that_came_true,
    a_reply_that_was_interrupted, a_tool_call, a_history_that_was_trimmed,
)  # fmt: skip


@pytest.mark.parametrize("context", [SHARED, OWN])
@pytest.mark.parametrize("case", CASES)
def test_a_turn_pays_for_what_is_new(
    case: Callable[[Robot], Awaitable[None]], context: int
) -> None:
    async def main() -> None:
        async with loaded(context=context) as mind:
            await case(Robot(mind))

    asyncio.run(main())


def test_four_robots_in_turns_pay_for_what_is_new_to_each() -> None:
    async def main() -> None:
        async with loaded(context=OWN) as mind:
            robots = [Robot(mind, name) for name in "abcd"]
            for robot in robots:
                await robot.talk(f"I am {robot.name}. {LONG}")
            for turn in range(3):
                for robot in robots:
                    question = f"What is {turn} plus two?"
                    said, computed = await robot.ask(question)
                    robot.history.assistant_said(said)
                    assert 0 < computed <= robot.new(question) + 2, (robot.name, turn)

    asyncio.run(main())


@pytest.mark.parametrize("sampling", [Sampling(temperature=0.0), Sampling(0.9, seed=3)])
def test_robots_at_once_get_token_for_token_what_each_gets_alone(sampling: Sampling) -> None:
    """With room of their own, joining at different times, by the same seed."""
    questions = ("Count to three.", "What does a cow say?", "What is two plus two?")

    async def main() -> None:
        async with loaded(context=OWN, sampling=sampling) as mind:
            alone = [await answer(mind, question, max_tokens=16) for question in questions]
            before = mind.counters
            asked = [
                asyncio.ensure_future(answer(mind, question, question, max_tokens=16))
                for question in questions
            ]
            assert list(await asyncio.gather(*asked)) == alone
            after = mind.counters
            assert after.batches - before.batches < after.generated - before.generated

    asyncio.run(main())


def test_a_long_prompt_stalls_nobody_for_more_than_a_piece_of_it() -> None:
    """In every batch with it is a token of each reply that is under way."""

    async def main() -> None:
        async with loaded(context=OWN, batch=256) as mind:
            context = mind._loaded.context
            decode, pieces = context.decode, []
            here = asyncio.Event()
            loop = asyncio.get_running_loop()

            def noted(entries: Sequence[Entry]) -> int:
                by_sequence: dict[int, int] = {}
                for entry in entries:
                    by_sequence[entry.sequence] = by_sequence.get(entry.sequence, 0) + 1
                if len(by_sequence) == 2:
                    pieces.append(sorted(by_sequence.values()))
                loop.call_soon_threadsafe(here.set)
                return decode(entries)

            context.decode = noted  # type: ignore[method-assign]
            count = {"type": "array", "items": {"type": "integer"}, "minItems": 400}
            talks = asyncio.ensure_future(answer(mind, "Count.", "a", schema=count, max_tokens=150))
            await here.wait()
            await answer(mind, LONG * 12, "b", max_tokens=2)
            await talks
            joining = [piece for piece in pieces if piece[1] > 1]
            assert len(joining) > 10
            assert all(ones == 1 and piece <= SHARED_PIECE for ones, piece in joining)

    asyncio.run(main())
