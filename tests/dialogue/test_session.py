"""The actor on scripted engines, in virtual time: what a robot sees of a conversation."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.ports import EngineBusy, EngineFailed, EngineTimeout, Message, ToolCall
from tests.dialogue.house import a_session, silence, speech
from tests.scripted_engines import (
    Hang,
    Pause,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
)
from tests.virtual_time import run_virtual


def test_a_spoken_turn_is_answered() -> None:
    async def main() -> None:
        async with a_session() as robot:
            await robot.speak(np.concatenate((silence(500), speech(800), silence(600))))
            done = await robot.until(outputs.ReplyDone)
            await robot.until(outputs.Listening)
            kinds = [type(output).__name__ for _, output in robot.said]
            assert done.reason == "completed"
            assert [k for i, k in enumerate(kinds) if i == 0 or kinds[i - 1] != k] == [
                "SpeechStarted", "SpeechStopped", "UserSaid", "ReplyStarted", "ClauseStarted",
                "ReplyAudio", "ClauseStarted", "ReplyAudio", "AssistantSaid", "ReplyDone",
                "Listening",
            ]  # fmt: skip
            assert robot.all(outputs.UserSaid)[0].text == "hello robot"
            assert robot.all(outputs.AssistantSaid)[0].text == "Hello there, nice to meet you."

    run_virtual(main())


def test_silence_and_stages_add_up_to_the_latency() -> None:
    async def main() -> None:
        async with a_session() as robot:
            await robot.speak(np.concatenate((speech(800), silence(2_000))))
            done = await robot.until(outputs.ReplyDone)
            t = done.timings
            # 500 ms of silence, to the next frame of 32 ms.
            assert t.endpoint is not None
            assert 500 <= t.endpoint <= 532
            assert t.stt == pytest.approx(150, abs=1)
            assert t.llm_first_token == pytest.approx(200, abs=1)
            assert t.tts_first_audio == pytest.approx(100, abs=1)
            assert t.voice_to_voice_server is not None
            total = t.endpoint + t.stt + t.first_clause + t.tts_first_audio  # type: ignore[operator]
            assert t.voice_to_voice_server == pytest.approx(total, abs=5)

    run_virtual(main())


def test_the_first_word_is_not_lost_and_silence_is_not_sent_to_the_ears() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"])
        async with a_session(ears=ears) as robot:
            await robot.speak(np.concatenate((silence(3_000), speech(800), silence(700))))
            await robot.until(outputs.UserSaid)
            # 300 ms before, 200 ms after, and whole frames.
            assert 1_250 * 16 <= ears.heard[0] <= 1_400 * 16

    run_virtual(main())


def test_half_duplex_hears_nothing_of_the_robot_itself() -> None:
    async def main() -> None:
        async with a_session() as robot:
            robot.session.post(events.Say("A long sentence that takes a while to be said."))
            await robot.until(outputs.ReplyAudio)
            await robot.speak(speech(2_000))  # its own voice, in the microphone
            await robot.until(outputs.ReplyDone)
            assert not robot.all(outputs.SpeechStarted)
            await robot.speak(silence(500))
            await robot.speak(np.concatenate((speech(600), silence(600))))
            await robot.until(outputs.UserSaid)

    run_virtual(main())


def test_barge_in_stops_the_reply_within_200_ms_of_recognised_speech() -> None:
    async def main() -> None:
        long = "one two three four five six seven eight nine ten eleven twelve. " * 3
        async with a_session(mind=ScriptedMind([long, "Yes?"])) as robot:
            robot.session.configure({"echo_cancellation": True})
            robot.session.post(events.Typed("count"))
            await robot.until(outputs.ReplyAudio)
            await robot.speak(silence(1_000))
            began = asyncio.get_running_loop().time()
            await robot.speak(np.concatenate((speech(1_000), silence(600))))
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "interrupted"
            assert robot.time_of(outputs.ReplyDone) - began <= 0.300 + 0.200
            heard = robot.all(outputs.AssistantSaid)[0].text
            assert heard
            assert len(heard) < len(long) / 2
            await robot.until(outputs.ReplyStarted, reply_id=2)

    run_virtual(main())


def test_a_cough_does_not_stop_the_reply() -> None:
    async def main() -> None:
        async with a_session(mind=ScriptedMind(["one two three four five six seven."])) as robot:
            robot.session.configure({"echo_cancellation": True})
            robot.session.post(events.Typed("count"))
            await robot.until(outputs.ReplyAudio)
            await robot.speak(np.concatenate((speech(150), silence(900))))
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "completed"
            assert not robot.all(outputs.SpeechStarted)

    run_virtual(main())


def test_sound_is_sent_at_most_the_lead_ahead() -> None:
    async def main() -> None:
        async with a_session(mind=ScriptedMind(["word " * 60])) as robot:
            robot.session.post(events.Typed("talk"))
            await robot.until(outputs.ReplyDone)
            start = robot.time_of(outputs.ReplyAudio)
            sent = 0.0
            for time, output in robot.said:
                if isinstance(output, outputs.ReplyAudio):
                    sent += output.audio.seconds
                    assert sent - (time - start) <= 0.600 + 1e-6
            assert sent > 5

    run_virtual(main())


def test_history_holds_what_was_heard_by_the_robots_marks() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mind = ScriptedMind(["One two three four, five six seven eight nine ten.", "Fine."])
        async with a_session(mind=mind, memory=memory) as robot:
            robot.session.configure({"playback_marks": True})
            robot.session.post(events.Typed("count"))
            await robot.until(outputs.ReplyAudio)
            await asyncio.sleep(2.0)
            robot.session.played(1, 0.060 * len("One two three four,"))
            robot.session.post(events.Cancel())
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "cancelled"
            assert robot.all(outputs.AssistantSaid)[0].text == "One two three four,"
        assert memory.history.messages() == (
            Message("user", "count"),
            Message("assistant", "One two three four,"),
        )

    run_virtual(main())


def test_a_tool_call_its_result_and_what_is_said_of_it() -> None:
    async def main() -> None:
        mind = ScriptedMind([[ToolCall("dance", "{}")], "I danced for you."])
        async with a_session(mind=mind) as robot:
            robot.session.post(events.Typed("dance"))
            call = await robot.until(outputs.ToolCalled)
            assert (call.name, call.arguments) == ("dance", "{}")
            robot.session.post(events.ToolResult(call.call_id, '{"status": "ok"}', True))
            done = await robot.until(outputs.ReplyDone, reply_id=2)
            assert done.reason == "completed"
            assert robot.all(outputs.ReplyStarted)[1].turn == 1
            asked, _ = mind.asked[1]
            assert [message.role for message in asked] == ["system", "user", "assistant", "tool"]
            assert robot.all(outputs.AssistantSaid)[-1].text == "I danced for you."

    run_virtual(main())


def test_a_tool_that_never_answers_is_spoken_about_after_the_time_out() -> None:
    async def main() -> None:
        mind = ScriptedMind(
            [[ToolCall("a", "{}")], "Done.", [ToolCall("b", "{}")], "It didn't answer."]
        )
        async with a_session(mind=mind) as robot:
            robot.session.post(events.Typed("first"))
            call = await robot.until(outputs.ToolCalled)
            robot.session.post(events.ToolResult(call.call_id, "ok", True))
            await robot.until(outputs.ReplyDone, reply_id=2)
            robot.session.post(events.Typed("second"))
            await robot.until(outputs.ReplyDone, reply_id=3)
            ended = asyncio.get_running_loop().time()
            await robot.until(outputs.ReplyStarted, reply_id=4)
            assert asyncio.get_running_loop().time() - ended == pytest.approx(15, abs=0.1)

    run_virtual(main())


def test_a_robot_that_never_answers_tools_is_not_waited_for() -> None:
    async def main() -> None:
        async with a_session(mind=ScriptedMind([[ToolCall("dance", "{}")]])) as robot:
            robot.session.post(events.Typed("dance"))
            await robot.until(outputs.ReplyDone)
            await asyncio.sleep(60)
            assert len(robot.all(outputs.ReplyStarted)) == 1

    run_virtual(main())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineFailed("broken"), "llm_failed"),
        (EngineTimeout("slow"), "llm_timeout"),
        (EngineBusy("full"), "llm_busy"),
    ],
)
def test_a_mind_that_fails_is_apologised_for_and_the_next_turn_works(
    error: Exception, code: str
) -> None:
    async def main() -> None:
        async with a_session(mind=ScriptedMind([error, "All is well."])) as robot:
            robot.session.post(events.Typed("hello"))
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "failed"
            assert robot.all(outputs.Problem)[0].code == code
            assert robot.all(outputs.ReplyAudio)
            assert "Sorry" in robot.all(outputs.AssistantSaid)[0].text
            robot.session.post(events.Typed("hello"))
            assert (await robot.until(outputs.ReplyDone, reply_id=2)).reason == "completed"

    run_virtual(main())


def test_ears_that_fail_are_apologised_for() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([EngineFailed("broken"), "hello"])
        async with a_session(ears=ears) as robot:
            await robot.speak(np.concatenate((speech(800), silence(600))))
            assert (await robot.until(outputs.ReplyDone)).reason == "failed"
            assert robot.all(outputs.Problem)[0].code == "stt_failed"
            await robot.speak(silence(500))
            await robot.speak(np.concatenate((speech(800), silence(600))))
            assert (await robot.until(outputs.ReplyDone, reply_id=2)).reason == "completed"

    run_virtual(main())


def test_a_voice_that_fails_ends_the_reply() -> None:
    async def main() -> None:
        mouth = ScriptedMouth(failures=[EngineFailed("broken"), None, None])
        async with a_session(mouth=mouth) as robot:
            robot.session.post(events.Typed("hello"))
            assert (await robot.until(outputs.ReplyDone)).reason == "failed"
            assert robot.all(outputs.Problem)[0].code == "tts_unavailable"
            robot.session.post(events.Typed("hello"))
            assert (await robot.until(outputs.ReplyDone, reply_id=2)).reason == "completed"

    run_virtual(main())


def test_an_engine_that_hangs_is_cancelled_by_the_robot() -> None:
    async def main() -> None:
        async with a_session(mind=ScriptedMind([["Well,", Hang()], "Yes."])) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyStarted)
            await asyncio.sleep(5)
            robot.session.post(events.Cancel())
            assert (await robot.until(outputs.ReplyDone)).reason == "cancelled"
            robot.session.post(events.Typed("hello"))
            assert (await robot.until(outputs.ReplyDone, reply_id=2)).reason == "completed"

    run_virtual(main())


def test_nothing_heard_is_no_turn_for_the_mind() -> None:
    async def main() -> None:
        async with a_session(ears=ScriptedTranscriber([""])) as robot:
            await robot.speak(np.concatenate((speech(400), silence(1_000))))
            assert (await robot.until(outputs.Problem)).code == "not_understood"
            assert not robot.all(outputs.ReplyStarted)

    run_virtual(main())


def test_push_to_talk() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"])
        async with a_session(ears=ears) as robot:
            robot.session.configure({"turn_detection": None})
            await robot.speak(speech(1_000))
            await asyncio.sleep(5)
            assert not robot.all(outputs.SpeechStarted)
            robot.session.post(events.EndUtterance())
            await robot.until(outputs.ReplyDone)
            assert ears.heard[0] == pytest.approx(16_000, abs=512)

    run_virtual(main())


def test_a_robot_that_stops_sending_has_stopped_speaking() -> None:
    async def main() -> None:
        async with a_session() as robot:
            await robot.speak(speech(800))  # and not a sample of silence
            await robot.until(outputs.UserSaid)

    run_virtual(main())


def test_ten_minutes_without_a_pause_are_taken_in_parts() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["a lot"])
        async with a_session(ears=ears) as robot:
            await robot.speak(speech(100_000), chunk_ms=500)
            await robot.until(outputs.ReplyDone)
            assert len(ears.heard) == 4
            assert all(samples <= 30 * 16_000 + 512 for samples in ears.heard)
            assert sum(ears.heard) == 100_000 * 16 // 512 * 512  # nothing lost, nothing twice

    run_virtual(main())


def test_an_idle_robot_acts_without_words_and_leaves_no_trace() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mind = ScriptedMind([["Hm. ", ToolCall("dance", "{}")]])
        async with a_session(mind=mind, memory=memory) as robot:
            robot.session.idle(20, "")
            await robot.until(outputs.ReplyDone)
            assert robot.all(outputs.ToolCalled)
            assert not robot.all(outputs.ReplyAudio)
        assert memory.history.messages() == ()

    run_virtual(main())


def test_speech_while_the_brain_thinks_becomes_one_question() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mind = ScriptedMind([[Pause(5.0), "Too late."], "Two answers."])
        ears = ScriptedTranscriber(["what time is it", "and what day"])
        async with a_session(mind=mind, ears=ears, memory=memory) as robot:
            await robot.speak(np.concatenate((speech(800), silence(1_000))))
            await robot.speak(np.concatenate((speech(800), silence(600))))
            assert (await robot.until(outputs.ReplyDone, reply_id=1)).reason == "interrupted"
            assert (await robot.until(outputs.ReplyDone, reply_id=2)).reason == "completed"
        assert memory.history.messages() == (
            Message("user", "what time is it\nand what day"),
            Message("assistant", "Two answers."),
        )

    run_virtual(main())


def test_words_that_were_typed_over_come_before_those_in_the_history() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mind = ScriptedMind(["Hi to you."])
        ears = ScriptedTranscriber(["what time is it"], seconds=1.0)
        async with a_session(mind=mind, ears=ears, memory=memory) as robot:
            await robot.speak(np.concatenate((speech(800), silence(600))))
            robot.session.post(events.Typed("Hi"))
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"
            assert robot.all(outputs.UserSaid) == [outputs.UserSaid("what time is it", 1)]
        assert memory.history.messages() == (
            Message("user", "what time is it\nHi"),
            Message("assistant", "Hi to you."),
        )

    run_virtual(main())


def test_words_that_are_heard_after_their_session_waits_for_a_tool_leave_its_call_open() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mind = ScriptedMind([[ToolCall("dance", "{}")], "I danced."])
        ears = ScriptedTranscriber(["what time is it"], seconds=3.0)
        async with a_session(mind=mind, ears=ears, memory=memory) as robot:
            await robot.speak(np.concatenate((speech(800), silence(600))))
            robot.session.post(events.Typed("Dance"))
            call = await robot.until(outputs.ToolCalled)
            await robot.until(outputs.UserSaid)
            robot.session.post(events.ToolResult(call.call_id, "ok", True))
            await robot.until(outputs.ReplyDone, reply_id=2)
        roles = [message.role for message in memory.history.messages()]
        assert roles == ["user", "assistant", "tool", "assistant"]

    run_virtual(main())


def test_it_is_not_the_users_turn_while_the_user_has_it() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["what time is it", "and what day"], seconds=1.0)
        async with a_session(ears=ears) as robot:
            for _ in range(2):  # the second while the first is being heard
                await robot.speak(speech(800))
                robot.session.post(events.EndUtterance())
            await robot.until(outputs.Listening)
            assert len(robot.all(outputs.UserSaid)) == 2
            assert len(robot.all(outputs.ReplyDone)) == 1

    run_virtual(main())


def test_a_turn_that_is_refused_is_over_and_one_under_way_goes_on() -> None:
    async def main() -> None:
        async with a_session() as robot:
            robot.session.report("bad_json", "text: too long", turn=True)
            robot.session.report("bad_json", "junk")
            robot.session.post(events.Typed("hello"))
            robot.session.report("bad_json", "text: too long", turn=True)
            await robot.until(outputs.ReplyDone)
            await asyncio.sleep(1)
            kinds = [type(output).__name__ for _, output in robot.said]
            ends = ("Problem", "Listening", "ReplyStarted", "ReplyDone")
            assert [kind for kind in kinds if kind in ends] == [
                "Problem", "Listening", "Problem", "ReplyStarted", "Problem", "ReplyDone",
                "Listening",
            ]  # fmt: skip

    run_virtual(main())


def test_without_a_voice_the_words_are_sent() -> None:
    async def main() -> None:
        async with a_session(mute=True) as robot:
            robot.session.post(events.Typed("hello"))
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"
            assert robot.all(outputs.AssistantSaid)[0].text == "Hello there, nice to meet you."

    run_virtual(main())


def test_blanks_are_said_in_silence() -> None:
    async def main() -> None:
        async with a_session() as robot:
            robot.session.post(events.Say(" \n "))
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"
            assert not robot.all(outputs.Problem)

    run_virtual(main())


def test_an_unknown_voice_falls_to_the_default_and_is_named() -> None:
    async def main() -> None:
        async with a_session() as robot:
            robot.session.configure({"voice": "nobody"})
            updated = await robot.until(outputs.SessionUpdated)
            assert (updated.config.voice, updated.unknown_voice) == (None, "nobody")

    run_virtual(main())


def test_hanging_up_twice_is_once_and_ends_the_reply_first() -> None:
    async def main() -> None:
        async with a_session() as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyAudio)
            robot.session.hang_up(4001, "replaced")
            robot.session.hang_up(1000, "")
            await robot.until(outputs.Closed, code=4001)
            assert robot.all(outputs.ReplyDone)[0].reason == "cancelled"

    run_virtual(main())


def test_a_fault_in_the_rules_of_the_house_is_one_session_only() -> None:
    async def main() -> None:
        async with a_session(house=HouseRules(lead_ms=100)) as robot:
            robot.session.configure({"no_such_field": 1})
            assert (await robot.until(outputs.Closed)).code == 1011

    run_virtual(main())
