"""Quiet mode: its hours, what the model is told and how much it may say."""

from __future__ import annotations

import asyncio
from datetime import time
from typing import Any

import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules, SessionConfig, system_prompt
from brain.dialogue.quiet import NOTE, Hours, QuietMode
from brain.ops import check_data, check_mind
from brain.ops.check_replies import Judge
from brain.ops.check_texts import product_texts
from tests.dialogue.house import a_session
from tests.engines.llm.pocket_mind import loaded
from tests.scripted_engines import ScriptedMind
from tests.virtual_time import run_virtual

INSTRUCTIONS = "You are Robo."


class Clock:
    """The time of day, as a test has it."""

    def __init__(self, hour: int, minute: int = 0) -> None:
        self.now = time(hour, minute)

    def __call__(self) -> time:
        return self.now


@pytest.mark.parametrize(
    ("hours", "now", "quiet"),
    [
        ("22:00-07:00", "21:59", False),
        ("22:00-07:00", "22:00", True),
        ("22:00-07:00", "00:00", True),
        ("22:00-07:00", "06:59", True),
        ("22:00-07:00", "07:00", False),
        ("13:00-15:30", "12:59", False),
        ("13:00-15:30", "13:00", True),
        ("13:00 - 15:30", "15:29", True),
        ("13:00-15:30", "15:30", False),
        ("13:00-15:30", "23:00", False),
        ("8:00-8:00", "12:00", True),
        ("0:00-0:00", "0:00", True),
    ],
)
def test_the_hours(hours: str, now: str, quiet: bool) -> None:
    hour, minute = now.split(":")
    mode = QuietMode(Hours.parse(hours), clock=Clock(int(hour), int(minute)))
    assert mode.holds(None) == quiet
    assert mode.holds(True)
    assert not mode.holds(False)


def test_without_hours_it_is_quiet_when_a_robot_asks() -> None:
    assert not QuietMode().holds(None)
    assert QuietMode().holds(True)


def house(clock: Clock, **config: Any) -> HouseRules:
    return HouseRules(
        defaults=SessionConfig(instructions=INSTRUCTIONS, **config),
        quiet=QuietMode(Hours.parse("22:00-07:00"), max_tokens=40, clock=clock),
    )


@pytest.mark.parametrize(("own_most", "quiet_most"), [(None, 40), (400, 40), (20, 20)])
def test_the_model_is_told_last_and_may_say_less(own_most: int | None, quiet_most: int) -> None:
    async def main() -> None:
        clock, mind = Clock(21), ScriptedMind(["Yes."])
        rules = house(clock, max_output_tokens=own_most)
        async with a_session(mind=mind, house=rules) as robot:
            for reply_id, hour in ((1, 21), (2, 23), (3, 23), (4, 8)):
                clock.now = time(hour)
                robot.session.post(events.Typed("hello"))
                await robot.until(outputs.ReplyDone, reply_id=reply_id)
        systems = [messages[0].content for messages, _ in mind.asked]
        assert systems == [
            INSTRUCTIONS, f"{INSTRUCTIONS} {NOTE}", f"{INSTRUCTIONS} {NOTE}", INSTRUCTIONS,
        ]  # fmt: skip
        assert [most for _, most in mind.options] == [own_most, quiet_most, quiet_most, own_most]

    run_virtual(main())


@pytest.mark.parametrize(
    ("asked", "hour", "quiet"), [(True, 12, True), (False, 23, False), (None, 23, True)]
)
def test_a_robot_may_ask_for_it_or_for_none(asked: bool | None, hour: int, quiet: bool) -> None:
    async def main() -> None:
        mind = ScriptedMind(["Yes."])
        async with a_session(mind=mind, house=house(Clock(hour))) as robot:
            robot.session.configure({"quiet": not asked})
            robot.session.configure({"quiet": asked})
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone)
            assert [updated.config.quiet for updated in robot.all(outputs.SessionUpdated)] == [
                not asked, asked,
            ]  # fmt: skip
        assert (NOTE in mind.asked[0][0][0].content) == quiet

    run_virtual(main())


@pytest.mark.parametrize(("hour", "replies"), [(21, 1), (23, 0)])
def test_nothing_is_done_unasked(hour: int, replies: int) -> None:
    async def main() -> None:
        mind = ScriptedMind([[]])
        async with a_session(mind=mind, house=house(Clock(hour))) as robot:
            robot.session.idle(60, "")
            await asyncio.sleep(5)
            assert len(robot.all(outputs.ReplyStarted)) == len(mind.asked) == replies

    run_virtual(main())


def test_the_pocket_mind_answers_as_well_in_quiet_mode() -> None:
    """It was trained on the words of its system prompt: one more must not upset it."""

    async def main() -> None:
        data, texts = check_data.read(), product_texts(8)
        quiet = system_prompt(
            SessionConfig(instructions=texts.instructions), moods=False, note=NOTE
        )
        async with loaded() as mind:
            check = check_mind.MindCheck(mind, texts, data, Judge(data.replies, exact=True))
            rows = check_data.sample(data.repertoire, 24)
            asked = [{**row, "system": quiet} for row in rows]
            right = (await check._said("quiet", "quiet", asked)).value
            assert right >= 0.9

    asyncio.run(main())
