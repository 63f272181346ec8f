"""The whole session with real ears, voice and detector, in a room where the robot hears itself."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules
from brain.engines.vad.silero import SileroDetector
from tests.dialogue.house import a_session
from tests.dialogue.room import REPLIES, PocketEars, PocketMouth, Room, guest, in_room
from tests.scripted_engines import ScriptedMind
from tests.virtual_time import run_virtual

# Short ones: 100 turns are to be heard.
SHORT = ("An octopus has three hearts.", "I like blue best.", "It counted to ten and fell asleep.")


async def turns(room: Room, count: int) -> None:
    """So many replies, each to its end, and a moment after it."""
    for _ in range(count):
        ended = len(room.all(outputs.ReplyDone))
        room.session.post(events.Typed("go on"))
        while len(room.all(outputs.ReplyDone)) == ended:
            await room.live(0.2)
        await room.live(0.5)


def alone(echo: str, count: int, **how: float) -> Room:
    async def main() -> Room:
        async with a_session(
            mind=ScriptedMind(SHORT),
            mouth=PocketMouth(),
            ears=PocketEars(),
            detector=SileroDetector(),
            house=HouseRules(echo=echo, tentative_ms=128),  # type: ignore[arg-type]
            a_robot=in_room(**how),
        ) as room:
            await turns(room, count)
        return room

    return run_virtual(main())


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("delay_ms", "count"), [(50, 33), (150, 34), (300, 33)])
def test_in_100_turns_the_robot_never_interrupts_itself(delay_ms: float, count: int) -> None:
    room = alone("guard", count, echo_db=-12, delay_ms=delay_ms)
    reasons = Counter(done.reason for done in room.all(outputs.ReplyDone))
    assert reasons == {"completed": count}
    assert not room.all(outputs.SpeechStarted)
    assert not room.all(outputs.Problem)


def test_without_the_guard_it_does() -> None:
    room = alone("none", 3, echo_db=-12, delay_ms=150)
    assert room.all(outputs.SpeechStarted)
    assert any(done.reason == "interrupted" for done in room.all(outputs.ReplyDone))


def test_half_duplex_hears_nothing_of_it_either() -> None:
    room = alone("half_duplex", 3, echo_db=-6, delay_ms=150)
    assert {done.reason for done in room.all(outputs.ReplyDone)} == {"completed"}
    assert not room.all(outputs.SpeechStarted)


@pytest.mark.parametrize(
    ("said", "stops"),
    [("What time is it?", True), ("Tell me a joke.", True), ("Okay.", False), ("Mm-hm.", False)],
)
def test_somebody_else_stops_it_and_their_mm_hm_does_not(said: str, stops: bool) -> None:
    async def main() -> None:
        async with a_session(
            mind=ScriptedMind([SHORT[2], REPLIES[0]]),
            mouth=PocketMouth(),
            ears=PocketEars(),
            detector=SileroDetector(),
            house=HouseRules(echo="guard", tentative_ms=128),
            a_robot=in_room(echo_db=-12, delay_ms=150),
        ) as room:
            await turns(room, 1)
            room.session.post(events.Typed("tell me a story"))
            await room.live(2.0)
            began = asyncio.get_running_loop().time()
            await room.live(3.0, guest(said))
            if not stops:
                await room.live(3.0)
            done = await room.until(outputs.ReplyDone, reply_id=2)
            assert done.reason == ("interrupted" if stops else "completed")
            assert bool(room.all(outputs.SpeechStarted)) == stops
            if stops:
                at = next(time for time, output in room.said if output == done)
                assert at - began < 1.5

    run_virtual(main())


def test_a_loudspeaker_that_is_turned_up_is_known_by_its_words() -> None:
    async def main() -> None:
        async with a_session(
            mind=ScriptedMind([REPLIES[0], REPLIES[1]]),
            mouth=PocketMouth(),
            ears=PocketEars(),
            detector=SileroDetector(),
            house=HouseRules(echo="guard", tentative_ms=128),
            a_robot=in_room(echo_db=-30, delay_ms=150),
        ) as room:
            await turns(room, 2)
            room.echo_db = -8
            await turns(room, 4)
            assert not room.all(outputs.SpeechStarted)
            assert {done.reason for done in room.all(outputs.ReplyDone)} == {"completed"}

    run_virtual(main())
