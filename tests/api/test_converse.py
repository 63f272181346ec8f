"""`/converse`: what is read, what is refused and how, what is told and in which order."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.api import converse_in, converse_out
from brain.api.wire_in import WireError
from brain.audio.pcm import Audio
from brain.dialogue import outputs
from brain.engines.ports import Emotion
from tests.api.test_wire import JSON
from tools import protocol_schema

SOUND = outputs.ReplyAudio(Audio(np.arange(4, dtype=np.int16), 16_000), 1, 0)
DONE = outputs.ReplyDone(1, "completed", outputs.Timings())


def read(**message: Any) -> converse_in.SupervisorMessage | None:
    return converse_in.parse(json.dumps(message))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(*said: outputs.Output, clock: Clock | None = None) -> list[dict[str, Any]]:
    telling = converse_out.Telling(clock or Clock())
    return [message.model_dump() for output in said for message in telling.messages(output)]


def names(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]


# -- supervisor -> brain -----------------------------------------------------------------------


@given(st.text(max_size=200))
@settings(deadline=None)
def test_any_text_is_a_message_or_a_clear_error(text: str) -> None:
    try:
        converse_in.parse(text)
    except WireError as error:
        assert error.code == "bad_json"


@given(
    st.sampled_from(converse_in._TYPES),
    st.dictionaries(st.sampled_from(["data", "text", "profile", "t"]), JSON),
)
@settings(deadline=None)
def test_any_fields_are_a_message_or_a_clear_error(kind: str, fields: dict[str, Any]) -> None:
    try:
        assert read(**{**fields, "type": kind}) is not None
    except WireError as error:
        assert error.code in ("bad_json", "bad_audio")
        assert kind in str(error)


def test_every_message_of_the_contract_is_taken_and_others_are_ignored() -> None:
    models = get_args(converse_in.SupervisorMessage)
    assert {get_args(kind.model_fields["type"].annotation)[0] for kind in models} == set(
        converse_in._TYPES
    )
    assert read(type="end_utterance", seq=3) == converse_in.EndUtteranceIn(type="end_utterance")
    assert read(type="audo", data="") is None
    assert read(type="mood", mood="sad") is None


@pytest.mark.parametrize("text", ["", " \n\t", "\0\0", "\u200b \x1f", "x" * 4_001, "\ud800", 7])
def test_a_text_without_words_is_refused_as_one(text: Any) -> None:
    with pytest.raises(WireError) as caught:
        read(type="text", text=text)
    assert (caught.value.code, caught.value.kind) == ("bad_json", "text")


@pytest.mark.parametrize("text", ["?", " hi ", "a\0b", "\U0001f916"])
def test_any_text_with_something_in_it_is_taken(text: str) -> None:
    assert read(type="text", text=text) == converse_in.TextIn(type="text", text=text)


def test_a_profile_is_text_or_json_and_short() -> None:
    for profile, text in (
        ("Anna, 7", "Anna, 7"),
        ({"name": "Ännä", "age": 7}, '{"name": "Ännä", "age": 7}'),
        (None, ""),
        ("", ""),
    ):
        message = read(type="profile", profile=profile)
        assert isinstance(message, converse_in.ProfileIn)
        assert message.text == text
    for long in ("x" * 2_001, ["x" * 100] * 20):
        with pytest.raises(WireError, match="2000 characters"):
            read(type="profile", profile=long)


def test_a_whole_utterance_may_come_in_one_message() -> None:
    samples = np.arange(40_000, dtype=np.int16)
    pieces = list(converse_in.sound(b64encode(samples.astype("<i2").tobytes()).decode()))
    assert [len(piece) for piece in pieces] == [16_000, 16_000, 8_000]
    assert np.array_equal(np.concatenate(pieces), samples)
    assert not list(converse_in.sound(""))
    with pytest.raises(WireError):
        list(converse_in.sound("AAA"))


# -- brain -> supervisor -----------------------------------------------------------------------


def test_a_spoken_turn_in_the_order_of_the_contract() -> None:
    clock = Clock()
    telling = converse_out.Telling(clock)
    messages: list[dict[str, Any]] = []
    for at, output in (
        (1.0, outputs.SpeechStarted(7)),
        (2.0, outputs.SpeechStopped(7)),
        (2.2, outputs.UserSaid("hello", 7)),
        (2.2, outputs.ReplyStarted(7, 1)),
        (2.4, outputs.EmotionShown(Emotion("happy", 0.8), ("nod", "wink_l"), 1)),
        (2.5, outputs.ClauseStarted("Hi.", 1)),
        (2.5, SOUND),
        (2.6, SOUND),
        (3.0, outputs.AssistantSaid("Hi.", 1)),
        (3.0, DONE),
        (3.0, outputs.Listening()),
    ):
        clock.now = at
        messages += [message.model_dump() for message in telling.messages(output)]
    assert names(messages) == [
        "transcription", "emotion", "gestures", "assistant_text", "first_audio", "audio", "audio",
        "done", "listening",
    ]  # fmt: skip
    assert all(message["turn_id"] == 7 for message in messages[:-1])
    by_type = {message["type"]: message for message in messages}
    assert by_type["transcription"]["text"] == "hello"
    assert (by_type["emotion"]["emotion"], by_type["emotion"]["intensity"]) == ("happy", 0.8)
    assert by_type["gestures"]["names"] == ["nod", "wink_l"]
    assert by_type["first_audio"]["first_audio_ms"] == 500
    assert [m["chunk_index"] for m in messages if m["type"] == "audio"] == [0, 1]
    assert by_type["audio"]["sample_rate"] == 16_000
    assert b64decode(by_type["audio"]["data"]) == b"\0\0\1\0\2\0\3\0"


@pytest.mark.parametrize("first", [outputs.ClauseStarted("Hi.", 1), SOUND])
def test_a_reply_without_a_mood_is_neutral(first: outputs.Output) -> None:
    messages = told(outputs.ReplyStarted(1, 1), first, SOUND, DONE)
    assert messages[0] == {"type": "emotion", "emotion": "neutral", "intensity": 0.5, "turn_id": 1}
    assert names(messages).count("emotion") == 1
    assert "gestures" not in names(messages)


def test_a_mood_that_is_told_after_a_filler_is_shown() -> None:
    """With the filler's sound goes neutral, as the contract has it: a mood before every sound."""
    filler, mood = outputs.FillerStarted("Hm.", 1), outputs.EmotionShown(Emotion("happy"), (), 1)
    began = (outputs.ReplyStarted(1, 1), filler, SOUND)
    messages = told(*began, mood, outputs.ClauseStarted("Hi.", 1), SOUND, DONE)
    assert names(messages) == [
        "emotion", "first_audio", "audio", "emotion", "assistant_text", "audio", "done",
    ]  # fmt: skip
    assert [m["emotion"] for m in messages if m["type"] == "emotion"] == ["neutral", "happy"]
    messages = told(*began, outputs.ClauseStarted("Hi.", 1), SOUND, DONE)
    assert names(messages).count("emotion") == 1


