"""What every engine owes its callers, whatever its kind: `brain/engines/ports.py`, as cases."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import pytest

from brain.engines.admission import AdmissionLimits
from brain.engines.lane import Closable, Lane, LaneLimits
from brain.engines.ports import (
    Cancelled,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    Ticket,
)
from tests.engines.conformance.bench import Bench, left_behind, threads

E = TypeVar("E", bound=Closable)

Items = list[Any]


class EveryEngine(ABC, Generic[E]):
    """The cases of all kinds. A kind says how its engines are asked; `bench` is its fixture."""

    questions: Sequence[Any]
    """Four things to ask, with an answer each that doesn't change."""

    @abstractmethod
    def asked(self, engine: E, question: Any, ticket: Ticket) -> AsyncGenerator[Any, None]:
        """What comes for one of `questions`."""

    @abstractmethod
    def laboured(self, engine: E, ticket: Ticket) -> AsyncGenerator[Any, None]:
        """What comes for something that keeps any engine at work for long."""

    @abstractmethod
    def same(self, one: Items, other: Items) -> bool:
        """Whether these are the same answer, and not an empty one."""

    async def answer(self, engine: E, which: int = 0) -> Items:
        return await taken(self.asked(engine, self.questions[which], Ticket("a")))

    # -- who it is ------------------------------------------------------------------------------

    def test_it_tells_what_it_is_and_where_it_computes(self, bench: Bench[E]) -> None:
        info = bench.engine.info
        assert (info.name, info.device) == (bench.adapter.name, bench.adapter.device)
        assert info.model
        assert info.model.isprintable()
        assert bench.engine.info == info

    # -- cancel and time-out --------------------------------------------------------------------

    def test_a_ticket_that_is_cancelled_already_gets_nothing(self, bench: Bench[E]) -> None:
        async def main() -> None:
            ticket = Ticket("a")
            ticket.cancel.cancel()
            came: Items = []
            with pytest.raises(Cancelled):
                await taken(self.asked(bench.engine, self.questions[0], ticket), came)
            assert came == []

        bench.run(main())

    def test_a_cancel_from_another_thread_before_anything_came(self, bench: Bench[E]) -> None:
        async def main() -> None:
            right = await self.answer(bench.engine)
            ticket = Ticket("a")
            came: Items = []
            asked = asyncio.ensure_future(taken(self.laboured(bench.engine, ticket), came))
            await begun()
            await asyncio.to_thread(ticket.cancel.cancel)
            before = len(came)
            with pytest.raises(Cancelled):
                await asked
            assert len(came) <= before + 1
            assert self.same(await self.answer(bench.engine), right)

        bench.run(main())

    def test_a_cancel_is_of_one_call(self, bench: Bench[E]) -> None:
        async def main() -> None:
            right = await self.answer(bench.engine)
            ticket, other = Ticket("a"), Ticket("b")
            leaves = asyncio.ensure_future(taken(self.laboured(bench.engine, ticket)))
            stays = asyncio.ensure_future(taken(self.asked(bench.engine, self.questions[0], other)))
            await begun()
            ticket.cancel.cancel()
            with pytest.raises(Cancelled):
                await leaves
            assert self.same(await stays, right)

        bench.run(main())

    def test_a_cancel_after_the_end_disturbs_nobody(self, bench: Bench[E]) -> None:
        async def main() -> None:
            ticket = Ticket("a")
            right = await taken(self.asked(bench.engine, self.questions[0], ticket))
            again = asyncio.ensure_future(self.answer(bench.engine))
            await begun()
            ticket.cancel.cancel()
            assert self.same(await again, right)

        bench.run(main())

    def test_its_lane_ends_a_call_that_is_late(self, bench: Bench[E]) -> None:
        """The engine lets go in time, so that it needn't be given up, and serves the next one."""

        async def main() -> None:
            right = await self.answer(bench.engine)
            gone: list[str] = []
            limits = LaneLimits(first_s=0.0, next_s=0.0, grace_s=10.0)
            lane = Lane(bench.engine, limits, given_up=gone.append)
            with pytest.raises(EngineTimeout):
                await taken(lane.stream(Ticket("a"), lambda t: self.laboured(bench.engine, t)))
            assert self.same(await self.answer(bench.engine), right)
            while lane.inflight:  # noqa: ASYNC110 - a lane tells nobody when it is empty
                await asyncio.sleep(0.005)
            assert gone == []

        bench.run(main())

    # -- company --------------------------------------------------------------------------------

    def test_four_at_once_get_what_each_gets_alone(self, bench: Bench[E]) -> None:
        async def main() -> None:
            lane = Lane(bench.engine, LaneLimits(AdmissionLimits(inflight=4)))

            def through(which: int) -> AsyncGenerator[Any, None]:
                ticket, question = Ticket(f"robot {which}"), self.questions[which]
                return lane.stream(ticket, lambda t: self.asked(bench.engine, question, t))

            alone = [await self.answer(bench.engine, which) for which in range(4)]
            together = await asyncio.gather(*(taken(through(which)) for which in range(4)))
            for one, other in zip(together, alone, strict=True):
                assert self.same(one, other)

        bench.run(main())

    def test_the_event_loop_runs_on_while_it_works(self, bench: Bench[E]) -> None:
        """It neither waits nor computes on the loop's thread."""

        async def main() -> None:
            asked = asyncio.ensure_future(first(self.laboured(bench.engine, Ticket("a"))))
            turns, longest, before = 0, 0.0, time.thread_time()
            while not asked.done():
                await asyncio.sleep(0)
                now = time.thread_time()
                turns, longest, before = turns + 1, max(longest, now - before), now
            await asked
            assert turns > 2, "all was done in one turn"
            assert longest < 0.1, "s of this thread's CPU in one turn"

        bench.run(main())

    # -- its beginning and its end --------------------------------------------------------------

    def test_two_of_them_live_in_one_process(self, bench: Bench[E]) -> None:
        async def main() -> None:
            right = await self.answer(bench.engine)
            second = await bench.load()
            assert second.info == bench.engine.info
            both = await asyncio.gather(self.answer(bench.engine), self.answer(second))
            assert all(self.same(one, right) for one in both)
            await second.close()
            assert self.same(await self.answer(bench.engine), right)
            third = await bench.load()
            assert self.same(await self.answer(third), right)
            await third.close()

        bench.run(main())

    def test_closed_is_closed_however_often(self, bench: Bench[E]) -> None:
        async def main() -> None:
            engine = await bench.load()
            info = engine.info
            await self.answer(engine)
            await asyncio.gather(engine.close(), engine.close())
            await engine.close()
            for which in range(2):
                with pytest.raises((EngineUnavailable, EngineFailed)):
                    await self.answer(engine, which)
            await engine.close()
            assert engine.info == info

        before = threads()
        bench.run(main())
        assert left_behind(before) == []

    def test_one_that_was_never_asked_closes(self, bench: Bench[E]) -> None:
        async def main() -> None:
            await (await bench.load()).close()

        before = threads()
        bench.run(main())
        assert left_behind(before) == []

    @pytest.mark.parametrize("turns", [0, 1, 2, 5])
    def test_closing_ends_what_is_under_way(self, bench: Bench[E], turns: int) -> None:
        """However little of it has begun."""

        async def main() -> None:
            engine = await bench.load()
            asked = [
                asyncio.ensure_future(taken(self.laboured(engine, Ticket(robot)))) for robot in "ab"
            ]
            await begun(turns)
            await engine.close()
            for outcome in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(outcome, EngineError)
                assert not isinstance(outcome, Cancelled), "nobody cancelled"

        before = threads()
        bench.run(main())
        assert left_behind(before) == []


