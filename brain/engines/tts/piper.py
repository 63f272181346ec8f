"""Piper voices: the embedded one and any other ONNX voice with its JSON beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from piper import PiperVoice
from piper.config import PiperConfig, SynthesisConfig

from brain.audio.pcm import Audio, to_int16
from brain.engines.one_line import one_line
from brain.engines.ports import (
    CancelToken,
    Emotion,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Ticket,
)
from brain.engines.tts.prosody import prosody
from brain.engines.tts.speakable import pieces, readable
from brain.engines.worker import Worker

_BLOCKS_PER_SECOND = 10
_FADE_IN_S, _FADE_OUT_S = 0.003, 0.008
_MOST_PHONEMES = 240
"""Phonemes in one call of the network, about 16 s: bounds memory and the time to a cancel."""


class _Interruptible:
    """An ONNX session, as `PiperVoice` uses it, whose run a token can end between two nodes."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._token = CancelToken()

    def under(self, token: CancelToken) -> None:
        """From now on `token` ends the runs."""
        self._token = token

    def free(self) -> None:
        """Let go of the network, and its memory."""
        self._session = None

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, Any]) -> Any:
        if self._session is None:
            raise EngineUnavailable("The voice is closed.")
        options = onnxruntime.RunOptions()

        def terminate() -> None:
            options.terminate = True

        self._token.on_cancel(terminate)
        try:
            return self._session.run(outputs, feeds, options)
        except Exception as error:  # onnxruntime's errors have no common root of their own
            self._token.raise_if_cancelled()
            raise EngineFailed(f"the voice failed: {error}; try another PIPER_VOICE") from error


class PiperSynthesizer:
    """A Piper voice on a thread of its own.

    The loudness is the network's own: piper's normalising of every sentence to full scale would
    make "Hm." as loud as a shout. `emotion` changes the pace; the network has no say in the pitch.
    """

    def __init__(self, voice: Path, *, threads: int = 1, name: str | None = None) -> None:
        """Load `voice` (`*.onnx`, with `*.onnx.json` beside it); blocks for up to seconds.

        `threads` is the budget of onnxruntime's pool, which doesn't spin when idle. `name` is what
        robots call the voice (default: the file's). Raises `EngineUnavailable`.
        """
        config = _config(voice)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False  # the arena keeps the longest sentence's memory
        try:
            session = onnxruntime.InferenceSession(
                str(voice), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common root of their own
            said = one_line(str(error))
            raise EngineUnavailable(f"{voice} is not a voice that loads: {said}") from error
        self._session = _Interruptible(session)
        self._voice = PiperVoice(session=self._session, config=config)
        self._worker = Worker("piper")
        self._info = EngineInfo("piper", name or voice.name.removesuffix(".onnx"), "cpu")
        self._speakers = dict(sorted(config.speaker_id_map.items(), key=lambda item: item[1]))

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def voices(self) -> tuple[str, ...]:
        """The speakers of the voice, or its own name if it has but one."""
        return tuple(self._speakers) or (self._info.model,)

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`: a sentence is made at once, and given out in 100 ms blocks."""
        ticket.cancel.raise_if_cancelled()
        token = CancelToken()
        ticket.cancel.on_cancel(token.cancel)
        config = SynthesisConfig(
            speaker_id=self._speakers.get(voice or ""),
            length_scale=self._voice.config.length_scale / prosody(emotion).rate,
        )
        try:
            async with aclosing(
                self._worker.iterate(lambda: self._say(text, config, token))
            ) as blocks:
                async for block in blocks:
                    ticket.cancel.raise_if_cancelled()
                    yield block
        finally:
            token.cancel()

    async def close(self) -> None:
        """As `Synthesizer.close`. A run of the network that is under way is finished first."""
        await self._worker.close(self._session.free)

    def _say(self, text: str, config: SynthesisConfig, token: CancelToken) -> Iterator[Audio]:
        """Blocks of sound, made on the worker's thread."""
        self._session.under(token)
        rate = self._voice.config.sample_rate
        step = rate // _BLOCKS_PER_SECOND
        for phonemes in self._phonemes(text, token):
            token.raise_if_cancelled()
            samples = self._sound(phonemes, config)
            for start in range(0, len(samples), step):
                token.raise_if_cancelled()
                yield Audio(samples[start : start + step], rate)

    def _phonemes(self, text: str, token: CancelToken) -> Iterator[list[str]]:
        for piece in pieces(readable(text)):
            token.raise_if_cancelled()
            try:
                sentences = self._voice.phonemize(piece)
            except Exception as error:  # its phonemisers are many and name no errors
                # (Its words aren't told: they would be logged.)
                kind = type(error).__name__
                raise EngineFailed(f"the voice can't read a piece of text: {kind}") from error
            for sentence in sentences:
                yield from shorter(sentence, _MOST_PHONEMES)

    def _sound(self, phonemes: list[str], config: SynthesisConfig) -> NDArray[np.int16]:
        known = [p for p in phonemes if p in self._voice.config.phoneme_id_map]
        if not known:
            return np.zeros(0, np.int16)
        made = self._voice.phoneme_ids_to_audio(self._voice.phonemes_to_ids(known), config)
        samples = np.atleast_1d(np.asarray(made, np.float32))
        return to_int16(faded(samples, self._voice.config.sample_rate))


def shorter(phonemes: list[str], most: int) -> Iterator[list[str]]:
    """Cut one sentence into runs of at most `most` phonemes, after a space if there is one."""
    rest = phonemes
    while len(rest) > most:
        spaces = [i for i in range(most // 3, most) if rest[i] == " "]
        cut = spaces[-1] + 1 if spaces else most
        yield rest[:cut]
        rest = rest[cut:]
    if rest:
        yield rest


def faded(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """`samples` out of silence and back to it, so that clauses join without a click.

    3 ms in, 8 ms out; what isn't a number becomes silence.
    """
    sound = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).astype(np.float32)
    rise = min(round(_FADE_IN_S * rate), len(sound) // 2)
    fall = min(round(_FADE_OUT_S * rate), len(sound) // 2)
    if rise:
        sound[:rise] *= np.linspace(0.0, 1.0, rise, endpoint=False, dtype=np.float32)
    if fall:
        sound[-fall:] *= np.linspace(0.0, 1.0, fall, endpoint=False, dtype=np.float32)[::-1]
    return sound


def _config(voice: Path) -> PiperConfig:
    beside = voice.with_name(voice.name + ".json")
    for file in (voice, beside):
        if not file.is_file():
            raise EngineUnavailable(
                f"There is no file {file}: PIPER_VOICE is the path of a voice's .onnx file, with "
                "its .onnx.json beside it; brain models pull fetches those of the profile."
            )
    try:
        return PiperConfig.from_dict(json.loads(beside.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = one_line(f"{type(error).__name__}: {error}")
        raise EngineUnavailable(f"{beside} is not a Piper voice's JSON: {said}") from error
