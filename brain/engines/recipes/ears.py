"""The ears: the Whisper model of the settings, and the embedded one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brain.engines.admission import AdmissionLimits
from brain.engines.ladder import GivenUp, Progress, Rung
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneTranscriber
from brain.engines.ports import Ticket, Transcriber
from brain.engines.recipes.building import (
    EMBEDDED,
    GRACE_S,
    POCKET,
    WARM_UP,
    imported,
    threads_of,
    warm,
)
from brain.engines.recipes.pools import pool_rung
from brain.models.place import located_ears, models_dir
from brain.settings import Settings
from brain.settings.values import listed

if TYPE_CHECKING:
    from brain.engines.remote.openai_address import OpenAIServer
    from brain.engines.remote.pool import Pool
    from brain.engines.stt.whisper import WhisperOptions

_POCKET_LOGPROB = -0.3
"""Heard rightly, the pocket ears are at -0.02 on average and -0.17 at worst in noise at 15 dB; what
they hear in music-like sound is below."""


def transcriber_rungs(settings: Settings) -> list[Rung[Transcriber]]:
    """The ears: the Whisper model of the settings, or servers elsewhere; and below the embedded one
    as it runs anywhere."""

    def wanted() -> WhisperOptions:
        return whisper_options(settings, settings.stt_model_size)

    anywhere = replace(whisper_options(settings, EMBEDDED), device="cpu", compute_type="int8")
    rungs = [_ears(settings, lambda: anywhere, embedded=True)]
    if settings.stt_backend == "openai":
        rungs.insert(0, _openai(settings))
    elif wanted() != anywhere:
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


def _openai(settings: Settings) -> Rung[Transcriber]:
    patience = settings.stt_timeout_s

    async def load(server: OpenAIServer) -> Transcriber:
        from brain.engines.stt.openai import OpenAITranscriber

        return await OpenAITranscriber.load(server)

    def as_one(pool: Pool[Transcriber], given_up: GivenUp) -> Transcriber:
        from brain.engines.remote.pool_ports import PoolTranscriber

        admission = AdmissionLimits(
            inflight=settings.stt_openai_max_inflight,
            speculates_alone=settings.speculation == "idle",
        )
        limits = LaneLimits(admission, first_s=patience, next_s=patience, grace_s=GRACE_S)
        return LaneTranscriber(Lane(PoolTranscriber(pool), limits, given_up=given_up))

    return pool_rung(
        lambda: _openai_servers(settings), load, check_transcriber, as_one, first_s=patience
    )


async def _openai_servers(settings: Settings) -> list[OpenAIServer]:
    await imported("brain.engines.stt.openai", "openai", "remote")
    from brain.engines.remote.openai_address import OpenAIServer

    own = settings.stt_openai_url
    return [
        OpenAIServer(
            url,
            settings.stt_openai_model,
            settings.openai_api_key.get_secret_value(),
            url_name="STT_OPENAI_URL" if own else "OPENAI_URL",
            model_name="STT_OPENAI_MODEL",
        )
        for url in listed(own or settings.openai_url)
    ]


async def check_transcriber(engine: Transcriber) -> None:
    """A second of noise through the model: it is loaded, warm, and raises nothing."""
    noise = np.random.default_rng(0).standard_normal(16000) * 0.05
    ticket = Ticket(WARM_UP)
    await engine.transcribe(noise.astype(np.float32), language="en", ticket=ticket)
