"""Partial transcripts take half of the ears' lane, whoever speaks. On virtual time."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from dataclasses import replace

import numpy as np
import pytest

from brain.dialogue import outputs
from brain.dialogue.config import HouseRules
from brain.dialogue.duty import Duty
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel, LaneTranscriber
from brain.engines.ports import LanguageModel, Ticket, Transcriber
from tests.dialogue.house import Robot, a_session, silence, speech
from tests.scripted_engines import ScriptedMind, ScriptedTranscriber
from tests.virtual_time import run_virtual

PARTIALS = HouseRules(tentative_ms=128, partials=True)


def growing(count: int) -> str:
    """A word more with every 350 ms of sound."""
    return " ".join(f"word{i}" for i in range(count // 5_600))


def most_of(spans: list[tuple[float, float]], window_s: float) -> float:
    """The greatest share of any such window that the calls took."""
    ends = [end for _, end in spans]
    shares = [
        sum(max(0.0, min(end, until) - max(start, until - window_s)) for start, end in spans)
        for until in ends
    ]
    return max(shares) / window_s


async def speaking(
    robots: int,
    engine: ScriptedTranscriber,
    duty: Duty,
    sound: np.ndarray[tuple[int], np.dtype[np.int16]],
    house: HouseRules = PARTIALS,
) -> tuple[list[Robot], LaneTranscriber]:
    """Robots that all hear this, a little apart, through one lane to the same ears."""
    ears: Transcriber = engine
    lane = LaneTranscriber(Lane(ears, LaneLimits(grace_s=20.0)))
    async with AsyncExitStack() as stack:
        all_of_them = []
        for i in range(robots):
            session = a_session(ears=lane, house=house, duty=duty, name=f"robot-{i}", alone=False)
            all_of_them.append(await stack.enter_async_context(session))

        async def speak(robot: Robot, late_s: float) -> None:
            await asyncio.sleep(late_s)
            await robot.speak(sound, chunk_ms=32)
            await robot.until(outputs.ReplyDone)

        await asyncio.gather(*(speak(robot, 0.01 * i) for i, robot in enumerate(all_of_them)))
    return all_of_them, lane


@pytest.mark.parametrize(
    ("robots", "ears_s", "stubborn"),
    [
        (1, 0.02, False), (1, 0.15, False), (1, 0.4, True),
        (3, 0.02, False), (3, 0.15, True), (3, 0.4, False),
    ],
)  # fmt: skip
def test_half_of_the_lane_and_each_robot_its_share(
    robots: int, ears_s: float, stubborn: bool
) -> None:
    async def main() -> None:
        duty = Duty()
        ears = ScriptedTranscriber(growing, ears_s, stubborn=stubborn)
        sound = np.concatenate((speech(8_000), silence(3_000)))
        all_of_them, lane = await speaking(robots, ears, duty, sound)
        during = [span for span in ears.calls if span[1] < 8.0]
        assert most_of(during, 3.0) <= 0.5 + ears_s / 3.0 + 0.001
        for (_, end), (start, _) in itertools.pairwise(during):
            assert start - end >= ears_s - 0.001, "no rest after a partial"
        told = [len(robot.all(outputs.UserPartial)) for robot in all_of_them]
        assert min(told) >= 1
        if ears_s > 0.02:  # else there is time for all
            # It is used, to the next frame of each.
            assert most_of(during, 6.0) >= 0.5 - 0.1
            assert max(told) - min(told) <= 2, told
        assert duty.counters.busy_ms == pytest.approx(ears_s * 1_000 * duty.counters.begun, rel=0.1)
        assert 0 < duty.counters.most_of_10_s <= 0.5 + ears_s / 10
        assert duty.counters.heard <= duty.counters.begun <= lane.lane.counters.started
        assert lane.lane.counters.failed == 0

    run_virtual(main())


def test_a_user_who_stutters_costs_no_more() -> None:
    """A pause after every syllable: each may be the end."""

    async def main() -> None:
        ears = ScriptedTranscriber(growing, 0.15)
        syllables = [speech(400)] + [silence(96), speech(96)] * 50 + [silence(3_000)]
        await speaking(1, ears, Duty(), np.concatenate(syllables))
        during = [span for span in ears.calls if span[1] < 0.4 + 50 * 0.192]
        assert len(during) > 20
        assert most_of(during, 3.0) <= 0.5 + 0.3 / 3.0

    run_virtual(main())


@pytest.mark.parametrize("stubborn", [False, True])
def test_what_is_certain_goes_first(stubborn: bool) -> None:
    """A turn that is over is heard at once while others speak on: at most what can't be stopped is
    waited for."""

    async def main() -> None:
        duty = Duty()
        engine: Transcriber = ScriptedTranscriber(growing, 0.15, stubborn=stubborn)
        lane = LaneTranscriber(Lane(engine, LaneLimits(grace_s=20.0)))
        talker = a_session(ears=lane, house=PARTIALS, duty=duty, name="talker", alone=False)
        house = replace(PARTIALS, tentative_ms=0)
        asker = a_session(ears=lane, house=house, duty=duty, name="asker", alone=False)
        async with talker as one, asker as other:
            talking = asyncio.ensure_future(one.speak(speech(8_000), chunk_ms=32))
            for _ in range(3):
                await asyncio.sleep(0.2)
                await other.speak(np.concatenate((speech(640), silence(1_600))), chunk_ms=32)
            await talking
            assert len(one.all(outputs.UserPartial)) >= 5
            done = other.all(outputs.ReplyDone)
            assert len(other.all(outputs.UserSaid)) >= len(done) >= 1
            for reply in done:
                assert reply.timings.stt is not None
                assert reply.timings.stt <= 150 * (1 + stubborn) + 1

    run_virtual(main())


def test_a_pause_of_one_robot_is_heard_before_what_another_goes_on_to_say() -> None:
    """At its tentative silence it is not told that the ears are busy."""

    async def main() -> None:
        duty = Duty()
        engine: Transcriber = ScriptedTranscriber(growing, 0.3)
        lane = LaneTranscriber(Lane(engine, LaneLimits()))
        talker = a_session(ears=lane, house=PARTIALS, duty=duty, name="talker", alone=False)
        asker = a_session(ears=lane, house=PARTIALS, duty=duty, name="asker", alone=False)
        async with talker as one, asker as other:
            talking = asyncio.ensure_future(one.speak(speech(8_000), chunk_ms=32))
            for late_s in (0.2, 0.1, 0.15):
                await asyncio.sleep(late_s)
                turn = len(other.all(outputs.UserSaid)) + 1
                await other.speak(np.concatenate((speech(640), silence(1_200))), chunk_ms=32)
                done = await other.until(outputs.ReplyDone, reply_id=turn)
                assert done.timings.ahead is not None
                assert done.timings.ahead >= 512 - 128 - 1
                await asyncio.sleep(1)
            talking.cancel()

    run_virtual(main())


def test_a_guess_that_is_replaced_waits_until_the_mind_lets_go() -> None:
    """On a lane of one, the answer to what was really said is begun as soon as it is known."""

    async def main() -> None:
        mind: LanguageModel = ScriptedMind(["No.", "Yes, I can look around."])
        lane = LaneLanguageModel(Lane(mind, LaneLimits()))
        ears = ScriptedTranscriber(["hello"] * 4 + ["hello robot"])
        async with a_session(ears=ears, mind=lane, house=PARTIALS) as robot:
            await robot.speak(np.concatenate((silence(300), speech(1_376))), chunk_ms=32)
            await robot.speak(silence(2_000), chunk_ms=32)
            done = await robot.until(outputs.ReplyDone)
            assert lane.lane.counters.started == 2
            assert lane.lane.counters.shed == 0
            # 64 ms of silence, hearing, the first token and four more, speaking.
            chain = 64 + 150 + 200 + 4 * 25 + 100
            assert done.timings.voice_to_voice_server == pytest.approx(chain, abs=1)

    run_virtual(main())


def test_nobody_who_asked_first_waits_for_one_who_has_gone() -> None:
    async def main() -> None:
        duty, first = Duty(), Ticket("first")
        assert duty.admits("first", pausing=False)
        duty.began(first)
        assert not duty.admits("gone", pausing=False)
        assert not duty.admits("other", pausing=False)
        await asyncio.sleep(1)
        duty.ended(first, heard=True)
        assert not duty.admits("other", pausing=False), "no rest"
        assert duty.admits("other", pausing=True), "a pause may owe as much once more"
        await asyncio.sleep(1)
        assert duty.admits("other", pausing=False)

    run_virtual(main())
