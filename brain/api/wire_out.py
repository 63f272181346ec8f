"""What the brain says on `/ws` (protocol 1), as pydantic models, and how it is made."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from brain.api.wire_in import Tool
from brain.audio.pcm import to_bytes
from brain.dialogue import outputs
from brain.dialogue.config import SessionConfig


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class TurnDetectionOut(_Message):
    type: Literal["server_vad"] = "server_vad"
    silence_ms: int
    threshold: float
    interrupt: bool


class SessionUpdatedOut(_Message):
    """The session as it now stands; `unknown_voice` was asked for and isn't there."""

    type: Literal["session_updated"] = "session_updated"
    input_sample_rate: int
    output_sample_rate: int
    audio: str
    instructions: str
    voice: str | None
    unknown_voice: str | None
    language: str | None
    tools: list[Tool]
    turn_detection: TurnDetectionOut | None
    playback_marks: bool
    echo_cancellation: bool
    wake_phrases: list[str]
    muted: bool
    quiet: bool | None


class EngineOut(_Message):
    name: str
    model: str
    degraded: bool


class EnginesOut(_Message):
    vad: EngineOut
    stt: EngineOut
    llm: EngineOut
    tts: EngineOut


class ReadyOut(_Message):
    type: Literal["ready"] = "ready"
    protocol: Literal[1] = 1
    session_id: str
    robot_id: str
    resumed: bool
    profile: str
    voices: list[str]
    input_sample_rate: int
    output_sample_rate: int
    engines: EnginesOut


class SpeechStartedOut(_Message):
    type: Literal["speech_started"] = "speech_started"
    turn: int


class SpeechStoppedOut(_Message):
    type: Literal["speech_stopped"] = "speech_stopped"
    turn: int


class TranscriptUserPartialOut(_Message):
    """What was heard so far of a turn that is still open; takes the place of the last."""

    type: Literal["transcript_user_partial"] = "transcript_user_partial"
    text: str
    turn: int


class TranscriptUserOut(_Message):
    type: Literal["transcript_user"] = "transcript_user"
    text: str
    turn: int


class UnattendedOut(_Message):
    """What was said in this turn wasn't for the robot: it isn't answered, told or remembered."""

    type: Literal["unattended"] = "unattended"
    turn: int


class AttentionOut(_Message):
    """`on`: whoever speaks now is answered; else who says a wake phrase."""

    type: Literal["attention"] = "attention"
    on: bool


class ReplyStartedOut(_Message):
    type: Literal["reply_started"] = "reply_started"
    turn: int
    reply_id: int


class EmotionOut(_Message):
    """The mood of the reply (intensity 0 to 1) and gestures with it; before its first word."""

    type: Literal["emotion"] = "emotion"
    name: str
    intensity: float
    gestures: list[str]
    reply_id: int


class FillerOut(_Message):
    """A word while the robot thinks begins to be sent; it is no part of the answer."""

    type: Literal["filler"] = "filler"
    text: str
    reply_id: int


class AudioDeltaOut(_Message):
    """Sound of the reply: base64 of 16-bit little-endian mono PCM."""

    type: Literal["audio_delta"] = "audio_delta"
    data: str
    sample_rate: int
    reply_id: int
    seq: int


class TranscriptAssistantDeltaOut(_Message):
    """A clause, as its sound begins to be sent."""

    type: Literal["transcript_assistant_delta"] = "transcript_assistant_delta"
    text: str
    reply_id: int


class TranscriptAssistantOut(_Message):
    """The whole of a reply; of an interrupted one, what was heard."""

    type: Literal["transcript_assistant"] = "transcript_assistant"
    text: str
    reply_id: int


class ToolCallOut(_Message):
    """`args` is the text of a JSON object."""

    type: Literal["tool_call"] = "tool_call"
    name: str
    args: str
    call_id: str
    reply_id: int


class TimingsOut(_Message):
    """ms; null for a stage that the reply didn't have. `ahead`: so long before the turn's end the
    stages after it had begun, while the user paused."""

    endpoint: float | None
    ahead: float | None
    stt: float | None
    llm_first_token: float | None
    first_clause: float | None
    tts_first_audio: float | None
    voice_to_voice_server: float | None


