"""The ears: the Whisper model of the settings, and the embedded one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brain.engines.ladder import GivenUp, Progress, Rung
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneTranscriber
from brain.engines.ports import Ticket, Transcriber
from brain.engines.recipes.building import EMBEDDED, POCKET, WARM_UP, threads_of, warm
from brain.models.place import located_ears, models_dir
from brain.settings import Settings

if TYPE_CHECKING:
    from brain.engines.stt.whisper import WhisperOptions

_POCKET_LOGPROB = -0.3
"""Heard rightly, the pocket ears are at -0.02 on average and -0.17 at worst in noise at 15 dB; what
they hear in music-like sound is below."""


def transcriber_rungs(settings: Settings) -> list[Rung[Transcriber]]:
    """The ears: the Whisper model of the settings, and the embedded one as it runs anywhere."""

    def wanted() -> WhisperOptions:
        return whisper_options(settings, settings.stt_model_size)

    anywhere = replace(whisper_options(settings, EMBEDDED), device="cpu", compute_type="int8")
    rungs = [_ears(settings, lambda: anywhere, embedded=True)]
    if wanted() != anywhere:
        rungs.insert(0, _ears(settings, wanted))
    return rungs


def whisper_options(settings: Settings, model: str) -> WhisperOptions:
    """How `model` is run: a name, a folder, or "pocket". A name in MODELS_DIR is that folder."""
    from brain.engines.stt.whisper import WhisperOptions

    if model != EMBEDDED:
        return WhisperOptions(
            located_ears(model, models_dir(settings.models_dir)),
            settings.stt_device,
            settings.stt_compute_type,
            threads_of(settings),
            hub_token=settings.hf_token.get_secret_value(),
        )
    return WhisperOptions(
        str(POCKET / "ears"),
        settings.stt_device,
        settings.stt_compute_type,
        name=EMBEDDED,
        # Trained on sounds of their own length as well; what they know they know for sure.
        pads=False,
        least_logprob=_POCKET_LOGPROB,
    )


def _ears(
    settings: Settings, options: Callable[[], WhisperOptions], *, embedded: bool = False
) -> Rung[Transcriber]:
    """`options` are asked for at each building: a model may have come into MODELS_DIR since."""

    def files() -> tuple[Path, Path]:
        folder = Path(options().model)
        return folder / "model.bin", folder / "config.json"

    progress = Progress()

    async def build(given_up: GivenUp) -> Transcriber:
        from brain.engines.stt.whisper import WhisperTranscriber

        chosen = options()
        progress(Path(chosen.model).name)
        engine: Transcriber = await WhisperTranscriber.load(chosen)
        await warm(engine, check_transcriber)
        # A call of Whisper can't be ended halfway: to let go may take as long as to answer.
        patience = settings.stt_timeout_s
        limits = LaneLimits(first_s=patience, next_s=patience, grace_s=patience)
        return LaneTranscriber(Lane(engine, limits, given_up=given_up))

    return Rung("whisper", build, check_transcriber, embedded, files=files, progress=progress)


async def check_transcriber(engine: Transcriber) -> None:
    """A second of noise through the model: it is loaded, warm, and raises nothing."""
    noise = np.random.default_rng(0).standard_normal(16000) * 0.05
    ticket = Ticket(WARM_UP)
    await engine.transcribe(noise.astype(np.float32), language="en", ticket=ticket)
