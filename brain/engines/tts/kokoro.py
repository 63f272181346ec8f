"""Kokoro, of the StyleTTS 2 family: one network, many voices and languages, run by kokoro-onnx.

Its phonemes are espeak-ng's, through phonemizer, which loads a copy of the library of its own for
each language: it shares nothing with `espeak.py` or with Piper. A copy stays while the process
lives.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from kokoro_onnx import Kokoro
from kokoro_onnx.chunker import split_phonemes
from kokoro_onnx.config import SAMPLE_RATE
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from brain.audio.pcm import Audio, to_int16
from brain.engines.one_line import one_line
from brain.engines.onnx_network import Network, cuda_there
from brain.engines.ports import (
    CancelToken,
    Device,
    Emotion,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Ticket,
)
from brain.engines.room import room_for
from brain.engines.tts.blocks import blocks_of, faded, in_blocks
from brain.engines.tts.prosody import prosody
from brain.engines.tts.speakable import pieces, readable
from brain.engines.worker import Worker

_log = logging.getLogger(__name__)

# As it is imported, kokoro-onnx sets itself to the LOG_LEVEL of the environment and to a handler of
# its own; at "debug" it tells every phoneme. Both tell of foreign words at each of them.
logging.getLogger("kokoro_onnx").handlers.clear()
for _name in ("kokoro_onnx", "phonemizer"):
    logging.getLogger(_name).setLevel(logging.ERROR)

_PIECE = 100
"""Characters said in one run of the network: about 6 s of sound, which on one core take nearly as
long to compute and 0.8 GB while they are (measured on a network of its size). Nothing is heard
before a run is over, and so no run may be much longer than the one before. Much shorter ones are
said worse, kokoro-onnx warns."""
_MOST_PHONEMES = 240
"""In one run, where a text is spelled out: the network takes 510."""

_LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "j": "ja",
        "p": "pt-br", "z": "cmn",
    }
)  # fmt: skip
"""espeak-ng's languages, by the first letter of a voice's name."""

# What the text asks for where a piece ends: kokoro-onnx takes away the silence that the network
# makes there. (Its own lengths, in s.)
_PAUSES_S: Mapping[str, float] = MappingProxyType(
    dict.fromkeys(".!?…", 0.25) | dict.fromkeys(",;:", 0.1)
)

_PARENTHESIS = re.compile(r"\s*[()]+\s*")
_LONE_COMMA = re.compile(r"^, |, (?=[.,!?;:…])|, $")
_LANGUAGE_FLAG = re.compile(r"\([a-z]+\)")


@dataclass(frozen=True)
class KokoroOptions:
    """`model`: the network, an ONNX file. `voices`: its voices, an npz file with a style for each
    length of text, float32 [n, 1, width], by the voice's name. `voice` is the default one.

    `device` "cpu" or "cuda"; `threads` of onnxruntime's pool.
    """

    model: Path
    voices: Path
    voice: str = "af_heart"
    device: str = "cpu"
    threads: int = 1


class KokoroSynthesizer:
    """A `Synthesizer`. An emotion changes the pace; the network has no say in the pitch."""

    def __init__(self, options: KokoroOptions) -> None:
        """Load both files; blocks for up to seconds. Raises `EngineUnavailable`.

        A default voice that the file lacks is its first one.
        """
        for name, file in (("MODEL", options.model), ("VOICES", options.voices)):
            if not file.is_file():
                raise EngineUnavailable(
                    f"There is no file {file}: KOKORO_{name}_PATH is one of Kokoro's two files; "
                    "brain models pull kokoro fetches them."
                )
        size = options.model.stat().st_size
        room_for(size, f"The voice {options.model}", "choose TTS_BACKEND=piper")
        self._options = options
        self._network = Network(
            options.model,
            advice="see brain models verify",
            threads=options.threads,
            cuda=options.device == "cuda" and cuda_there(),
        )
        self._kokoro, self._file = _opened(self._network, options)
        names = sorted(self._file.files)
        default = options.voice if options.voice in names else names[0]
        self._voices = (default, *(name for name in names if name != default))
        self._styles: dict[str, NDArray[np.float32]] = {}
        try:
            self._style(default)
        except EngineFailed as error:
            raise EngineUnavailable(str(error)) from error
        device: Device = "gpu" if self._network.on_gpu else "cpu"
        self._info = EngineInfo("kokoro", options.model.name.removesuffix(".onnx"), device)
        self._worker = Worker("kokoro")
        if default != options.voice:
            _log.warning("There is no KOKORO_VOICE %s: %s speaks.", options.voice, default)
        if options.device == "cuda" and device == "cpu":
            _log.warning(
                "KOKORO_DEVICE=cuda, but onnxruntime finds no CUDA here: Kokoro computes on the "
                "CPU. Its GPU build is the package onnxruntime-gpu."
            )

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def voices(self) -> tuple[str, ...]:
        return self._voices

    def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`: a piece is made at once, and given out in 100 ms blocks."""
        chosen = voice if voice in self._voices else self._voices[0]
        speed = prosody(emotion).rate
        return blocks_of(
            self._worker, ticket, lambda token: self._say(text, str(chosen), speed, token)
        )

    async def close(self) -> None:
        """As `Synthesizer.close`. It ends a run of the network that is under way."""
        self._network.stop()
        await self._worker.close(self._free)

    def _free(self) -> None:
        self._network.free()
        self._file.close()
        self._styles.clear()

    def _say(self, text: str, voice: str, speed: float, token: CancelToken) -> Iterator[Audio]:
        """Blocks of sound, made on the worker's thread."""
        self._network.under(token)
        style = self._style(voice)
        language = _LANGUAGES.get(voice[:1], _LANGUAGES["a"])
        for piece in pieces(readable(text), _PIECE):
            token.raise_if_cancelled()
            for phonemes in self._phonemes(piece, language):
                token.raise_if_cancelled()
                yield from in_blocks(self._sound(phonemes, style, speed), SAMPLE_RATE, token)

    def _phonemes(self, piece: str, language: str) -> list[str]:
        """Of one run of the network each; none for what the language has no sound for."""
        # In phonemes a parenthesis is where espeak-ng says that it goes over to another language.
        plain = _LONE_COMMA.sub("", _PARENTHESIS.sub(", ", piece))
        try:
            phonemes = self._kokoro.tokenizer.phonemize(plain, language)
        except Exception as error:  # noqa: BLE001 - phonemizer's errors have no common root
            # (There may be somebody's words in this error, which would be logged.)
            kind = type(error).__name__
            raise EngineFailed(f"Kokoro can't read a piece of text: {kind}") from None
        runs = split_phonemes(_LANGUAGE_FLAG.sub("", phonemes), _MOST_PHONEMES)
        return [run for run in runs if any(sign.isalpha() for sign in run)]

    def _sound(self, phonemes: str, style: NDArray[np.float32], speed: float) -> NDArray[np.int16]:
        try:
            made, _ = self._kokoro.create(phonemes, style, speed, is_phonemes=True)
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001 - it has no errors of its own
            kind = type(error).__name__  # (as above)
            raise EngineFailed(f"Kokoro can't say a piece of text: {kind}") from None
        sound = faded(np.asarray(made, np.float32), SAMPLE_RATE)
        if not len(sound):
            return np.zeros(0, np.int16)
        pause = np.zeros(round(_PAUSES_S.get(phonemes[-1], 0.0) * SAMPLE_RATE), np.float32)
        return to_int16(np.concatenate([sound, pause]))

    def _style(self, voice: str) -> NDArray[np.float32]:
        """float32 [n, 1, width]; read from its file when it is first asked for."""
        if voice not in self._styles:
            file = self._options.voices
            try:
                read = np.asarray(self._file[voice], np.float32)
                self._styles[voice] = read.reshape(max(len(read), 1), 1, self._width())
            except Exception as error:  # zipfile, zlib and numpy raise their own
                said = one_line(f"{type(error).__name__}: {error}")
                raise EngineFailed(
                    f"The voice {voice!r} in {file} can't be read: {said}"
                ) from error
        return self._styles[voice]

    def _width(self) -> int:
        """Of a style, as the network takes it."""
        [width] = [given.shape[-1] for given in self._network.get_inputs() if given.name == "style"]
        return width if isinstance(width, int) else -1


def _opened(network: Network, options: KokoroOptions) -> tuple[Kokoro, NpzFile]:
    """kokoro-onnx with this network, and its file of voices, which stays open."""
    inputs = {given.name for given in network.get_inputs()}
    if not inputs >= {"style", "speed"} or not inputs & {"tokens", "input_ids"}:
        raise EngineUnavailable(
            f"{options.model} is not Kokoro's network: it takes {', '.join(sorted(inputs))}, not "
            "tokens, style and speed."
        )
    try:
        kokoro = Kokoro.from_session(network, str(options.voices))
        # (phonemizer's copy of espeak-ng is loaded by this; it may be refused where it lies.)
        kokoro.tokenizer.phonemize("Hello.", _LANGUAGES["a"])
    except Exception as error:  # numpy, zipfile and phonemizer raise their own
        said = one_line(f"{type(error).__name__}: {error}")
        raise EngineUnavailable(f"Kokoro can't be loaded with {options.voices}: {said}") from error
    voices: object = kokoro.voices
    if not isinstance(voices, NpzFile) or not voices.files:
        raise EngineUnavailable(f"There are no voices in {options.voices}: it has to be an npz.")
    return kokoro, voices
