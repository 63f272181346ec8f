"""Who is connected, and what is kept of those who were."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from brain.dialogue import events, outputs
from brain.dialogue.common import Engines
from brain.dialogue.config import HouseRules
from brain.dialogue.history import History
from brain.dialogue.memory import Claim, Kept, RobotMemory
from brain.dialogue.sessions import Connection, Full, GoingDown, Sessions
from tests.scripted_engines import (
    Hang,
    ScriptedDetector,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
)
from tests.virtual_time import run_virtual


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def a_house(mind: ScriptedMind | None = None, **limits: Any) -> tuple[Sessions, Clock]:
    clock = Clock()
    engines = Engines(
        ScriptedDetector(),
        ScriptedTranscriber(["hello"]),
        mind or ScriptedMind(["Yes."]),
        ScriptedMouth(),
    )
    return Sessions(engines, HouseRules(), clock=clock, **limits), clock


class Caller:
    """Opens a session, runs it, and gives it back, as the wire does."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.tasks: list[asyncio.Task[None]] = []

    async def call(self, robot: str | None) -> Connection:
        connection = await self.sessions.open(robot)

        async def live() -> None:
            await connection.run()
            self.sessions.close(connection)

        self.tasks.append(asyncio.ensure_future(live()))
        return connection

    async def hang_up(self, connection: Connection) -> None:
        connection.session.hang_up(1000, "")
        await connection.finished.wait()
        await asyncio.sleep(0)

    async def end(self) -> None:
        await self.sessions.drain(0)
        await asyncio.gather(*self.tasks)


async def said(connection: Connection, text: str) -> int:
    """Type something, wait for the answer, and give its reply id."""
    connection.session.post(events.Typed(text))
    while not isinstance(output := await connection.session.outputs.get(), outputs.ReplyDone):
        pass
    return output.reply_id


def test_a_robot_finds_its_history_again_and_its_ids_go_on() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Yes."])
        sessions, _ = a_house(mind)
        caller = Caller(sessions)
        first = await caller.call("r1")
        assert not first.resumed
        assert await said(first, "one") == 1
        await caller.hang_up(first)
        again = await caller.call("r1")
        assert again.resumed
        assert await said(again, "two") == 2
        asked, _ = mind.asked[-1]
        assert [message.content for message in asked[1:]] == ["one", "Yes.", "two"]
        await caller.end()

    run_virtual(main())


def test_the_newest_session_of_a_robot_replaces_the_older() -> None:
    async def main() -> None:
        sessions, _ = a_house()
        caller = Caller(sessions)
        older = await caller.call("r1")
        newer = await caller.call("r1")
        while not isinstance(output := await older.session.outputs.get(), outputs.Closed):
            pass
        assert (output.code, output.reason) == (4001, "replaced_by_newer_session")
        assert sessions.active == 1
        assert await said(newer, "hello") == 1
        assert sessions.counters.preempted == 1
        await caller.end()

    run_virtual(main())


def test_many_that_come_at_once_are_counted_once_each() -> None:
    async def main() -> None:
        sessions, _ = a_house()
        caller = Caller(sessions)
        await asyncio.gather(*(caller.call("r1") for _ in range(20)))
        assert sessions.counters.registered == 20
        assert sessions.counters.unregistered == sessions.counters.preempted == 19
        assert sessions.active == 1
        await caller.end()

    run_virtual(main())


def test_one_that_has_hung_up_itself_was_not_replaced() -> None:
    async def main() -> None:
        sessions, _ = a_house()
        caller = Caller(sessions)
        older = await caller.call("r1")
        older.session.hang_up(1000, "")
        await caller.call("r1")  # while the older one is still ending
        assert sessions.counters.unregistered == 1
        assert sessions.counters.preempted == 0
        await caller.end()

    run_virtual(main())


def test_strangers_take_no_place_in_memory() -> None:
    async def main() -> None:
        sessions, _ = a_house(memory_robots=2)
        caller = Caller(sessions)
        for robot in ("r1", "r2"):
            await caller.hang_up(await caller.call(robot))
        for _ in range(3):
            await caller.call(None)
        assert (await caller.call("r1")).resumed
        assert (await caller.call("r2")).resumed
        await caller.end()

    run_virtual(main())


def test_strangers_share_nothing() -> None:
    async def main() -> None:
        sessions, _ = a_house()
        caller = Caller(sessions)
        one, two = await caller.call(None), await caller.call(None)
        assert one.session.robot_id != two.session.robot_id
        assert not one.resumed
        assert not two.resumed
        await caller.end()
        assert not sessions._memories

    run_virtual(main())


def test_full_is_full_and_a_place_that_is_left_is_free() -> None:
    async def main() -> None:
        sessions, _ = a_house(max_sessions=2)
        caller = Caller(sessions)
        one = await caller.call("r1")
        await caller.call("r2")
        with pytest.raises(Full) as caught:
            await caller.call("r3")
        assert caught.value.retry_after_s > 0
        await caller.hang_up(one)
        await caller.call("r3")
        await caller.end()

    run_virtual(main())


def test_memory_lasts_its_time_and_holds_so_many_robots() -> None:
    async def main() -> None:
        sessions, clock = a_house(memory_s=60, memory_robots=3)
        caller = Caller(sessions)
        for robot in ("r1", "r2", "r3", "r4"):
            await caller.hang_up(await caller.call(robot))
        assert not (await caller.call("r1")).resumed  # the oldest of four went
        assert (await caller.call("r4")).resumed
        clock.now = 61
        assert not (await caller.call("r3")).resumed
        await caller.end()

    run_virtual(main())


