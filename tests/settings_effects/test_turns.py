"""What the settings of turns do to a conversation, on scripted engines in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.ports import ToolCall
from brain.house import house_rules
from brain.settings import Settings
from tests.dialogue.house import a_session, silence, speech
from tests.scripted_engines import ScriptedDetector, ScriptedMind, ScriptedTranscriber
from tests.virtual_time import run_virtual

COUNTING = "one two three four five six seven eight nine ten eleven twelve. " * 3


def house(**changes: Any) -> HouseRules:
    values = {"llm_backend": "llamacpp", "llm_model_path": "own.gguf", **changes}
    return house_rules(Settings(**values))


def now() -> float:
    return asyncio.get_running_loop().time()


class UnsureDetector(ScriptedDetector):
    """Is only 70 % sure of any speech."""

    def probabilities(
        self, streams: Sequence[Any], frames: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return np.minimum(super().probabilities(streams, frames), np.float32(0.7))


@pytest.mark.setting("VAD_THRESHOLD")
@pytest.mark.parametrize(("threshold", "turns"), [(0.6, 1), (0.8, 0)])
def test_what_counts_as_speech(threshold: float, turns: int) -> None:
    async def main() -> None:
        rules = house(vad_threshold=threshold)
        async with a_session(house=rules, detector=UnsureDetector()) as robot:
            await robot.speak(np.concatenate((speech(800), silence(700))))
            assert len(robot.all(outputs.SpeechStarted)) == turns

    run_virtual(main())


@pytest.mark.setting("TENTATIVE_SILENCE_MS")
@pytest.mark.parametrize(("ms", "early"), [(0, 0), (128, 384), (320, 192), (900, 0)])
def test_the_answer_is_begun_before_the_end(ms: int, early: int) -> None:
    async def main() -> None:
        async with a_session(house=house(tentative_silence_ms=ms)) as robot:
            await robot.speak(np.concatenate((speech(800), silence(2_000))), chunk_ms=32)
            done = await robot.until(outputs.ReplyDone)
            whole = 512 + 150 + 200 + 50 + 100  # silence, hearing, first clause, first sound
            assert done.timings.voice_to_voice_server == pytest.approx(whole - early, abs=1)

    run_virtual(main())


@pytest.mark.setting("STT_PARTIALS")
@pytest.mark.parametrize("on", [False, True])
def test_what_is_said_is_told_while_it_is_being_said(on: bool) -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"])
        async with a_session(house=house(stt_partials=on), ears=ears) as robot:
            await robot.speak(speech(1_600))
            assert [partial.text for partial in robot.all(outputs.UserPartial)] == ["hello"] * on
            assert bool(ears.heard) == on
            await robot.speak(silence(700))
            await robot.until(outputs.ReplyDone)

    run_virtual(main())


@pytest.mark.setting("VAD_SILENCE_MS")
@pytest.mark.parametrize("silence_ms", [200, 500, 900])
def test_the_silence_that_ends_an_utterance(silence_ms: int) -> None:
    async def main() -> None:
        async with a_session(house=house(vad_silence_ms=silence_ms)) as robot:
            await robot.speak(np.concatenate((speech(800), silence(2_000))))
            done = await robot.until(outputs.ReplyDone)
            # To the next frame of 32 ms.
            assert done.timings.endpoint is not None
            assert silence_ms <= done.timings.endpoint <= silence_ms + 32

    run_virtual(main())


@pytest.mark.setting("PRE_ROLL_MS")
@pytest.mark.parametrize("pre_roll_ms", [0, 300, 1_000])
def test_the_sound_from_before_speech(pre_roll_ms: int) -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"])
        async with a_session(house=house(pre_roll_ms=pre_roll_ms), ears=ears) as robot:
            await robot.speak(np.concatenate((silence(3_000), speech(800), silence(700))))
            await robot.until(outputs.UserSaid)
            # 800 ms of speech, 200 ms of what follows, and whole frames.
            heard_ms = ears.heard[0] / 16
            assert heard_ms == pytest.approx(1_000 + pre_roll_ms, abs=100)

    run_virtual(main())


@pytest.mark.setting("MAX_UTTERANCE_S")
@pytest.mark.parametrize(("most_s", "parts"), [(2, 3), (10, 1)])
def test_the_longest_utterance(most_s: float, parts: int) -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"])
        async with a_session(house=house(max_utterance_s=most_s), ears=ears) as robot:
            robot.session.configure({"echo_cancellation": True})
            await robot.speak(np.concatenate((speech(5_500), silence(3_000))))
            assert len(ears.heard) == parts
            assert max(ears.heard) <= most_s * 16_000 + 512

    run_virtual(main())


@pytest.mark.setting("BARGE_IN_MS")
@pytest.mark.parametrize("barge_in_ms", [100, 300, 800])
def test_the_speech_that_stops_a_reply(barge_in_ms: int) -> None:
    async def main() -> None:
        rules = house(barge_in_ms=barge_in_ms)
        async with a_session(house=rules, mind=ScriptedMind([COUNTING])) as robot:
            robot.session.configure({"echo_cancellation": True})
            robot.session.post(events.Typed("count"))
            await robot.until(outputs.ReplyAudio)
            began = now()
            await robot.speak(speech(1_500))
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "interrupted"
            took_ms = (robot.time_of(outputs.ReplyDone) - began) * 1_000
            # It is measured in frames of 32 ms, the first of which may have begun before; and
            # that it is words is heard in 150 ms, if it isn't long enough to be plain.
            assert barge_in_ms - 32 <= took_ms <= barge_in_ms + 150 + 32

    run_virtual(main())


@pytest.mark.setting("BACKCHANNEL_MS")
@pytest.mark.parametrize(
    ("backchannel_ms", "stopped_after_ms"), [(0, 300), (1_000, None), (500, 500)]
)
def test_the_speech_that_stops_a_reply_whatever_it_is(
    backchannel_ms: int, stopped_after_ms: int | None
) -> None:
    async def main() -> None:
        rules = house(backchannel_ms=backchannel_ms, echo="none")
        mind, ears = ScriptedMind([COUNTING]), ScriptedTranscriber(["mm-hm"])
        async with a_session(house=rules, mind=mind, ears=ears) as robot:
            robot.session.post(events.Typed("count"))
            await robot.until(outputs.ReplyAudio)
            began = now()
            await robot.speak(np.concatenate((speech(600), silence(1_000))))
            done = robot.all(outputs.ReplyDone)
            assert bool(done) == (stopped_after_ms is not None)
            if stopped_after_ms is not None:
                took_ms = (robot.time_of(outputs.ReplyDone) - began) * 1_000
                assert took_ms == pytest.approx(stopped_after_ms, abs=32)

    run_virtual(main())


@pytest.mark.setting("ECHO")
@pytest.mark.parametrize(
    ("echo", "level", "words", "heard"),
    [
        ("half_duplex", 1.0, "wait a moment", False),
        ("none", 1.0, "wait a moment", True),
        ("none", 0.1, "wait a moment", True),
        ("guard", 1.0, "wait a moment", True),
        ("guard", 0.1, "wait a moment", False),  # no louder than its echo might be
        ("guard", 1.0, "two three four", False),  # the robot's own words
    ],
)
def test_what_is_heard_while_the_robot_speaks(
    echo: str, level: float, words: str, heard: bool
) -> None:
    async def main() -> None:
        mind, ears = ScriptedMind([COUNTING]), ScriptedTranscriber([words])
        async with a_session(house=house(echo=echo), mind=mind, ears=ears) as robot:
            robot.session.post(events.Typed("count"))
            await robot.until(outputs.ReplyAudio)
            await robot.speak((level * speech(1_500)).astype(np.int16))
            assert bool(robot.all(outputs.SpeechStarted)) == heard

    run_virtual(main())


@pytest.mark.setting("TTS_LEAD_MS")
@pytest.mark.parametrize("lead_ms", [200, 2_000])
def test_how_far_ahead_sound_is_sent(lead_ms: int) -> None:
    async def main() -> None:
        async with a_session(house=house(tts_lead_ms=lead_ms)) as robot:
            robot.session.post(events.Say("word " * 60))
            await robot.until(outputs.ReplyDone)
            start, sent, furthest = robot.time_of(outputs.ReplyAudio), 0.0, 0.0
            for time, output in robot.said:
                if isinstance(output, outputs.ReplyAudio):
                    sent += output.audio.seconds
                    furthest = max(furthest, sent - (time - start))
            assert furthest == pytest.approx(lead_ms / 1_000, abs=0.15)

    run_virtual(main())


@pytest.mark.setting("TOOL_TIMEOUT_S")
@pytest.mark.parametrize("timeout_s", [2.0, 40.0])
def test_how_long_a_tool_is_waited_for(timeout_s: float) -> None:
    async def main() -> None:
        mind = ScriptedMind(
            [[ToolCall("a", "{}")], "Done.", [ToolCall("b", "{}")], "It didn't answer."]
        )
        async with a_session(house=house(tool_timeout_s=timeout_s), mind=mind) as robot:
            # A robot that has answered once is waited for.
            robot.session.post(events.Typed("first"))
            call = await robot.until(outputs.ToolCalled)
            robot.session.post(events.ToolResult(call.call_id, "ok", True))
            await robot.until(outputs.ReplyDone, reply_id=2)
            robot.session.post(events.Typed("second"))
            await robot.until(outputs.ReplyDone, reply_id=3)
            ended = now()
            await robot.until(outputs.ReplyStarted, seconds=60, reply_id=4)
            assert now() - ended == pytest.approx(timeout_s, abs=0.1)

    run_virtual(main())


@pytest.mark.setting("DEFAULT_TOOLS")
def test_the_tools_of_a_robot_that_offers_none(tmp_path: Path) -> None:
    own = tmp_path / "tools.json"
    own.write_text(json.dumps([{"name": "wag_tail", "description": "Wag the tail."}]))

    async def offered(choice: str) -> tuple[str, ...]:
        mind = ScriptedMind(["Yes."])
        async with a_session(house=house(default_tools=choice), mind=mind) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone)
        return mind.asked[0][1]

    assert run_virtual(offered("none")) == ()
    assert run_virtual(offered(str(own))) == ("wag_tail",)
    assert "dance" in run_virtual(offered("reachy_mini"))


@pytest.mark.setting("PERSONA_FILE")
def test_the_character_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pirate.txt"
    file.write_text("You are Captain Bolt, a pirate robot.")

    async def told(persona: str) -> str:
        mind = ScriptedMind(["Yes."])
        async with a_session(house=house(persona_file=persona), mind=mind) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone)
        system = mind.asked[0][0][0]
        assert system.role == "system"
        return system.content

    assert "Captain Bolt" in run_virtual(told(str(file)))
    assert "Captain Bolt" not in run_virtual(told(""))


@pytest.mark.setting("LLM_CONTEXT")
@pytest.mark.parametrize(("context", "kept"), [(1_024, False), (16_384, True)])
def test_the_context_bounds_what_is_remembered(context: int, kept: bool) -> None:
    rules = house(llm_context=context)

    async def main() -> None:
        mind = ScriptedMind(["Yes."])
        memory = RobotMemory(History(rules.history_chars))
        async with a_session(house=rules, mind=mind, memory=memory) as robot:
            for turn in range(1, 12):
                robot.session.post(events.Typed(f"Number {turn}. " + "word " * 50))
                await robot.until(outputs.ReplyDone, reply_id=turn)
        asked = [message.content for message in mind.asked[-1][0]]
        assert any(text.startswith("Number 1.") for text in asked) == kept

    run_virtual(main())
