"""Ears in this process: Whisper models, run by faster-whisper (CTranslate2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.engines.one_line import one_line
from brain.engines.ports import (
    CancelToken,
    Device,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Ticket,
    Transcript,
)
from brain.engines.room import gpu_shares_memory, room_for
from brain.engines.stt.hearing_gate import SHORTEST_S, SILENCE_DBFS, believable, cleaned, loudness
from brain.engines.worker import Worker

_RATE = 16000
# A bound on how long a model that loops may loop: nobody says more tokens a second.
_TOKENS_PER_SECOND, _TOKENS_MORE, _MOST_TOKENS = 12, 24, 220
# Mel frames: 10 ms each, 30 s a window.
_FRAMES_PER_S, _WINDOW, _FRAMES_AFTER = 100, 3000, 100


@dataclass(frozen=True)
class WhisperOptions:
    """How a model is run. `model`: a folder in CTranslate2 form, or a name on the model hub.

    `device` "cpu" or "cuda"; `compute_type` as CTranslate2 names them. `name` is for people
    (default: the model's).

    `pads`: a sound is padded to 30 s, which is what Whisper was trained on and most of its cost; a
    model that was trained on short windows too is six times as fast without. `least_logprob`: a
    text less sure than this (natural log a token) is not believed; a small repertoire is heard
    with much more certainty than the world's words. `hub_token` is shown to the hub, for a model
    whose repository is gated (empty: none).
    """

    model: str
    device: str = "cpu"
    compute_type: str = "int8"
    threads: int = 1
    name: str = ""
    pads: bool = True
    least_logprob: float = -math.inf
    hub_token: str = field(default="", repr=False)


class WhisperTranscriber:
    """A `Transcriber`. Made by `load`."""

    def __init__(self, options: WhisperOptions, worker: Worker, model: Any) -> None:
        self._options = options
        self._worker = worker
        self._model: Any = model
        # CTranslate2's own account of where it put the model, which outlives the model.
        self._device: Device = "gpu" if model.model.device == "cuda" else "cpu"
        self._closed = False
        self.gated = 0

    @classmethod
    async def load(cls, options: WhisperOptions) -> WhisperTranscriber:
        """Load the model, on a thread of its own. Raises `EngineUnavailable`.

        A name that isn't on this machine yet is fetched from the hub.
        """
        worker = Worker("ears")
        try:
            model = await worker.run(_open, options)
        except BaseException:
            await worker.close()
            raise
        return cls(options, worker, model)

    @property
    def info(self) -> EngineInfo:
        model = self._options.model
        folder = Path(model)
        name = self._options.name or (folder.name if folder.is_dir() else model)
        return EngineInfo("whisper", name, self._device)

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        """As `Transcriber.transcribe`. What was not believed is counted in `gated`."""
        if self._closed:
            raise EngineUnavailable("The ears are closed.")
        ticket.cancel.raise_if_cancelled()
        return await self._worker.run(self._hear, samples, language, ticket.cancel)

    async def close(self) -> None:
        """As `Transcriber.close`."""
        self._closed = True
        await self._worker.close(self._free)

    def _free(self) -> None:
        self._model = None

    def _raise_if_over(self, cancel: CancelToken) -> None:
        cancel.raise_if_cancelled()
        if self._closed:
            raise EngineUnavailable("The ears are closed.")

    def _hear(
        self, samples: NDArray[np.float32], language: str | None, cancel: CancelToken
    ) -> Transcript:
        """On the engine's thread. A call looks at most at 30 s of sound between two cancels.

        A language that the model doesn't know is found out by the model.
        """
        self._raise_if_over(cancel)
        if language not in self._model.supported_languages:
            language = None
        sound = cleaned(samples)
        level = loudness(sound)
        if len(sound) < SHORTEST_S * _RATE or level < SILENCE_DBFS:
            return Transcript("", language or "en")
        most = min(_MOST_TOKENS, _TOKENS_MORE + _TOKENS_PER_SECOND * len(sound) // _RATE)
        if not self._options.pads:
            self._model.frames = min(_WINDOW, len(sound) * _FRAMES_PER_S // _RATE + _FRAMES_AFTER)
        try:
            segments, about = self._model.transcribe(
                sound,
                language=language,
                beam_size=1,
                temperature=0.0,
                without_timestamps=True,
                condition_on_previous_text=False,
                max_new_tokens=most,
                # The gate below decides, with more to go by than these two.
                no_speech_threshold=None,
                compression_ratio_threshold=None,
            )
            heard = []
            for segment in segments:
                self._raise_if_over(cancel)
                heard.append(segment)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise EngineFailed(f"The ears failed: {error}.") from error
        if not heard:
            return Transcript("", about.language)
        believed = [
            segment.text.strip()
            for segment in heard
            if believable(
                segment.text,
                no_speech_prob=segment.no_speech_prob,
                avg_logprob=segment.avg_logprob,
                compression_ratio=segment.compression_ratio,
                level_dbfs=level,
            )
            and segment.avg_logprob >= self._options.least_logprob
        ]
        self.gated += len(heard) - len(believed)
        return Transcript(
            " ".join(text for text in believed if text),
            about.language,
            max(segment.no_speech_prob for segment in heard),
            min(segment.avg_logprob for segment in heard),
        )


def _open(options: WhisperOptions) -> Any:
    try:
        from faster_whisper import WhisperModel, available_models
    except ImportError as error:
        raise EngineUnavailable(
            "The package faster-whisper isn't installed: install the brain with its extra stt."
        ) from error

    class Trimmed(WhisperModel):  # type: ignore[misc]  # it has no types
        """Encodes no more than `frames` of the window, which the caller sets before each call."""

        frames = _WINDOW

        def encode(self, features: NDArray[np.float32]) -> Any:
            return super().encode(features[..., : self.frames])

    if options.device == "cuda" and not _cuda_devices():
        raise EngineUnavailable(
            "STT_DEVICE=cuda, but the ears find no CUDA device here: set STT_DEVICE=cpu, or see "
            "to the driver and to a CTranslate2 that was built with CUDA."
        )
    folder = Path(options.model)
    common = {
        "device": options.device,
        "compute_type": options.compute_type,
        "cpu_threads": options.threads,
        "use_auth_token": options.hub_token or None,
    }
    is_path = folder.is_absolute() or folder.is_dir() or options.model.startswith(".")
    if is_path and not (folder / "model.bin").is_file():
        raise EngineUnavailable(
            f"There is no Whisper model in {folder}: STT_MODEL_SIZE is a folder with a model.bin "
            "in CTranslate2 form, or the name of a model; brain models pull fetches that of the "
            "profile."
        )
    if is_path and (options.device == "cpu" or gpu_shares_memory()):
        size = (folder / "model.bin").stat().st_size
        room_for(size, f"The Whisper model {folder}", "take a smaller STT_MODEL_SIZE")
    known = available_models()
    if not is_path and "/" not in options.model and options.model not in known:
        raise EngineUnavailable(
            f"There is no Whisper model {options.model!r}: STT_MODEL_SIZE is a folder, a "
            f"repository of the hub, or one of {', '.join(known)}."
        )
    try:
        # What is here is taken as it is: a robot must start with no internet.
        return Trimmed(options.model, local_files_only=True, **common)
    except Exception as error:  # several libraries raise their own; each means "not loaded"
        if is_path:
            said = one_line(str(error))
            raise EngineUnavailable(f"The ears {folder} can't be loaded: {said}") from error
    try:
        return Trimmed(options.model, **common)
    except Exception as error:  # as above
        raise EngineUnavailable(
            f"The Whisper model {options.model!r} isn't on this machine and can't be fetched now: "
            "brain models pull fetches that of the profile, or set STT_MODEL_SIZE to a folder."
        ) from error


def _cuda_devices() -> int:
    """How many there are that this build of CTranslate2 can use."""
    import ctranslate2

    count: int = ctranslate2.get_cuda_device_count()
    return count
