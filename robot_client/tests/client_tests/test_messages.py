"""The wire: every message is built and parsed as protocol 1 says."""

from __future__ import annotations

import base64
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_client import messages as m
from robot_client import requests
from robot_client.parsing import Decoder, MessageError, parse

TEXT = st.text(max_size=40)
NUMBER = st.integers(0, 2**31)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(pcm=st.binary(max_size=200).filter(lambda b: len(b) % 2 == 0), reply=NUMBER, seq=NUMBER)
def test_sound_survives_the_wire(pcm: bytes, reply: int, seq: int) -> None:
    frame = {"type": "audio_delta", "data": base64.b64encode(pcm).decode(), "sample_rate": 24_000}
    frame |= {"reply_id": reply, "seq": seq}
    assert parse(json.dumps(frame)) == m.AudioDelta(pcm, 24_000, reply, seq)
    assert base64.b64decode(json.loads(requests.audio(pcm))["data"]) == pcm


@given(JSON)
def test_any_json_is_a_message_or_a_message_error(value: object) -> None:
    try:
        parse(json.dumps(value))
    except MessageError:
        return
    assert isinstance(value, dict)


@given(
    kind=st.sampled_from(
        ["ready", "session_updated", "speech_started", "speech_stopped", "transcript_user",
         "transcript_user_partial", "reply_started", "audio_delta", "transcript_assistant_delta",
         "transcript_assistant", "tool_call", "emotion", "reply_done", "error", "pong",
         "unattended", "attention", "filler"]
    ),
    fields=st.dictionaries(
        st.sampled_from(["turn", "reply_id", "text", "data", "seq", "reason", "code", "args",
                         "name", "sample_rate", "timings_ms", "voices", "engines", "fatal", "on"]),
        JSON,
    ),
)  # fmt: skip
def test_known_types_with_any_fields_raise_nothing_else(kind: str, fields: dict) -> None:
    try:
        message = parse(json.dumps({**fields, "type": kind}))
    except MessageError:
        return
    assert not isinstance(message, m.Unknown)


@given(st.text())
def test_any_text_raises_nothing_but_a_message_error(frame: str) -> None:
    try:
        parse(frame)
    except MessageError:
        return


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"type": "speech_started", "turn": 3}, m.SpeechStarted(3)),
        ({"type": "transcript_user", "text": "hi", "turn": 3}, m.TranscriptUser("hi", 3)),
        ({"type": "transcript_user", "text": "hi"}, m.TranscriptUser("hi", 0)),  # the seed's form
        ({"type": "reply_started", "turn": 3, "reply_id": 4}, m.ReplyStarted(4, 3)),
        (
            {"type": "tool_call", "name": "dance", "args": "{}", "call_id": "c", "reply_id": 4},
            m.ToolCall("dance", "{}", "c", 4),
        ),
        (
            {
                "type": "reply_done",
                "reply_id": 4,
                "reason": "interrupted",
                "timings_ms": {"stt": 9},
            },
            m.ReplyDone(4, "interrupted", {"stt": 9.0}),
        ),
        (
            {"type": "error", "code": "llm_busy", "message": "later", "fatal": True},
            m.ErrorMessage("llm_busy", "later", True),
        ),
        ({"type": "emotion", "name": "joy", "intensity": 1}, m.Emotion("joy", 1.0)),
        (
            {"type": "emotion", "name": "joy", "gestures": ["nod"], "reply_id": 3},
            m.Emotion("joy", 1.0, ("nod",), 3),
        ),
        ({"type": "newer", "x": 1}, m.Unknown("newer", {"x": 1})),
    ],
)
def test_parsed(frame: dict, message: m.Message) -> None:
    assert parse(json.dumps(frame)) == message


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "audio_delta", "data": "AA=="},
        {"type": "audio_delta", "data": "A*A="},
        {"type": "audio_delta"},
        {"type": "audio_delta", "data": "AAA=", "sample_rate": 0},
        {"type": "audio_delta", "data": "AAA=", "sample_rate": 1},
        {"type": "audio_delta", "data": "AAA=", "sample_rate": 10**9},
        {"type": "ready", "output_sample_rate": 10**300},
        {"type": "reply_done", "reply_id": 1, "reason": "bored"},
        {"type": "reply_started", "reply_id": True},
        {"type": "transcript_user", "text": 5},
        {"type": 5},
        [1],
    ],
)
def test_refused(frame: object) -> None:
    with pytest.raises(MessageError):
        parse(json.dumps(frame))