def test_going_down_lets_replies_end_and_takes_no_new_sessions() -> None:
    async def main() -> None:
        sessions, _ = a_house()
        caller = Caller(sessions)
        busy = await caller.call("r1")
        busy.session.post(events.Typed("hello"))
        await asyncio.sleep(0.1)
        await sessions.drain(5)
        with pytest.raises(GoingDown):
            await caller.call("r2")
        seen = []
        while not isinstance(output := await busy.session.outputs.get(), outputs.Closed):
            seen.append(output)
        assert output.code == 1001
        done, listening = seen[-2:]
        assert isinstance(done, outputs.ReplyDone)
        assert done.reason == "completed"
        assert isinstance(listening, outputs.Listening)
        await asyncio.gather(*caller.tasks)

    run_virtual(main())


def test_going_down_cuts_a_reply_that_takes_too_long() -> None:
    async def main() -> None:
        sessions, _ = a_house(ScriptedMind([[Hang()]]))
        caller = Caller(sessions)
        busy = await caller.call("r1")
        busy.session.post(events.Typed("hello"))
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        await sessions.drain(5)
        assert asyncio.get_running_loop().time() - began == pytest.approx(5, abs=0.1)
        await asyncio.gather(*caller.tasks)

    run_virtual(main())


class Shelf:
    """A store that is read by the test: what each robot's memory is, and how often it was told."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Kept, bool]] = {}
        self.told = 0

    async def claim(self, robot: str) -> Claim:
        return Claim()

    def keep(self, robot: str, kept: Kept, *, connected: bool) -> None:
        self.kept[robot] = (kept, connected)
        self.told += 1

    def forget(self, robot: str) -> None:
        self.kept.pop(robot, None)


def texts(kept: Kept) -> list[str]:
    return [message.content for message in kept.messages]


def test_a_reply_that_has_ended_is_in_the_store_with_numbers_that_nobody_has_had() -> None:
    async def main() -> None:
        shelf = Shelf()
        sessions, _ = a_house(store=shelf)
        caller = Caller(sessions)
        robot = await caller.call("r1")
        stranger = await caller.call(None)
        await said(stranger, "who am I")
        assert await said(robot, "one") == 1
        kept, connected = shelf.kept["r1"]
        assert connected
        assert texts(kept) == ["one", "Yes."]
        # Now the power goes, and another process starts.
        mind = ScriptedMind(["Yes."])
        after, _ = a_house(mind, store=Shelf())
        after.restore("r1", kept, age_s=5)
        other = Caller(after)
        again = await other.call("r1")
        assert again.resumed
        assert await said(again, "two") == kept.last_reply + 1 > 2
        asked, _ = mind.asked[-1]
        assert [message.content for message in asked[1:]] == ["one", "Yes.", "two"]
        await other.end()
        await caller.end()
        assert set(shelf.kept) == {"r1"}
        kept, connected = shelf.kept["r1"]
        assert not connected
        assert (kept.last_turn, kept.last_reply) == (1, 1)  # it ended in order: no room is needed

    run_virtual(main())


def test_what_an_idle_robot_does_is_not_written() -> None:
    async def main() -> None:
        shelf = Shelf()
        sessions, _ = a_house(store=shelf)
        caller = Caller(sessions)
        robot = await caller.call("r1")
        await said(robot, "hello")
        before = shelf.told
        robot.session.idle(20, "nothing happens")
        while not isinstance(await robot.session.outputs.get(), outputs.ReplyDone):
            pass
        assert shelf.told == before
        await said(robot, "hello again")
        assert shelf.told == before + 1
        await caller.end()

    run_virtual(main())


def test_numbers_are_written_before_their_room_is_used_up() -> None:
    written: list[Kept] = []
    memory = RobotMemory(History(), write=lambda kept, connected: written.append(kept))
    memory.opened()
    for number in range(1, 500):
        memory.count(number, 2 * number)
        assert written[-1].last_turn >= number
        assert written[-1].last_reply >= 2 * number
    assert len(written) < 60
    memory.closed()
    assert (written[-1].last_turn, written[-1].last_reply) == (499, 998)


def test_what_was_restored_ages_and_gives_way_like_the_rest() -> None:
    async def main() -> None:
        shelf = Shelf()
        sessions, clock = a_house(memory_s=60, memory_robots=2, store=shelf)
        for robot, age in (("r1", 50), ("r2", 20), ("r3", 10)):
            shelf.keep(robot, Kept((), 1, 1), connected=False)
            sessions.restore(robot, Kept((), 1, 1), age_s=age)
        caller = Caller(sessions)
        clock.now = 20
        assert not (await caller.call("r1")).resumed
        clock.now = 30
        assert (await caller.call("r3")).resumed
        assert set(shelf.kept) == {"r1", "r3"}  # of two, one went for the newcomer
        await caller.end()

    run_virtual(main())


def test_forgetting_a_robot_that_is_here_and_one_that_is_not() -> None:
    async def main() -> None:
        mind, shelf = ScriptedMind(["Yes."]), Shelf()
        sessions, _ = a_house(mind, store=shelf)
        caller = Caller(sessions)
        here, gone = await caller.call("here"), await caller.call("gone")
        await said(here, "my name is Anna")
        await said(gone, "my name is Ben")
        await caller.hang_up(gone)
        for robot in ("here", "gone", "nobody"):
            sessions.forget(robot)
        assert list(shelf.kept) == ["here"]
        assert texts(shelf.kept["here"][0]) == []
        assert await said(here, "who am I") == 2  # its numbers go on
        asked, _ = mind.asked[-1]
        assert [message.content for message in asked[1:]] == ["who am I"]
        assert not (await caller.call("gone")).resumed
        await caller.end()

    run_virtual(main())