class EveryStream(EveryEngine[E]):
    """The cases of those that answer bit by bit."""

    def test_a_cancel_ends_it_within_a_token_or_a_block(self, bench: Bench[E]) -> None:
        async def main() -> None:
            right = await self.answer(bench.engine)
            ticket = Ticket("a")
            came = await cancelled_after(3, self.laboured(bench.engine, ticket), ticket)
            assert len(came) == 3
            assert self.same(await self.answer(bench.engine), right)

        bench.run(main())

    def test_closing_ends_a_reply_in_its_middle(self, bench: Bench[E]) -> None:
        async def main() -> None:
            engine = await bench.load()
            async with aclosing(self.laboured(engine, Ticket("a"))) as items:
                assert await anext(items) is not None
                await asyncio.gather(engine.close(), engine.close())
                with pytest.raises((EngineUnavailable, EngineFailed)):
                    await taken(items)

        before = threads()
        bench.run(main())
        assert left_behind(before) == []

    def test_leaving_early_is_a_cancel(self, bench: Bench[E]) -> None:
        async def main() -> None:
            right = await self.answer(bench.engine)
            ticket = Ticket("a")
            for _ in range(3):
                assert await first(self.laboured(bench.engine, ticket)) is not None
            assert self.same(await self.answer(bench.engine), right)
            assert not ticket.cancel.cancelled, "the ticket is its caller's"

        bench.run(main())


async def taken(items: AsyncGenerator[Any, None], into: Items | None = None) -> Items:
    """All items; `into` has those, too, that come before an error."""
    came = [] if into is None else into
    async with aclosing(items):
        async for item in items:
            came.append(item)
    return came


async def cancelled_after(count: int, items: AsyncGenerator[Any, None], ticket: Ticket) -> Items:
    """What came of `items` until they were cancelled, which is done after `count` of them."""
    came: Items = []
    async with aclosing(items):
        try:
            async for item in items:
                came.append(item)
                if len(came) == count:
                    # Now the engine is ahead of its taker, who mustn't hear of that any more.
                    await asyncio.sleep(0.03)
                    ticket.cancel.cancel()
        except Cancelled:
            return came
    pytest.fail("its cancel was not heeded")


async def first(items: AsyncGenerator[Any, None]) -> Any:
    """The first item (None: there is none); the rest isn't waited for."""
    async with aclosing(items):
        async for item in items:
            return item
    return None


async def begun(turns: int = 5) -> None:
    """Turns of the loop in which what was asked reaches the engine."""
    for _ in range(turns):
        await asyncio.sleep(0)
