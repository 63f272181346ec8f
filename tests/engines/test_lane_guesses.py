"""A guess waits in a lane only for what is letting go of the engine. On virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pytest

from brain.engines.admission import AdmissionLimits
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneTranscriber
from brain.engines.ports import Cancelled, EngineBusy, Priority, Ticket, Transcriber
from tests.scripted_engines import ScriptedTranscriber
from tests.virtual_time import run_virtual

SILENCE = np.zeros(160, np.float32)


def stubborn_ears(**limits: Any) -> LaneTranscriber:
    """They take a second, and are cancelled in vain."""
    engine: Transcriber = ScriptedTranscriber(["heard"], 1.0, stubborn=True)
    return LaneTranscriber(Lane(engine, LaneLimits(AdmissionLimits(**limits))))


def a_guess(robot: str) -> Ticket:
    return Ticket(robot, Priority.SPECULATION)


async def served(lane: LaneTranscriber, ticket: Ticket) -> tuple[str, str]:
    """Who was served when, or why not."""
    try:
        await lane.transcribe(SILENCE, language=None, ticket=ticket)
        outcome = "served"
    except (EngineBusy, Cancelled) as error:
        outcome = type(error).__name__
    return ticket.robot, f"{outcome} {asyncio.get_running_loop().time():.2f}"


async def one_by_one(*works: Awaitable[Any]) -> list[Any]:
    """All of them, each begun 0.1 s after the one before."""
    tasks = []
    for work in works:
        tasks.append(asyncio.ensure_future(work))
        await asyncio.sleep(0.1)
    return [await task for task in tasks]


async def dropped(ticket: Ticket) -> None:
    ticket.cancel.cancel()


def test_it_waits_for_what_was_cancelled() -> None:
    async def main() -> Any:
        lane, first = stubborn_ears(), a_guess("a")
        works = served(lane, first), dropped(first), served(lane, a_guess("b"))
        return await one_by_one(*works)

    assert run_virtual(main()) == [("a", "Cancelled 0.10"), None, ("b", "served 2.00")]


def test_but_not_for_long() -> None:
    async def main() -> Any:
        lane, first = stubborn_ears(eviction_s=0.5), a_guess("a")
        works = served(lane, first), dropped(first), served(lane, a_guess("b"))
        return await one_by_one(*works)

    assert run_virtual(main()) == [("a", "Cancelled 0.10"), None, ("b", "EngineBusy 0.70")]


def test_nor_for_a_place_that_others_wait_for() -> None:
    async def main() -> Any:
        lane, first = stubborn_ears(), a_guess("a")
        return await one_by_one(
            served(lane, first),
            dropped(first),
            served(lane, Ticket("b")),
            served(lane, a_guess("c")),
        )

    assert run_virtual(main())[2:] == [("b", "served 2.00"), ("c", "EngineBusy 0.30")]


@pytest.mark.parametrize("priority", [Priority.REPLY, Priority.PLAN])
def test_one_that_waits_is_in_nobodys_way(priority: Priority) -> None:
    async def main() -> Any:
        lane, first = stubborn_ears(), a_guess("a")
        return await one_by_one(
            served(lane, first),
            dropped(first),
            served(lane, a_guess("b")),
            served(lane, Ticket("c", priority)),
        )

    assert run_virtual(main())[2:] == [("b", "EngineBusy 1.20"), ("c", "served 2.00")]


def test_one_that_waits_sends_no_other_away() -> None:
    async def main() -> Any:
        lane, first = stubborn_ears(inflight=2), a_guess("a")
        return await one_by_one(
            served(lane, first),
            served(lane, a_guess("b")),
            dropped(first),
            served(lane, a_guess("c")),
        )

    outcome = run_virtual(main())
    assert (outcome[1], outcome[3]) == (("b", "served 1.10"), ("c", "served 2.00"))


def test_one_that_comes_true_while_it_waits_waits_on_as_a_reply() -> None:
    async def main() -> Any:
        lane = stubborn_ears(eviction_s=0.5)
        first, second = a_guess("a"), a_guess("b")

        async def confirmed() -> None:
            second.confirmation.give()

        works = served(lane, first), dropped(first), served(lane, second), confirmed()
        return await one_by_one(*works)

    assert run_virtual(main())[2] == ("b", "served 2.00")