class ReplyDoneOut(_Message):
    type: Literal["reply_done"] = "reply_done"
    reply_id: int
    reason: outputs.Reason
    timings_ms: TimingsOut


class ErrorOut(_Message):
    type: Literal["error"] = "error"
    code: str
    message: str
    fatal: bool = False


class PongOut(_Message):
    type: Literal["pong"] = "pong"
    t: Any


BrainMessage = (
    SessionUpdatedOut
    | ReadyOut
    | SpeechStartedOut
    | SpeechStoppedOut
    | TranscriptUserPartialOut
    | TranscriptUserOut
    | UnattendedOut
    | AttentionOut
    | ReplyStartedOut
    | EmotionOut
    | FillerOut
    | AudioDeltaOut
    | TranscriptAssistantDeltaOut
    | TranscriptAssistantOut
    | ToolCallOut
    | ReplyDoneOut
    | ErrorOut
    | PongOut
)


def message(output: outputs.Output) -> BrainMessage:
    """The wire form of what a session says.

    Raises ValueError for what has none: `Closed`, which closes the socket, and `Listening`.
    """
    match output:
        case outputs.SpeechStarted():
            return SpeechStartedOut(turn=output.turn)
        case outputs.SpeechStopped():
            return SpeechStoppedOut(turn=output.turn)
        case outputs.UserPartial():
            return TranscriptUserPartialOut(text=output.text, turn=output.turn)
        case outputs.UserSaid():
            return TranscriptUserOut(text=output.text, turn=output.turn)
        case outputs.Unattended():
            return UnattendedOut(turn=output.turn)
        case outputs.AttentionTurned():
            return AttentionOut(on=output.on)
        case outputs.ReplyStarted():
            return ReplyStartedOut(turn=output.turn, reply_id=output.reply_id)
        case outputs.EmotionShown():
            return EmotionOut(
                name=output.emotion.name,
                intensity=output.emotion.intensity,
                gestures=list(output.gestures),
                reply_id=output.reply_id,
            )
        case outputs.FillerStarted():
            return FillerOut(text=output.text, reply_id=output.reply_id)
        case outputs.ReplyAudio():
            data = b64encode(to_bytes(output.audio.samples)).decode()
            return AudioDeltaOut(
                data=data,
                sample_rate=output.audio.sample_rate,
                reply_id=output.reply_id,
                seq=output.seq,
            )
        case outputs.ClauseStarted():
            return TranscriptAssistantDeltaOut(text=output.text, reply_id=output.reply_id)
        case outputs.AssistantSaid():
            return TranscriptAssistantOut(text=output.text, reply_id=output.reply_id)
        case outputs.ToolCalled():
            return ToolCallOut(
                name=output.name,
                args=output.arguments,
                call_id=output.call_id,
                reply_id=output.reply_id,
            )
        case outputs.ReplyDone():
            timings = TimingsOut(**vars(output.timings))
            return ReplyDoneOut(reply_id=output.reply_id, reason=output.reason, timings_ms=timings)
        case outputs.Problem():
            return ErrorOut(code=output.code, message=output.message)
        case outputs.Pong():
            return PongOut(t=output.t)
        case outputs.SessionUpdated():
            return _session(output.config, output.unknown_voice)
        case outputs.Closed() | outputs.Listening():
            raise ValueError(f"{type(output).__name__} is no message of /ws")


def _session(config: SessionConfig, unknown_voice: str | None) -> SessionUpdatedOut:
    detection = config.turn_detection
    return SessionUpdatedOut(
        input_sample_rate=config.input_sample_rate,
        output_sample_rate=config.output_sample_rate,
        audio=config.audio,
        instructions=config.instructions,
        voice=config.voice,
        unknown_voice=unknown_voice,
        language=config.language,
        tools=[
            # Checked when they came in.
            Tool.model_construct(
                name=t.name, description=t.description, parameters=dict(t.parameters)
            )
            for t in config.tools
        ],
        turn_detection=TurnDetectionOut(**vars(detection)) if detection else None,
        playback_marks=config.playback_marks,
        echo_cancellation=config.echo_cancellation,
        wake_phrases=list(config.wake_phrases),
        muted=config.muted,
        quiet=config.quiet,
    )
