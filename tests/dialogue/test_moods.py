"""Moods in a session, in virtual time: the face moves before the voice, and no tag is spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules, SessionConfig
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.ports import Emotion, EngineFailed, Message, ToolCall
from brain.persona.moods import mood_instruction
from tests.dialogue.house import Robot, a_session
from tests.scripted_engines import Hang, Pause, ScriptedMind, ScriptedMouth, Step
from tests.virtual_time import run_virtual

HOUSE = HouseRules(defaults=SessionConfig(instructions="You are Robo."), emotions=True)


def kinds(robot: Robot) -> list[str]:
    """What was said, without repetitions."""
    names = [type(output).__name__ for _, output in robot.said]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


@pytest.mark.setting("EMOTIONS")
def test_the_mood_comes_before_the_words_and_the_sound() -> None:
    async def main() -> None:
        mind = ScriptedMind(["[happy 0.8] [nod] Hello there, nice to meet you."])
        mouth = ScriptedMouth()
        async with a_session(house=HOUSE, mind=mind, mouth=mouth) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.Listening)
            assert kinds(robot) == [
                "ReplyStarted", "EmotionShown", "ClauseStarted", "ReplyAudio", "ClauseStarted",
                "ReplyAudio", "AssistantSaid", "ReplyDone", "Listening",
            ]  # fmt: skip
            mood = robot.all(outputs.EmotionShown)[0]
            assert mood == outputs.EmotionShown(Emotion("happy", 0.8), ("nod",), 1)
            # Not held back until there is sound.
            assert robot.time_of(outputs.EmotionShown) < robot.time_of(outputs.ReplyAudio)
            assert [emotion for _, _, emotion in mouth.said] == [Emotion("happy", 0.8)] * 2
            assert robot.all(outputs.AssistantSaid)[0].text == "Hello there, nice to meet you."

    run_virtual(main())


@pytest.mark.setting("EMOTIONS")
@pytest.mark.parametrize(
    ("house", "changes"),
    [
        (replace(HOUSE, emotions=False), {}),
        (HOUSE, {"instructions": "You are a pirate. Tags such as [happy] are your own affair."}),
    ],
)
def test_who_is_not_asked_is_not_parsed(house: HouseRules, changes: dict[str, str]) -> None:
    async def main() -> None:
        mind, mouth = ScriptedMind(["[happy] Hello."]), ScriptedMouth()
        async with a_session(house=house, mind=mind, mouth=mouth) as robot:
            robot.session.configure(changes)
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone)
            assert not robot.all(outputs.EmotionShown)
            assert mouth.said == [("[happy] Hello.", None, None)]
            asked, _ = mind.asked[0]
            assert asked[0].content == changes.get("instructions", "You are Robo.")

    run_virtual(main())


def test_the_model_sees_what_it_was_trained_on() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mind = ScriptedMind(
            ["[happy] [nod] Hello.", [ToolCall("dance", "{}")], "[excited] I danced."]
        )
        async with a_session(house=HOUSE, mind=mind, memory=memory) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone, reply_id=1)
            robot.session.post(events.Typed("dance"))
            call = await robot.until(outputs.ToolCalled)
            robot.session.post(events.ToolResult(call.call_id, "ok", True))
            await robot.until(outputs.ReplyDone, reply_id=3)
            asked, _ = mind.asked[2]
            assert [(message.role, message.content) for message in asked] == [
                ("system", f"You are Robo. {mood_instruction()}"),
                ("user", "hello"),
                ("assistant", "[happy] [nod] Hello."),
                ("user", "dance"),
                ("assistant", ""),
                ("tool", "ok"),
            ]
        # Nobody else sees the tags: not a robot that comes back with words of its own.
        assert memory.history.messages()[1] == Message("assistant", "Hello.")
        assert memory.history.messages(moods=True)[1].content == "[happy] [nod] Hello."

    run_virtual(main())


@pytest.mark.parametrize(
    ("reply", "emotion", "gestures"),
    [
        ("[nod] [spin] Yes.", Emotion("neutral"), ("nod", "spin")),
        ("[grumpy] [sad] Oh.", Emotion("sad", 0.6), ()),
        (["[ha", "pp", "y]", " [wi", "nk_l] ", "Hi."], Emotion("happy", 0.6), ("wink_l",)),
    ],
)
def test_what_is_shown(
    reply: str | Sequence[Step], emotion: Emotion, gestures: tuple[str, ...]
) -> None:
    async def main() -> None:
        async with a_session(house=HOUSE, mind=ScriptedMind([reply])) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone)
            (mood,) = robot.all(outputs.EmotionShown)
            assert (mood.emotion, mood.gestures) == (emotion, gestures)
            assert "[" not in robot.all(outputs.AssistantSaid)[0].text

    run_virtual(main())


def test_a_reply_without_a_mood_is_said_all_the_same() -> None:
    async def main() -> None:
        mouth = ScriptedMouth()
        async with a_session(house=HOUSE, mind=ScriptedMind(["Hello."]), mouth=mouth) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone)
            assert not robot.all(outputs.EmotionShown)
            assert mouth.said == [("Hello.", None, None)]

    run_virtual(main())


def test_a_mood_without_a_word_is_an_answer() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        async with a_session(
            house=HOUSE, mind=ScriptedMind(["[love] [heart]"]), memory=memory
        ) as robot:
            robot.session.post(events.Typed("smile"))
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "completed"
            assert robot.all(outputs.EmotionShown)[0].emotion.name == "love"
            assert not robot.all(outputs.Problem)
        assert memory.history.messages() == (Message("user", "smile"),)

    run_virtual(main())


def test_cancel_between_the_mood_and_the_sound() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mind = ScriptedMind([["[happy] ", "Well,", Hang()], "[sad] Oh."])
        async with a_session(house=HOUSE, mind=mind, memory=memory) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.EmotionShown)
            robot.session.post(events.Cancel())
            await robot.until(outputs.Listening)
            assert kinds(robot) == ["ReplyStarted", "EmotionShown", "ReplyDone", "Listening"]
            await asyncio.sleep(10)
            assert mind.active == 0
            assert kinds(robot)[-1] == "Listening"
            robot.session.post(events.Typed("hello?"))
            assert (await robot.until(outputs.ReplyDone, reply_id=2)).reason == "completed"
        assert [message.role for message in memory.history.messages()] == ["user", "assistant"]

    run_virtual(main())


def test_an_apology_has_no_mood_of_the_words_that_failed() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mouth = ScriptedMouth()
        mind = ScriptedMind([["[excited] ", "I", Pause(1.0), EngineFailed("broken")]])
        async with a_session(house=HOUSE, mind=mind, mouth=mouth, memory=memory) as robot:
            robot.session.post(events.Typed("hello"))
            assert (await robot.until(outputs.ReplyDone)).reason == "failed"
            assert mouth.said[-1][2] is None
        assert memory.history.messages(moods=True)[1].content.startswith("Sorry")

    run_virtual(main())


def test_a_sessions_own_temperature_and_length_reach_the_model() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Hello."])
        async with a_session(mind=mind) as robot:
            robot.session.post(events.Typed("one"))
            await robot.until(outputs.ReplyDone, reply_id=1)
            robot.session.configure({"temperature": 0.2, "max_output_tokens": 40})
            robot.session.post(events.Typed("two"))
            await robot.until(outputs.ReplyDone, reply_id=2)
            robot.session.configure({"temperature": None})
            robot.session.post(events.Typed("three"))
            await robot.until(outputs.ReplyDone, reply_id=3)
        assert mind.options == [(None, None), (0.2, 40), (None, 40)]

    run_virtual(main())


def test_who_speaks_is_told_as_information() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Hello."])
        async with a_session(house=HOUSE, mind=mind) as robot:
            robot.session.configure({"speaker": 'Anna, 7, "the boss"'})
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone)
            system = mind.asked[0][0][0].content
            assert system.startswith(f"You are Robo. {mood_instruction()} ")
            assert system.endswith('"Anna, 7, \\"the boss\\""')

    run_virtual(main())


def test_listening_comes_once_after_whatever_was_under_way() -> None:
    async def main() -> None:
        async with a_session(mind=ScriptedMind(["One.", "Two."])) as robot:
            robot.session.post(events.Typed("one"))
            await robot.until(outputs.ReplyAudio)
            robot.session.post(events.Typed("two"))  # takes the first one's place
            await robot.until(outputs.Listening)
            assert [done.reason for done in robot.all(outputs.ReplyDone)] == [
                "interrupted",
                "completed",
            ]
            robot.session.post(events.Cancel())  # of nothing: it is told all the same
            await asyncio.sleep(1)
            assert len(robot.all(outputs.Listening)) == 2

    run_virtual(main())