def test_what_is_not_for_the_robot_is_not_told() -> None:
    said = (outputs.SpeechStopped(1), outputs.Unattended(1), outputs.Listening())
    assert names(told(*said)) == ["listening"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("not_understood", "Could not understand audio"),
        ("stt_failed", "Internal server error"),
        ("llm_busy", "llm_busy"),
        ("llm_timeout", "LLM timeout"),
        ("llm_failed", "Internal server error"),
        ("tts_busy_no_fallback", "tts_busy_no_fallback"),
        ("tts_unavailable", "tts_unavailable"),
        ("internal", "Internal server error"),
    ],
)
def test_errors_have_the_words_that_the_supervisor_knows(code: str, message: str) -> None:
    (error,) = told(outputs.Problem(code, "why", turn=3))
    assert (error["message"], error["code"], error["detail"], error["turn_id"]) == (
        message, code, "why", 3,
    )  # fmt: skip


def test_errors_outside_of_turns() -> None:
    overflow, bad = told(
        outputs.Problem("audio_overflow", "too much"), outputs.Problem("bad_json", "no JSON")
    )
    assert (overflow["message"], overflow["turn_id"]) == ("audio_buffer_overflow", None)
    assert bad["message"] == "no JSON"
    (nothing,) = told(outputs.Problem("not_understood", "no speech"))
    assert nothing["message"] == "No audio received"


def test_of_a_turn_that_was_cancelled_while_it_was_heard_nothing_more_comes() -> None:
    heard = (outputs.SpeechStarted(1), outputs.SpeechStopped(1), outputs.Listening())
    assert names(told(*heard, outputs.UserSaid("late", 1))) == ["listening"]
    assert names(told(*heard, outputs.Problem("not_understood", "", turn=1))) == ["listening"]
    again = (outputs.SpeechStarted(2), outputs.SpeechStopped(2), outputs.UserSaid("new", 2))
    assert names(told(*heard, outputs.UserSaid("late", 1), *again)) == [
        "listening",
        "transcription",
    ]


def test_of_a_turn_that_the_user_goes_on_with_the_words_come() -> None:
    went_on = (outputs.SpeechStarted(1), outputs.SpeechStopped(1), outputs.SpeechStarted(2))
    messages = told(*went_on, outputs.UserSaid("first half", 1))
    assert names(messages) == ["transcription"]


def test_what_is_heard_of_a_turn_once_a_later_one_is_answered_comes_too_late() -> None:
    typed = (outputs.SpeechStarted(1), outputs.SpeechStopped(1), outputs.ReplyStarted(2, 1))
    assert told(*typed, outputs.UserSaid("old", 1)) == []
    assert told(*typed, outputs.Problem("not_understood", "", turn=1)) == []
    # Typed while the user spoke, and the user spoke on: that is answered last.
    between = (outputs.SpeechStarted(1), outputs.ReplyStarted(2, 1), DONE, outputs.SpeechStopped(1))
    assert names(told(*between, outputs.UserSaid("new", 1))) == ["done", "transcription"]


def test_a_reply_of_a_typed_turn_has_its_turn() -> None:
    clock = Clock()
    messages = told(
        outputs.ReplyStarted(4, 9),
        outputs.ToolCalled("dance", "{}", "call_9_1", 9),
        outputs.ReplyDone(9, "completed", outputs.Timings()),
        clock=clock,
    )
    assert names(messages) == ["tool_call", "done"]
    assert {message["turn_id"] for message in messages} == {4}
    assert messages[0]["args"] == "{}"


def test_the_schema_in_the_docs_is_in_step() -> None:
    written = protocol_schema.CONVERSE_PATH.read_text(encoding="utf-8")
    assert written == protocol_schema.converse_schema(), "run python -m tools.protocol_schema"
