"""The ears."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import BaseModel

from brain.settings.fields import setting
from brain.settings.values import ComputeType, Device, FileOrName

_ears = partial(setting, group="Ears")


class EarSettings(BaseModel):
    """Part of `Settings`."""

    stt_backend: Literal["whisper"] = _ears("whisper", "What hears: faster-whisper")
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
