"""A mouth on another server: any that speaks OpenAI's `POST /audio/speech`.

OpenAI's own, Kokoro-FastAPI, Orpheus-FastAPI, speaches, vLLM-Omni, LocalAI.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import openai

from brain.audio.pcm import Audio
from brain.engines.ports import Emotion, EngineError, EngineFailed, EngineInfo, Ticket
from brain.engines.remote.calls import Calls
from brain.engines.remote.openai_address import OpenAIServer, shown
from brain.engines.remote.openai_errors import engine_error, words
from brain.engines.remote.openai_server import headers, reached
from brain.engines.tts.prosody import prosody
from brain.engines.tts.sound_stream import SoundStream
from brain.engines.tts.speakable import pieces, readable

_log = logging.getLogger(__name__)

_CHUNK_BYTES = 4_096
"""About 85 ms of PCM at 24 kHz."""


@dataclass(frozen=True)
class OpenAIVoices(OpenAIServer):
    """Where the server is, and the voices that it has, by its names for them; the first is the
    default."""

    voices: tuple[str, ...] = ("alloy",)


@dataclass(frozen=True)
class _Dialect:
    """What a server takes: PCM, or WAV alone; and whether the pace may be chosen."""

    form: Literal["pcm", "wav"] = "pcm"
    speed: bool = True


class OpenAISynthesizer:
    """A `Synthesizer`. Made by `load`. An emotion is told by the pace, all that the API knows."""

    def __init__(self, options: OpenAIVoices, client: openai.AsyncOpenAI, model: str) -> None:
        self._options = options
        self._client = client
        self._model = model
        self._dialect = _Dialect()
        self._calls = Calls("The voice is closed.")

    @classmethod
    async def load(cls, options: OpenAIVoices) -> OpenAISynthesizer:
        """Reach the server and find the model there. Raises `EngineUnavailable`."""
        client, model = await reached(options)
        return cls(options, client, model)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("openai", self._model, "remote")

    @property
    def voices(self) -> tuple[str, ...]:
        """Those of the settings: the API has no list of them."""
        return self._options.voices

    def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`. A long text is asked for piece by piece."""
        named = voice if voice in self.voices else self.voices[0]
        speed = prosody(emotion).rate

        async def read(give: Callable[[Audio], None]) -> None:
            for piece in pieces(readable(text)):
                await self._say(piece, named or "", speed, give)

        return self._calls.stream(ticket, read)

    async def close(self) -> None:
        """As `Synthesizer.close`. What is being said fails."""
        await self._calls.close()
        await self._client.close()

    async def _say(
        self, piece: str, voice: str, speed: float, give: Callable[[Audio], None]
    ) -> None:
        """One piece, in the way that this server takes; what it takes is remembered. Raises
        `EngineError`."""
        begun = False

        def given(audio: Audio) -> None:
            nonlocal begun
            begun = True
            give(audio)

        dialect = self._dialect
        while True:
            asked: dict[str, Any] = {
                "model": self._model,
                "input": piece,
                "voice": voice,
                "response_format": dialect.form,
            }
            if dialect.speed and speed != 1.0:
                asked["speed"] = round(speed, 3)
            try:
                await self._ask(asked, given)
            except openai.APIStatusError as error:
                other = _easier(dialect, asked, error.status_code, words(error))
                if other is None or begun:
                    raise self._failed(error, piece, begun=begun) from error
                dialect = other
            except EngineError:
                raise
            except Exception as error:
                # (The client lets its HTTP library's own through.)
                raise self._failed(error, piece, begun=begun) from error
            else:
                if dialect != self._dialect:
                    _log.info("%s takes %s.", shown(self._options.url), dialect)
                    self._dialect = dialect
                return

    async def _ask(self, asked: dict[str, Any], give: Callable[[Audio], None]) -> None:
        async with self._client.audio.speech.with_streaming_response.create(
            **asked, extra_headers=headers(self._options)
        ) as answer:
            try:
                sound = SoundStream(answer.headers.get("content-type", ""))
                async for data in answer.iter_bytes(_CHUNK_BYTES):
                    for block in sound.feed(data):
                        give(block)
                for block in sound.finish():
                    give(block)
            except ValueError as error:
                raise EngineFailed(
                    f"The server at {shown(self._options.url)} sent what can't be played: {error}."
                ) from error

    def _failed(self, error: Exception, piece: str, *, begun: bool) -> EngineError:
        return engine_error(error, self._options, model=self._model, begun=begun, private=[piece])


def _easier(dialect: _Dialect, asked: dict[str, Any], status: int, said: str) -> _Dialect | None:
    """What to try after a refusal; None: nothing that could be said otherwise was the matter."""
    said = said.lower()
    if "speed" in asked and "speed" in said:
        return replace(dialect, speed=False)
    if dialect.form == "pcm" and ("pcm" in said or "format" in said) and status < 503:
        return replace(dialect, form="wav")
    return None
