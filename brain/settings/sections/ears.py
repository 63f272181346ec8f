"""The ears."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel

from brain.settings.fields import setting
from brain.settings.values import URLS_OR_NONE, ComputeType, Device, FileOrName, SttBackend

_ears = partial(setting, group="Ears")
_openai = partial(setting, group="Ears: OpenAI-compatible server")


class EarSettings(BaseModel):
    """Part of `Settings`."""

    stt_backend: SttBackend = _ears(
        "whisper", "What hears: faster-whisper, or an OpenAI-compatible server"
    )
    stt_model_size: FileOrName = _ears(
        "base.en",
        "Whisper model: a name, fetched once if MODELS_DIR lacks it, or a folder (pocket: the"
        " embedded one)",
        min_length=1,
    )
    stt_device: Device = _ears("cpu", "What the ears run on")
    stt_compute_type: ComputeType = _ears(
        "int8", "Number format that the ears compute in, as CTranslate2 names them"
    )
    stt_timeout_s: float = _ears(20.0, "Longest wait for a transcript", unit="s", ge=0.1, le=600)
    stt_openai_url: str = _openai(
        "", "Base URL of a server that hears, or of several (empty: OPENAI_URL)", **URLS_OR_NONE
    )
    stt_openai_model: str = _openai("", "Model name there (empty: the first that each lists)")
    stt_openai_max_inflight: int = _openai(
        8, "Utterances that those servers are given at once", ge=1, le=1024
    )
