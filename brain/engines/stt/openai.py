"""Ears on another server: any that speaks OpenAI's `POST /audio/transcriptions`.

vLLM with a Whisper, speaches, whisper.cpp's server, LocalAI, OpenAI's own.
"""

from __future__ import annotations

import io
import json
import logging
import math
import re
import wave
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import openai
from numpy.typing import NDArray

from brain.audio.pcm import to_bytes, to_int16
from brain.engines.llm.remote_text import valid
from brain.engines.ports import EngineError, EngineFailed, EngineInfo, Ticket, Transcript
from brain.engines.remote.calls import Calls
from brain.engines.remote.openai_address import OpenAIServer, shown
from brain.engines.remote.openai_errors import engine_error, words
from brain.engines.remote.openai_server import headers, reached
from brain.engines.stt.hearing_gate import SHORTEST_S, SILENCE_DBFS, believable, cleaned, loudness

_log = logging.getLogger(__name__)

_RATE = 16_000
_CODE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class _Dialect:
    """What a server takes: an answer with its own doubts, or the bare text; and a language."""

    form: Literal["verbose_json", "json"] = "verbose_json"
    language: bool = True


class OpenAITranscriber:
    """A `Transcriber`. Made by `load`. What was not believed is counted in `gated`."""

    def __init__(self, server: OpenAIServer, client: openai.AsyncOpenAI, model: str) -> None:
        self._server = server
        self._client = client
        self._model = model
        self._dialect = _Dialect()
        self._calls = Calls("The ears are closed.")
        self.gated = 0

    @classmethod
    async def load(cls, server: OpenAIServer) -> OpenAITranscriber:
        """Reach the server and find the model there. Raises `EngineUnavailable`."""
        client, model = await reached(server)
        return cls(server, client, model)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("openai", self._model, "remote")

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        """As `Transcriber.transcribe`. Silence isn't sent."""

        async def read(give: Callable[[Transcript], None]) -> None:
            give(await self._hear(samples, _code(language)))

        async with aclosing(self._calls.stream(ticket, read)) as heard:
            async for transcript in heard:
                return transcript
        raise EngineFailed("The ears gave nothing.")

    async def close(self) -> None:
        """As `Transcriber.close`. What is being heard fails."""
        await self._calls.close()
        await self._client.close()

    async def _hear(self, samples: NDArray[np.float32], language: str) -> Transcript:
        sound = cleaned(samples)
        level = loudness(sound)
        if len(sound) < SHORTEST_S * _RATE or level < SILENCE_DBFS:
            return Transcript("", language or "en")
        answer = await self._answer(_wav(sound), language)
        said, sure = _read(answer), _sureness(answer)
        believed = [
            text.strip() for text, doubts in said if believable(text, level_dbfs=level, **doubts)
        ]
        self.gated += len(said) - len(believed)
        told = _code(answer.get("language"))
        return Transcript(" ".join(filter(None, believed)), language or told or "en", *sure)

    async def _answer(self, wav: bytes, language: str) -> dict[str, Any]:
        """What the server says, asked in the way that it takes, which is remembered."""
        dialect = self._dialect
        while True:
            asked: dict[str, Any] = {"model": self._model, "response_format": dialect.form}
            if language and dialect.language:
                asked["language"] = language
            try:
                answer = await self._client.audio.transcriptions.with_raw_response.create(
                    file=("speech.wav", wav, "audio/wav"),
                    temperature=0.0,
                    extra_headers=headers(self._server),
                    **asked,
                )
                said = json.loads(answer.text)
            except openai.APIStatusError as error:
                other = _easier(dialect, asked, error.status_code, words(error))
                if other is None:
                    raise self._failed(error) from error
                dialect = other
            except Exception as error:
                # (The client lets its HTTP library's own through.)
                raise self._failed(error) from error
            else:
                if dialect != self._dialect:
                    _log.info("%s takes %s.", shown(self._server.url), dialect)
                    self._dialect = dialect
                if not isinstance(said, dict) or not isinstance(said.get("text"), str):
                    raise EngineFailed(
                        f"The server at {shown(self._server.url)} sent no transcript: is this its "
                        "address for OpenAI's API?"
                    )
                return said

    def _failed(self, error: Exception) -> EngineError:
        return engine_error(error, self._server, model=self._model)


def _easier(dialect: _Dialect, asked: dict[str, Any], status: int, said: str) -> _Dialect | None:
    """What to try after a refusal; None: nothing that could be said otherwise was the matter."""
    said = said.lower()
    if dialect.form == "verbose_json" and ("format" in said or "verbose" in said) and status < 503:
        return replace(dialect, form="json")
    if "language" in asked and "language" in said:
        return replace(dialect, language=False)
    return None


def _wav(sound: NDArray[np.float32]) -> bytes:
    """A WAV file of int16 at 16 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE)
        out.writeframes(to_bytes(to_int16(sound)))
    return file.getvalue()


def _code(language: object) -> str:
    """A language as ISO 639 has it; empty for what is none."""
    text = language.strip().lower() if isinstance(language, str) else ""
    return text if _CODE.fullmatch(text) else ""


def _segments(answer: dict[str, Any]) -> list[dict[str, Any]]:
    found = answer.get("segments")
    listed = found if isinstance(found, list) else []
    return [one for one in listed if isinstance(one, dict) and isinstance(one.get("text"), str)]


def _read(answer: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """What was heard, each part with the server's doubts about it (NaN: it tells none)."""
    parts = _segments(answer) or [answer]
    return [
        (
            valid(part["text"]),
            {
                "no_speech_prob": _number(part, "no_speech_prob"),
                "avg_logprob": _number(part, "avg_logprob"),
                "compression_ratio": _number(part, "compression_ratio"),
            },
        )
        for part in parts
    ]


def _sureness(answer: dict[str, Any]) -> tuple[float, float]:
    """The worst `no_speech_prob` and `avg_logprob`; NaN where there is none."""
    parts = _segments(answer) or [answer]
    silent = max((_number(part, "no_speech_prob") for part in parts), default=math.nan)
    unsure = min((_number(part, "avg_logprob") for part in parts), default=math.nan)
    return min(max(silent, 0.0), 1.0) if silent == silent else silent, min(unsure, 0.0)


def _number(part: dict[str, Any], name: str) -> float:
    value = part.get(name)
    return float(value) if isinstance(value, int | float) else math.nan