def test_a_number_too_large_for_a_float_is_infinite() -> None:
    frame = {"type": "reply_done", "reply_id": 1, "reason": "failed", "timings_ms": {"n": 10**400}}
    done = parse(json.dumps(frame))
    assert isinstance(done, m.ReplyDone)
    assert done.timings_ms == {"n": math.inf}
    assert parse(f'{{"type": "emotion", "name": "joy", "intensity": -{10**400}}}') == m.Emotion(
        "joy", -math.inf
    )


def test_half_a_character_does_no_harm_further_on() -> None:
    whole, half = r"\ud83d\ude00", r"\uD83D"
    call = parse(f'{{"type": "tool_call", "name": "{half}", "args": "{{}}", "call_id": "{whole}"}}')
    assert call == m.ToolCall("?", "{}", "\N{GRINNING FACE}")
    assert parse(
        f'{{"type": "ready", "voices": ["{half}"], "engines": {{"{half}": {{}}}}}}'
    ) == m.Ready(voices=("?",), engines={"?": m.EngineName()})


def test_no_session_makes_the_decoder_take_a_rate_that_is_none() -> None:
    decoder = Decoder()
    for rate in (True, -1, 10**9, "x"):
        decoder.decode(json.dumps({"type": "session_updated", "output_sample_rate": rate}))
        assert decoder.decode(b"\x01\x00") == m.AudioDelta(b"\x01\x00", 16_000, 0, decoder._seq - 1)


def test_binary_sound_belongs_to_the_reply_that_started_last() -> None:
    decoder = Decoder()
    decoder.decode(json.dumps({"type": "ready", "output_sample_rate": 16_000}))
    decoder.decode(json.dumps({"type": "session_updated", "output_sample_rate": 24_000}))
    decoder.decode(json.dumps({"type": "reply_started", "reply_id": 7, "turn": 1}))
    assert decoder.decode(b"\x01\x00") == m.AudioDelta(b"\x01\x00", 24_000, 7, 0)
    assert decoder.decode(b"\x02\x00") == m.AudioDelta(b"\x02\x00", 24_000, 7, 1)
    with pytest.raises(MessageError):
        decoder.decode(b"\x02")


def test_a_session_says_only_what_is_wanted() -> None:
    assert json.loads(requests.session(requests.Session())) == {"type": "session"}
    tool = requests.ToolSpec("dance", "to dance", {"type": "object"})
    frame = json.loads(
        requests.session(
            requests.Session(
                input_sample_rate=48_000,
                tools=[tool],
                turn_detection=requests.TurnDetection(silence_ms=300),
                echo_cancellation=False,
                wake_phrases=("hey reachy",),
                muted=True,
                quiet=False,
            )
        )
    )
    assert frame == {
        "type": "session",
        "input_sample_rate": 48_000,
        "tools": [
            {"name": "dance", "description": "to dance", "parameters": {"type": "object"}},
        ],
        "turn_detection": {"type": "server_vad", "interrupt": True, "silence_ms": 300},
        "echo_cancellation": False,
        "wake_phrases": ["hey reachy"],
        "muted": True,
        "quiet": False,
    }
    pushed = json.loads(requests.session(requests.Session(turn_detection="push_to_talk")))
    assert pushed == {"type": "session", "turn_detection": None}
    with pytest.raises(ValueError, match="44100"):
        requests.Session(input_sample_rate=44_100)


@given(
    words=TEXT,
    call=TEXT,
    output=JSON,
    ms=NUMBER,
    t=FLOAT,
)
def test_requests_are_json_with_their_fields(
    words: str, call: str, output: object, ms: int, t: float
) -> None:
    assert json.loads(requests.text(words)) == {"type": "text", "text": words}
    assert json.loads(requests.say(words)) == {"type": "say", "text": words}
    assert json.loads(requests.played(3, ms)) == {"type": "played", "reply_id": 3, "ms": ms}
    result = json.loads(requests.tool_result(call, output, reply=False))  # type: ignore[arg-type]
    expected = {"call_id": call, "output": output, "reply": False, "interrupted": False}
    assert result == {"type": "tool_result", **expected}
    for frame, kind in (
        (requests.end_utterance(), "end_utterance"),
        (requests.clear(), "clear"),
        (requests.cancel(), "cancel"),
    ):
        assert json.loads(frame) == {"type": kind}
    assert json.loads(requests.ping(t)) == {"type": "ping", "t": t}


def test_a_picture_is_base64_once() -> None:
    assert json.loads(requests.image(b"\xff\xd8", "c")) == {
        "type": "image",
        "data": "/9g=",
        "call_id": "c",
    }
    assert json.loads(requests.image("/9g=")) == {"type": "image", "data": "/9g="}
