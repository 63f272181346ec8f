"""Sessions on a store that other brains have, too."""

from __future__ import annotations

import asyncio

import pytest

from brain.dialogue.history import Said
from brain.dialogue.memory import Claim, Kept
from brain.dialogue.sessions import Full, GoingDown
from tests.dialogue.test_sessions import Caller, Shelf, a_house, said, texts
from tests.scripted_engines import ScriptedMind
from tests.virtual_time import run_virtual


class Shared(Shelf):
    """Answers a claim as it is told to, after `seconds`."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.answer = Claim()

    async def claim(self, robot: str) -> Claim:
        await asyncio.sleep(self.seconds)
        return self.answer


def test_what_another_brain_has_kept_is_newer_than_what_is_here() -> None:
    async def main() -> None:
        mind, store = ScriptedMind(["Yes."]), Shared()
        sessions, _ = a_house(mind, store=store)
        caller = Caller(sessions)
        robot = await caller.call("r1")
        await said(robot, "one")
        await caller.hang_up(robot)
        store.answer = Claim(Kept((Said("user", "elsewhere", turn=7),), 60, 70), ours=False)
        again = await caller.call("r1")
        assert again.resumed
        assert await said(again, "two") == 71
        asked, _ = mind.asked[-1]
        assert asked[-1].content == "elsewhere\ntwo"
        kept, _ = store.kept["r1"]
        assert texts(kept) == ["elsewhere", "two", "Yes."]
        store.answer = Claim(None, ours=False)  # forgotten there
        assert not (await caller.call("r1")).resumed
        await caller.end()

    run_virtual(main())


def test_where_nobody_can_be_asked_the_numbers_go_far_above() -> None:
    async def main() -> None:
        store = Shared()
        sessions, _ = a_house(store=store)
        caller = Caller(sessions)
        robot = await caller.call("r1")
        await said(robot, "one")
        await caller.hang_up(robot)
        store.answer = Claim(above=5_000)
        again = await caller.call("r1")
        assert again.resumed  # what is here is better than nothing
        assert await said(again, "two") == 5_001
        await caller.hang_up(again)
        store.answer = Claim(above=100)
        assert await said(await caller.call("r1"), "three") == 5_002
        stranger = await caller.call(None)  # is kept nowhere
        assert await said(stranger, "who am I") == 1
        await caller.end()

    run_virtual(main())


def test_two_connections_of_a_robot_while_the_store_thinks_are_one_after_another() -> None:
    async def main() -> None:
        sessions, _ = a_house(store=Shared(seconds=0.5))
        caller = Caller(sessions)
        first, second, other = await asyncio.gather(
            caller.call("r1"), caller.call("r1"), caller.call("r2")
        )
        await first.finished.wait()
        assert first.closed is not None
        assert first.closed.code == 4001
        assert second.closed is None
        assert other.closed is None
        assert (sessions.active, sessions.counters.registered) == (2, 3)
        await caller.end()

    run_virtual(main())


@pytest.mark.parametrize(("limits", "refused"), [({"max_sessions": 1}, Full), ({}, GoingDown)])
def test_the_house_may_fill_up_or_close_while_the_store_thinks(
    limits: dict[str, int], refused: type[Exception]
) -> None:
    async def main() -> None:
        sessions, _ = a_house(store=Shared(seconds=0.5), **limits)
        caller = Caller(sessions)
        opening = asyncio.ensure_future(caller.call("r1"))
        await asyncio.sleep(0.1)
        if limits:
            await caller.call(None)
        else:
            await sessions.drain(0)
        with pytest.raises(refused):
            await opening
        await caller.end()
        assert sessions.active == 0

    run_virtual(main())


def test_a_robot_that_has_gone_over_to_another_brain_is_hung_up_on_here() -> None:
    async def main() -> None:
        sessions, _ = a_house(store=Shared())
        caller = Caller(sessions)
        robot = await caller.call("r1")
        sessions.taken("r1")
        sessions.taken("nobody")
        await robot.finished.wait()
        assert robot.closed is not None
        assert (robot.closed.code, robot.closed.reason) == (4001, "replaced_by_newer_session")
        await caller.end()
        assert sessions.counters.preempted == 1

    run_virtual(main())
