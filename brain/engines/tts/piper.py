"""Piper voices: the embedded one and any other ONNX voice with its JSON beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from piper import PiperVoice
from piper.config import PiperConfig, SynthesisConfig

from brain.audio.pcm import Audio, to_int16
from brain.engines.one_line import one_line
from brain.engines.onnx_network import Network
from brain.engines.ports import (
    CancelToken,
    Emotion,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Ticket,
)
from brain.engines.tts.blocks import blocks_of, faded, in_blocks
from brain.engines.tts.prosody import prosody
from brain.engines.tts.speakable import pieces, readable
from brain.engines.worker import Worker

_MOST_PHONEMES = 240
"""Phonemes in one call of the network, about 16 s: bounds memory and the time to a cancel."""


class PiperSynthesizer:
    """A Piper voice on a thread of its own.

    The loudness is the network's own: piper's normalising of every sentence to full scale would
    make "Hm." as loud as a shout. `emotion` changes the pace; the network has no say in the pitch.
    """

    def __init__(self, voice: Path, *, threads: int = 1, name: str | None = None) -> None:
        """Load `voice` (`*.onnx`, with `*.onnx.json` beside it); blocks for up to seconds.

        `threads`: as `Network`. `name` is what robots call the voice (default: the file's). Raises
        `EngineUnavailable`.
        """
        config = _config(voice)
        self._network = Network(voice, advice="try another PIPER_VOICE", threads=threads)
        self._voice = PiperVoice(session=self._network, config=config)
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

    def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`: a sentence is made at once, and given out in 100 ms blocks."""
        config = SynthesisConfig(
            speaker_id=self._speakers.get(voice or ""),
            length_scale=self._voice.config.length_scale / prosody(emotion).rate,
        )
        return blocks_of(self._worker, ticket, lambda token: self._say(text, config, token))

    async def close(self) -> None:
        """As `Synthesizer.close`. It ends a run of the network that is under way."""
        self._network.stop()
        await self._worker.close(self._network.free)

    def _say(self, text: str, config: SynthesisConfig, token: CancelToken) -> Iterator[Audio]:
        """Blocks of sound, made on the worker's thread."""
        self._network.under(token)
        for phonemes in self._phonemes(text, token):
            token.raise_if_cancelled()
            samples = self._sound(phonemes, config)
            yield from in_blocks(samples, self._voice.config.sample_rate, token)

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
