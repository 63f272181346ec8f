"""What nobody waits for is done when nobody else is there, and holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from brain.engines.admission import AdmissionLimits
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.ports import (
    Cancelled,
    EngineFailed,
    LanguageModel,
    Message,
    Priority,
    Text,
    Ticket,
    ToolCall,
)
from brain.engines.spare_time import SpareTime
from tests.scripted_engines import ScriptedMind
from tests.virtual_time import run_virtual

TALK = (Message("system", "Be brief."),)


def now() -> float:
    return asyncio.get_running_loop().time()


def behind_a_lane(mind: ScriptedMind, inflight: int = 1) -> LaneLanguageModel:
    engine: LanguageModel = mind
    return LaneLanguageModel(Lane(engine, LaneLimits(AdmissionLimits(inflight=inflight))))


async def answered(mind: LanguageModel, ticket: Ticket) -> float:
    """How long the first word took, s."""
    since = now()
    items: AsyncGenerator[Text | ToolCall, None] = mind.stream(TALK, ticket=ticket)
    await anext(items)
    first = now() - since
    async for _ in items:
        pass
    return first


def test_it_is_done_when_nobody_is_there() -> None:
    async def main() -> None:
        mind = ScriptedMind(["hello"], prefill_seconds=2.0)
        lane = behind_a_lane(mind)
        since = now()
        await lane.prefill(TALK, ticket=Ticket("a"))
        assert now() - since == pytest.approx(2.0)
        assert mind.prefilled == [(TALK, ())]

    run_virtual(main())


@pytest.mark.parametrize("priority", list(Priority))
@pytest.mark.parametrize("inflight", [1, 4])
def test_it_gives_way_to_whoever_comes_and_goes_on_afterwards(
    priority: Priority, inflight: int
) -> None:
    """No caller waits for it, whatever its priority: not even one that is never made to queue."""

    async def main() -> None:
        mind = ScriptedMind(["one two three"], first_seconds=0.2, prefill_seconds=2.0)
        lane = behind_a_lane(mind, inflight)
        prefill = asyncio.ensure_future(lane.prefill(TALK, ticket=Ticket("a")))
        await asyncio.sleep(1.0)
        assert await answered(lane, Ticket("b", priority)) == pytest.approx(0.2)
        ended = now()
        assert not prefill.done()
        await prefill
        assert now() - ended == pytest.approx(2.0)
        assert mind.prefilled == [(TALK, ())] * 2
        assert (lane.lane.counters.started, lane.lane.counters.shed) == (1, 0)

    run_virtual(main())


def test_it_is_not_begun_while_somebody_is_there() -> None:
    async def main() -> None:
        mind = ScriptedMind(["one two three"], first_seconds=1.0)
        lane = behind_a_lane(mind)
        asked = asyncio.ensure_future(answered(lane, Ticket("a")))
        await asyncio.sleep(0.1)
        prefill = asyncio.ensure_future(lane.prefill(TALK, ticket=Ticket("b")))
        await asyncio.sleep(0.8)
        assert mind.prefilled == []
        await asked
        await prefill
        assert mind.prefilled == [(TALK, ())]

    run_virtual(main())


def test_one_after_another() -> None:
    """Who comes second finds what the first one has computed."""

    async def main() -> None:
        mind = ScriptedMind(["hello"], prefill_seconds=1.0)
        lane = behind_a_lane(mind)
        since = now()
        await asyncio.gather(*(lane.prefill(TALK, ticket=Ticket(robot)) for robot in "abc"))
        assert now() - since == pytest.approx(3.0)

    run_virtual(main())


@pytest.mark.parametrize("after", [0.5, 1.5])
def test_a_cancel_is_heeded_whether_it_waits_or_is_at_work(after: float) -> None:
    async def main() -> None:
        mind = ScriptedMind(["hello"], first_seconds=1.0, prefill_seconds=9.0)
        lane = behind_a_lane(mind)
        asked = asyncio.ensure_future(answered(lane, Ticket("a")))
        await asyncio.sleep(0)
        ticket = Ticket("b")
        prefill = asyncio.ensure_future(lane.prefill(TALK, ticket=ticket))
        await asyncio.sleep(after)
        ticket.cancel.cancel()
        since = now()
        with pytest.raises(Cancelled):
            await prefill
        assert now() == since
        await asked
        await asyncio.wait_for(lane.prefill(TALK, ticket=Ticket("c")), 10)

    run_virtual(main())


def test_what_fails_fails_once_and_the_next_one_is_done() -> None:
    async def main() -> None:
        spare, done = SpareTime(), []

        async def fails(_: Ticket) -> None:
            raise EngineFailed("broken")

        async def gives_up(_: Ticket) -> None:
            raise Cancelled("of its own accord")

        async def works(_: Ticket) -> None:
            done.append(now())

        with pytest.raises(EngineFailed, match="broken"):
            await spare.use(Ticket("a"), fails)
        with pytest.raises(Cancelled, match="own accord"):
            await spare.use(Ticket("a"), gives_up)
        await spare.use(Ticket("a"), works)
        assert len(done) == 1

    run_virtual(main())
