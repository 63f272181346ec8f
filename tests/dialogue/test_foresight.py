"""What the next question begins with is known to the mind before it is asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules, SessionConfig
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.lane import Lane
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.ports import EngineFailed, EngineUnavailable, LanguageModel, ToolCall, ToolSpec
from tests.dialogue.house import Robot, a_session, silence, speech
from tests.scripted_engines import Hang, ScriptedMind, ScriptedMouth, ScriptedTranscriber
from tests.virtual_time import run_virtual

WAVE = ToolSpec("wave", "Wave.", {"type": "object", "properties": {}})
CONFIG = SessionConfig(instructions="Be brief.", tools=(WAVE,), echo_cancellation=True)
HOUSE = HouseRules(defaults=CONFIG)


async def ended(robot: Robot, count: int) -> None:
    await robot.until(outputs.ReplyDone, reply_id=count)
    await asyncio.sleep(0.01)


def foreseen(mind: ScriptedMind) -> bool:
    """Whether the newest question was what was prefilled before, and what its user said."""
    messages, tools = mind.asked[-1]
    return (messages[:-1], tools) in mind.prefilled and messages[-1].role == "user"


def test_the_system_prompt_and_the_tools_as_the_session_opens() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Hello there."])
        async with a_session(mind=mind, house=HOUSE) as robot:
            await asyncio.sleep(0.01)
            [(messages, tools)] = mind.prefilled
            assert [(m.role, m.content) for m in messages] == [("system", "Be brief.")]
            assert tools == ("wave",)
            robot.session.post(events.Typed("Hello."))
            await ended(robot, 1)
            assert foreseen(mind)

    run_virtual(main())


def test_what_it_remembers_of_a_robot_that_is_back() -> None:
    async def main() -> None:
        mind, history = ScriptedMind(["Hello there."]), History()
        history.user_said("I am Anna.", 1)
        history.assistant_said("Hello, Anna.")
        async with a_session(mind=mind, house=HOUSE, memory=RobotMemory(history)) as robot:
            await asyncio.sleep(0.01)
            [(messages, _)] = mind.prefilled
            assert [m.content for m in messages] == ["Be brief.", "I am Anna.", "Hello, Anna."]
            robot.session.post(events.Typed("Who am I?"))
            await ended(robot, 1)
            assert foreseen(mind)

    run_virtual(main())


@pytest.mark.parametrize("changes", [{"instructions": "Be long."}, {"tools": ()}])
def test_it_changes_with_the_session(changes: dict[str, Any]) -> None:
    async def main() -> None:
        mind = ScriptedMind(["Hello there."])
        async with a_session(mind=mind, house=HOUSE) as robot:
            await asyncio.sleep(0.01)
            robot.session.configure(changes)
            await asyncio.sleep(0.01)
            assert mind.prefilled[-1] != mind.prefilled[0]
            robot.session.post(events.Typed("Hello."))
            await ended(robot, 1)
            assert foreseen(mind)

    run_virtual(main())


def test_every_turn_of_a_conversation_that_is_trimmed() -> None:
    """Also when the oldest turns go: what is left is read anew before the user speaks again."""

    async def main() -> None:
        mind = ScriptedMind(["This is a rather long answer, as answers of robots go."])
        memory = RobotMemory(History(500))
        async with a_session(mind=mind, house=HOUSE, memory=memory, mute=True) as robot:
            for turn in range(1, 17):
                robot.session.post(events.Typed(f"This is the question with number {turn}."))
                await ended(robot, turn)
                assert foreseen(mind), turn
            assert len(mind.asked[-1][0]) < 12, "it was trimmed"

    run_virtual(main())


def test_what_was_heard_of_a_reply_that_was_interrupted() -> None:
    async def main() -> None:
        mind = ScriptedMind(["This is what I say first. This is what nobody hears any more."])
        ears = ScriptedTranscriber(["hello robot"])
        async with a_session(ears=ears, mind=mind, house=HOUSE) as robot:
            robot.session.post(events.Typed("Hello."))
            await robot.until(outputs.ReplyAudio)
            await asyncio.sleep(2.0)
            await robot.speak(speech(900))
            await robot.speak(silence(700))
            await ended(robot, 1)
            await robot.until(outputs.ReplyStarted, reply_id=2)
            assert robot.all(outputs.ReplyDone)[0].reason == "interrupted"
            assert foreseen(mind)
            said = mind.asked[-1][0][-2].content
            assert said
            assert "any more" not in said

    run_virtual(main())


def test_what_a_tool_that_nobody_answers_for_will_have_said() -> None:
    async def main() -> None:
        mind = ScriptedMind([[ToolCall("wave", "{}")], "Hello there."])
        async with a_session(mind=mind, house=HOUSE, mute=True) as robot:
            for turn in (1, 2):
                robot.session.post(events.Typed("Wave."))
                await ended(robot, turn)
            assert foreseen(mind)
            assert [m.role for m in mind.asked[-1][0]].count("tool") == 1

    run_virtual(main())


def test_as_the_user_begins_to_speak_since_another_mind_may_serve_by_now() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Hello there."])
        async with a_session(mind=mind, house=HOUSE) as robot:
            await asyncio.sleep(0.01)
            before = len(mind.prefilled)
            await robot.speak(speech(600))
            assert len(mind.prefilled) == before + 1

    run_virtual(main())


def test_no_turn_waits_for_it() -> None:
    async def first_word(prefill_s: float) -> float:
        engine: LanguageModel = ScriptedMind(["Hello there."], prefill_seconds=prefill_s)
        mind = LaneLanguageModel(Lane(engine))
        async with a_session(mind=mind, house=HOUSE, mouth=ScriptedMouth()) as robot:  # type: ignore[arg-type]
            await asyncio.sleep(0.5)
            robot.session.post(events.Typed("Hello."))
            since = asyncio.get_running_loop().time()
            await robot.until(outputs.ReplyAudio)
            return asyncio.get_running_loop().time() - since

    assert run_virtual(first_word(60.0)) == pytest.approx(run_virtual(first_word(0.0)))


@pytest.mark.parametrize("error", [EngineFailed("broken"), EngineUnavailable("gone"), ValueError()])
def test_a_mind_that_cannot_costs_nothing(error: Exception) -> None:
    class Unable(ScriptedMind):
        async def prefill(self, *_: Any, **__: Any) -> None:
            raise error

    async def main() -> None:
        async with a_session(mind=Unable(["Hello there."]), house=HOUSE) as robot:
            robot.session.post(events.Typed("Hello."))
            await ended(robot, 1)
            assert robot.all(outputs.ReplyDone)[0].reason == "completed"

    run_virtual(main())


def test_a_session_ends_in_the_midst_of_it() -> None:
    class Deaf(ScriptedMind):
        async def prefill(self, *_: Any, **__: Any) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        async with a_session(mind=Deaf([[Hang()]]), house=HOUSE) as robot:
            await asyncio.sleep(0.1)
            assert not robot.all(outputs.ReplyDone)

    run_virtual(main())
