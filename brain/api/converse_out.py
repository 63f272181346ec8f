"""What the brain says on `/converse`, as pydantic models, and how it is made."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from brain.api.wire_out import TimingsOut
from brain.audio.pcm import to_bytes
from brain.dialogue import outputs
from brain.engines.ports import Emotion


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class ListeningOut(_Message):
    """It is the user's turn: on connect, and once after each turn's end, however it ended."""

    type: Literal["listening"] = "listening"


class TranscriptionOut(_Message):
    """What was heard."""

    type: Literal["transcription"] = "transcription"
    text: str
    turn_id: int


class EmotionOut(_Message):
    """The mood of the reply, intensity 0 to 1; before its first sound, neutral if none was told."""

    type: Literal["emotion"] = "emotion"
    emotion: str
    intensity: float
    turn_id: int


class GesturesOut(_Message):
    """Gestures that go with the reply, if any do; before its first sound."""

    type: Literal["gestures"] = "gestures"
    names: list[str]
    turn_id: int


class AssistantTextOut(_Message):
    """A clause of the reply, as its sound begins to be sent."""

    type: Literal["assistant_text"] = "assistant_text"
    text: str
    turn_id: int


class FirstAudioOut(_Message):
    """The reply's sound begins: ms since the turn was over for the user."""

    type: Literal["first_audio"] = "first_audio"
    first_audio_ms: int
    turn_id: int


class AudioOut(_Message):
    """At most 100 ms of the reply: base64 of 16-bit little-endian mono PCM."""

    type: Literal["audio"] = "audio"
    data: str
    sample_rate: int
    chunk_index: int
    turn_id: int


class ToolCallOut(_Message):
    """`args` is the text of a JSON object."""

    type: Literal["tool_call"] = "tool_call"
    name: str
    args: str
    call_id: str
    turn_id: int


class DoneOut(_Message):
    """The reply is over."""

    type: Literal["done"] = "done"
    turn_id: int
    reason: outputs.Reason
    timings_ms: TimingsOut


class ErrorOut(_Message):
    """`message` is what the supervisor knows; `code` and `detail` are those of `/ws`."""

    type: Literal["error"] = "error"
    message: str
    code: str
    detail: str
    turn_id: int | None = None


class PongOut(_Message):
    type: Literal["pong"] = "pong"
    t: Any


ConverseMessage = (
    ListeningOut
    | TranscriptionOut
    | EmotionOut
    | GesturesOut
    | AssistantTextOut
    | FirstAudioOut
    | AudioOut
    | ToolCallOut
    | DoneOut
    | ErrorOut
    | PongOut
)

_MESSAGES = {
    "not_understood": "Could not understand audio",
    "stt_failed": "Internal server error",
    "llm_busy": "llm_busy",
    "llm_timeout": "LLM timeout",
    "llm_failed": "Internal server error",
    "tts_busy_no_fallback": "tts_busy_no_fallback",
    "tts_unavailable": "tts_unavailable",
    "audio_overflow": "audio_buffer_overflow",
    "internal": "Internal server error",
}
_NEUTRAL = Emotion("neutral")


class Telling:
    """Tells one supervisor what its session says. `clock` in seconds, any monotonic one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = 0
        self._since = 0.0
        self._over = 0
        self._in_reply = False
        self._mood_shown = False
        self._filled = False
        self._chunks = 0

    def messages(self, output: outputs.Output) -> list[ConverseMessage]:
        """What the supervisor gets of this, in order.

        Of a turn that was cancelled while it was still being heard, nothing more comes; nor once a
        later one is being answered.
        """
        match output:
            case outputs.SpeechStopped() if not self._in_reply:
                # Something typed in between may have had a later turn.
                self._over = min(self._over, output.turn - 1)
                self._begin(output.turn)
            case outputs.UserSaid() if output.turn > self._over:
                return [TranscriptionOut(text=output.text, turn_id=output.turn)]
            case outputs.ReplyStarted():
                if output.turn != self._turn:
                    self._begin(output.turn)
                self._over = max(self._over, output.turn - 1)
                self._in_reply, self._mood_shown, self._filled, self._chunks = True, False, False, 0
            case outputs.FillerStarted():
                self._filled = True
            case outputs.EmotionShown():
                # (With the filler's sound went neutral, for want of a better one.)
                self._mood_shown = self._mood_shown and not self._filled
                return self._mood(output.emotion, output.gestures)
            case outputs.ClauseStarted():
                text = AssistantTextOut(text=output.text, turn_id=self._turn)
                return [*self._mood(), text]
            case outputs.ReplyAudio():
                return self._sound(output)
            case outputs.ToolCalled():
                call = ToolCallOut(
                    name=output.name,
                    args=output.arguments,
                    call_id=output.call_id,
                    turn_id=self._turn,
                )
                return [call]
            case outputs.ReplyDone():
                self._in_reply = False
                timings = TimingsOut(**vars(output.timings))
                return [DoneOut(turn_id=self._turn, reason=output.reason, timings_ms=timings)]
            case outputs.Listening():
                self._over = self._turn
                return [ListeningOut()]
            case outputs.Problem():
                return self._problem(output)
            case outputs.Pong():
                return [PongOut(t=output.t)]
        return []

    def _begin(self, turn: int) -> None:
        self._turn, self._since = turn, self._clock()

    def _mood(
        self, emotion: Emotion = _NEUTRAL, gestures: tuple[str, ...] = ()
    ) -> list[ConverseMessage]:
        """The mood of the reply, once: a later one would come after words or sound."""
        if self._mood_shown:
            return []
        self._mood_shown = True
        shown: list[ConverseMessage] = [
            EmotionOut(emotion=emotion.name, intensity=emotion.intensity, turn_id=self._turn)
        ]
        if gestures:
            shown.append(GesturesOut(names=list(gestures), turn_id=self._turn))
        return shown

    def _sound(self, output: outputs.ReplyAudio) -> list[ConverseMessage]:
        told = self._mood()
        if not self._chunks:
            waited = round(1000 * (self._clock() - self._since))
            told.append(FirstAudioOut(first_audio_ms=waited, turn_id=self._turn))
        told.append(
            AudioOut(
                data=b64encode(to_bytes(output.audio.samples)).decode(),
                sample_rate=output.audio.sample_rate,
                chunk_index=self._chunks,
                turn_id=self._turn,
            )
        )
        self._chunks += 1
        return told

    def _problem(self, problem: outputs.Problem) -> list[ConverseMessage]:
        if problem.turn is not None and problem.turn <= self._over:
            return []
        message = _MESSAGES.get(problem.code, problem.message)
        if problem.code == "not_understood" and problem.turn is None:
            message = "No audio received"  # an utterance was ended that had not begun
        error = ErrorOut(
            message=message, code=problem.code, detail=problem.message, turn_id=problem.turn
        )
        return [error]
