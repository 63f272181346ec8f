"""Wake phrases, muting, quiet mode and fillers: real ears on speech, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from brain.dialogue.config import HouseRules
from brain.dialogue.filler import FillerRules, Fillers, unhurried
from brain.engines.recipes import synthesizer_rungs
from brain.settings import Settings
from tests.e2e.pocket import Brain, a_pocket_brain, spoken
from tests.e2e.sockets import Robot, a_brain, a_robot
from tests.scripted_engines import ScriptedMind
from tests.settings_effects.test_engines import climbed


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    arguments = (
        "--set", "WAKE_PHRASES=hey robot", "--set", "WAKE_WINDOW_S=1", "--set", "ECHO=none",
        "--set", "EMOTIONS=0",
    )  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("brain")
    with a_pocket_brain(folder, *arguments) as running:
        running.until_ready()
        yield running


def kinds(robot: Robot) -> list[str]:
    return [message["type"] for message in robot.seen]


async def over(robot: Robot, t: str) -> None:
    """All that was sent so far has been taken."""
    await robot.send(type="ping", t=t)
    await robot.next("pong", t=t)


def test_who_calls_the_robot_is_answered_and_the_television_is_not(brain: Brain) -> None:
    async def main() -> None:
        async with a_robot(brain.address, "?robot_id=wake") as robot:
            await robot.speak(spoken("Tell me a joke."))
            await robot.next("unattended", turn=1)
            assert not {"transcript_user", "reply_started", "attention", "error"} & {*kinds(robot)}

            await robot.speak(spoken("Hey robot, what is your name?"))
            heard = await robot.next("transcript_user", turn=2)
            assert heard["text"].startswith("Hey robot")
            await robot.next("audio_delta")
            assert [m["on"] for m in robot.seen if m["type"] == "attention"] == [True]

            # Who interrupts goes on with the conversation, and needs no phrase.
            await robot.speak(spoken("Look to the left."))
            call = await robot.next("tool_call")
            assert call["name"] == "move_head"
            await robot.send(type="tool_result", call_id=call["call_id"], output="ok", reply=False)

            await robot.next("attention", on=False)
            await robot.speak(spoken("Tell me a joke."))
            await robot.next("unattended", turn=4)
            await robot.send(type="text", text="What is your name?")  # typed words need none
            said = await robot.next("transcript_assistant", seconds=30)
            assert "robo" in said["text"].lower()

    asyncio.run(main())


def test_the_phrase_alone_opens_the_ears(brain: Brain) -> None:
    async def main() -> None:
        async with a_robot(brain.address, "?robot_id=alone") as robot:
            await robot.send(type="session", wake_phrases=["hello robot"])
            await robot.speak(spoken("Hello robot."))
            await robot.next("transcript_user", turn=1)
            await robot.next("attention", on=True)
            await robot.next("attention", on=False)
            assert "reply_started" not in kinds(robot)

    asyncio.run(main())


def test_a_muted_microphone_is_not_heard_until_it_is_unmuted(brain: Brain) -> None:
    async def main() -> None:
        async with a_robot(brain.address, "?robot_id=mute") as robot:
            await robot.speak(spoken("Hey robot, what is", after_ms=0))
            await robot.next("speech_started")
            await robot.send(type="mute")
            await robot.next("speech_stopped", turn=1)
            assert (await robot.next("session_updated"))["muted"] is True
            await robot.speak(spoken("Hey robot, what is your name?"))
            await robot.send(type="text", text="What is your name?")
            assert (await robot.next("reply_done", seconds=30))["reason"] == "completed"
            assert kinds(robot).count("speech_started") == 1
            assert "transcript_user" not in kinds(robot)
            await robot.send(type="unmute")
            assert (await robot.next("session_updated"))["muted"] is False
            await robot.next("attention", on=False)
            await robot.speak(spoken("Hey robot, what is your name?"))
            await robot.next("transcript_user")
            await robot.next("reply_done", seconds=30)
        async with a_robot(brain.address, "?robot_id=mute") as robot:
            await robot.send(type="session")
            assert (await robot.next("session_updated"))["muted"] is False

    asyncio.run(main())


def test_in_quiet_mode_it_answers_and_does_nothing_unasked(brain: Brain) -> None:
    async def main() -> None:
        async with a_robot(brain.address, "?robot_id=quiet") as robot:
            await robot.send(type="session", quiet=True)
            assert (await robot.next("session_updated"))["quiet"] is True
            await robot.send(type="idle", seconds=60)
            await over(robot, "idle")
            await robot.send(type="text", text="What is your name?")
            said = await robot.next("transcript_assistant", seconds=30)
            assert "robo" in said["text"].lower()
            assert (await robot.next("reply_done"))["reply_id"] == 1
            await robot.send(type="session", quiet=None)
            assert (await robot.next("session_updated"))["quiet"] is None
            await robot.send(type="idle", seconds=60)
            await robot.next("reply_started", reply_id=2)

    asyncio.run(main())


@pytest.mark.parametrize("binary", [False, True])
def test_a_word_comes_before_an_answer_that_takes_long(binary: bool) -> None:
    async def main() -> None:
        mind = ScriptedMind(["Five."], first_seconds=1.0)
        house = HouseRules(filler=FillerRules(0.2, ("Hm.",)))
        async with a_brain(mind=mind, house=house) as address, a_robot(address) as robot:
            await robot.next("ready")
            if binary:
                await robot.send(type="session", audio="binary")
            await robot.send(type="text", text="What time is it?")
            done = await robot.next("reply_done")
            assert done["reason"] == "completed"
            order = [kind for kind in dict.fromkeys(kinds(robot)) if kind != "session_updated"]
            assert order == [
                "ready", "reply_started", "filler", *([] if binary else ["audio_delta"]),
                "transcript_assistant_delta", "transcript_assistant", "reply_done",
            ]  # fmt: skip
            by_type = {message["type"]: message for message in robot.seen}
            assert by_type["filler"] == {"type": "filler", "text": "Hm.", "reply_id": 1}
            assert by_type["transcript_assistant"]["text"] == "Five."

    asyncio.run(main())


def test_the_pocket_voice_can_say_it() -> None:
    async def main() -> None:
        settings = Settings(tts_backend="piper", piper_voice="pocket")
        async with climbed(synthesizer_rungs(settings)) as ladder:
            fillers = Fillers(FillerRules(1.0, ("Hm.", "Let me think.")))
            await fillers.make(ladder.engine, None, unhurried("r"))
            for text, least_s in (("Hm.", 0.1), ("Let me think.", 0.5)):
                sound = fillers.sound(text, ladder.engine, None)
                assert sound is not None
                assert least_s < sound.seconds < 2
                assert np.abs(sound.samples).max() > 1_000

    asyncio.run(main())
