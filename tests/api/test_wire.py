"""The wire's messages: what is read, what is refused and how, what is written."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.api import wire_in, wire_out
from brain.audio.pcm import Audio, to_bytes
from brain.dialogue import outputs
from brain.dialogue.config import SessionConfig
from brain.engines.ports import Emotion, ToolSpec

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
FIELDS = sorted({name for kind in get_args(wire_in.RobotMessage) for name in kind.model_fields})


def read(**message: Any) -> wire_in.RobotMessage | None:
    return wire_in.parse(json.dumps(message))


@given(st.text(max_size=200))
@settings(deadline=None)
def test_any_text_is_a_message_or_a_clear_error(text: str) -> None:
    try:
        wire_in.parse(text)
    except wire_in.WireError as error:
        assert error.code == "bad_json"


@given(st.sampled_from(wire_in._TYPES), st.dictionaries(st.sampled_from(FIELDS), JSON))
@settings(deadline=None, max_examples=300)
def test_any_fields_are_a_message_or_a_clear_error(kind: str, fields: dict[str, Any]) -> None:
    try:
        assert read(**{**fields, "type": kind}) is not None
    except wire_in.WireError as error:
        assert error.code in ("bad_json", "bad_audio", "bad_image", "bad_session")
        assert kind in str(error)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '"audio"', "{}", '{"type": 1}'])
def test_what_is_no_message(text: str) -> None:
    with pytest.raises(wire_in.WireError) as caught:
        wire_in.parse(text)
    assert caught.value.code == "bad_json"


def test_deep_nesting_is_only_bad_json() -> None:
    with pytest.raises(wire_in.WireError) as caught:
        wire_in.parse("[" * 500_000)
    assert caught.value.code == "bad_json"


def test_an_unknown_type_is_for_a_newer_brain_and_a_typo_is_told() -> None:
    assert read(type="servo_temperature", celsius=40) is None
    for typo in ("adio", "Audio", "end_utterence", "tool_results"):
        with pytest.raises(wire_in.WireError) as caught:
            read(type=typo)
        assert caught.value.code == "unknown_type"
        assert "did you mean" in str(caught.value)


def test_unknown_fields_are_for_a_newer_brain() -> None:
    assert read(type="cancel", hurry=True) == wire_in.CancelIn(type="cancel")


@pytest.mark.parametrize(
    ("data", "says"),
    [("*#!", "base64"), (b64encode(b"abc").decode(), "even byte count"), ("", "at least 1 sample")],
)
def test_bad_sound(data: str, says: str) -> None:
    with pytest.raises(wire_in.WireError, match=says) as caught:
        wire_in.sound(data)
    assert caught.value.code == "bad_audio"


@given(st.lists(st.integers(-32768, 32767), min_size=1))
def test_sound_comes_as_base64_or_raw(samples: list[int]) -> None:
    raw = to_bytes(np.array(samples, np.int16))
    assert wire_in.sound(raw).tolist() == samples
    assert wire_in.sound(b64encode(raw).decode()).tolist() == samples


@pytest.mark.parametrize(
    "change",
    [
        {"input_sample_rate": 44_100},
        {"input_sample_rate": "16000"},
        {"audio": "mp3"},
        {"turn_detection": {"silence_ms": 1}},
        {"turn_detection": {"threshold": 2}},
        {"turn_detection": "vad"},
        {"tools": [{"name": "dance", "parameters": {"type": "nonsense"}}]},
        {"tools": [{"name": "dance", "parameters": {"type": "array"}}]},
        {"tools": [{"name": "two words"}]},
        {"tools": [{"name": "dance"}, {"name": "dance"}]},
        {"tools": {}},
        {"language": "English"},
        {"playback_marks": "perhaps"},
        {"wake_phrases": "hey reachy"},
        {"wake_phrases": ["hey reachy", "..."]},
        {"wake_phrases": ["x" * 61]},
        {"wake_phrases": ["hey"] * 17},
        {"muted": "perhaps"},
        {"quiet": "22:00-07:00"},
    ],
)
def test_a_session_that_cannot_be_had(change: dict[str, Any]) -> None:
    with pytest.raises(wire_in.WireError) as caught:
        read(type="session", **change)
    assert caught.value.code == "bad_session"
    assert next(iter(change)) in str(caught.value)


def test_what_a_session_message_changes() -> None:
    message = read(
        type="session",
        voice=None,
        output_sample_rate=24_000,
        turn_detection={"type": "server_vad", "silence_ms": 300},
        wake_phrases=["hey reachy"],
        quiet=None,
        tools=[{"name": "dance", "description": "Dance.", "parameters": {"properties": {}}}],
    )
    assert isinstance(message, wire_in.SessionIn)
    assert message.changes() == {
        "voice": None,
        "output_sample_rate": 24_000,
        "turn_detection": {"silence_ms": 300},
        "wake_phrases": ("hey reachy",),
        "quiet": None,
        "tools": (ToolSpec("dance", "Dance.", {"type": "object", "properties": {}}),),
    }


@pytest.mark.parametrize(
    ("output", "text"), [("ok", "ok"), ({"a": 1}, '{"a": 1}'), (None, "null"), ([], "[]")]
)
def test_a_tool_result_is_text_or_json(output: Any, text: str) -> None:
    message = read(type="tool_result", call_id="c", output=output)
    assert isinstance(message, wire_in.ToolResultIn)
    assert message.text == text


OUTPUTS: list[outputs.Output] = [
    outputs.SpeechStarted(1),
    outputs.SpeechStopped(1),
    outputs.UserPartial("hel", 1),
    outputs.UserSaid("hello", 1),
    outputs.Unattended(1),
    outputs.AttentionTurned(on=True),
    outputs.ReplyStarted(1, 2),
    outputs.EmotionShown(Emotion("happy", 0.8), ("nod",), 2),
    outputs.FillerStarted("Hm.", 2),
    outputs.ReplyAudio(Audio(np.arange(4, dtype=np.int16), 16_000), 2, 0),
    outputs.ClauseStarted("Hi.", 2),
    outputs.AssistantSaid("Hi.", 2),
    outputs.ToolCalled("dance", "{}", "call_2_1", 2),
    outputs.ReplyDone(2, "completed", outputs.Timings(endpoint=500.0)),
    outputs.Problem("bad_json", "no"),
    outputs.SessionUpdated(SessionConfig(tools=(ToolSpec("dance", "", {"type": "object"}),))),
    outputs.Pong({"t": 1}),
]


def test_every_output_has_a_wire_form_with_its_type_first() -> None:
    silent = {outputs.Closed, outputs.Listening}
    assert {type(output) for output in OUTPUTS} == set(get_args(outputs.Output)) - silent
    for closing in (outputs.Closed(1000, ""), outputs.Listening()):
        with pytest.raises(ValueError, match="no message"):
            wire_out.message(closing)
    for output in OUTPUTS:
        wire = json.loads(wire_out.message(output).model_dump_json())
        assert next(iter(wire)) == "type"


def test_the_seeds_messages_have_the_seeds_fields() -> None:
    wires = [wire_out.message(output).model_dump() for output in OUTPUTS]
    by_type = {wire["type"]: wire for wire in wires}
    assert by_type["transcript_user"]["text"] == "hello"
    assert by_type["transcript_assistant"]["text"] == "Hi."
    assert by_type["tool_call"]["name"] == "dance"
    assert json.loads(by_type["tool_call"]["args"]) == {}
    assert by_type["emotion"]["name"] == "happy"
    assert by_type["emotion"]["intensity"] == 0.8
    assert by_type["audio_delta"]["data"] == b64encode(b"\0\0\1\0\2\0\3\0").decode()


@given(
    st.binary(max_size=20) | st.integers(31_998, 32_002).map(bytes),
    st.sampled_from([", ", ","]),
    st.sampled_from([": ", ":"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_what_is_heard_in_haste_is_what_would_be_heard_with_care(
    pcm: bytes, comma: str, colon: str, type_first: bool
) -> None:
    fields = [("type", "audio"), ("data", b64encode(pcm).decode())]
    fields = fields if type_first else fields[::-1]
    text = json.dumps(dict(fields), separators=(comma, colon))
    hasty = wire_in.plain_sound(text)
    if hasty is not None:
        careful = wire_in.parse(text)
        assert isinstance(careful, wire_in.AudioIn)
        assert hasty.tobytes() == wire_in.sound(careful.data).tobytes() == pcm
    usual = type_first and (comma, colon) in ((", ", ": "), (",", ":"))
    assert (hasty is not None) == (usual and 0 < len(pcm) <= 32_000 and len(pcm) % 2 == 0)


@given(
    st.sampled_from(['{"type": "audio", "data": "', '{"type":"audio","data":"', '{"type": "ping"']),
    st.text(alphabet='AQ=+/ "\\u,:{}}a\ud800\n', max_size=12),
    st.sampled_from(['"}', '"} ', "}", ""]),
)
@settings(deadline=None, max_examples=150)
def test_nothing_is_heard_in_haste_that_is_no_plain_sound(head: str, body: str, tail: str) -> None:
    text = head + body + tail
    hasty = wire_in.plain_sound(text)
    if hasty is not None:
        careful = wire_in.parse(text)
        assert isinstance(careful, wire_in.AudioIn)
        assert hasty.tobytes() == wire_in.sound(careful.data).tobytes()


def test_binary_sound_is_plain_up_to_a_second() -> None:
    assert wire_in.plain_sound(b"\1\0" * 16_000) is not None
    for frame in (b"", b"\1", b"\1\0" * 16_001):
        assert wire_in.plain_sound(frame) is None
