"""The mouth on servers elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brain.engines.ladder import GivenUp, Rung
from brain.engines.ports import Synthesizer
from brain.engines.recipes.building import imported
from brain.engines.recipes.pools import pool_rung
from brain.settings import Settings
from brain.settings.values import listed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from brain.engines.remote.pool import Pool
    from brain.engines.tts.openai import OpenAIVoices


def openai_rung(
    settings: Settings,
    check: Callable[[Synthesizer], Awaitable[None]],
    in_its_lane: Callable[[Synthesizer, GivenUp], Synthesizer],
) -> Rung[Synthesizer]:
    """Those of TTS_OPENAI_URL. `check` says a word; `in_its_lane` puts the engine behind its
    lane."""

    async def load(options: OpenAIVoices) -> Synthesizer:
        from brain.engines.tts.openai import OpenAISynthesizer

        return await OpenAISynthesizer.load(options)

    def as_one(pool: Pool[Synthesizer], given_up: GivenUp) -> Synthesizer:
        from brain.engines.remote.pool_ports import PoolSynthesizer

        return in_its_lane(PoolSynthesizer(pool), given_up)

    return pool_rung(
        lambda: _servers(settings), load, check, as_one, first_s=settings.tts_timeout_s
    )


async def _servers(settings: Settings) -> list[OpenAIVoices]:
    await imported("brain.engines.tts.openai", "openai", "remote")
    from brain.engines.tts.openai import OpenAIVoices

    own = settings.tts_openai_url
    return [
        OpenAIVoices(
            url,
            settings.tts_openai_model,
            settings.openai_api_key.get_secret_value(),
            listed(settings.tts_openai_voice),
            url_name="TTS_OPENAI_URL" if own else "OPENAI_URL",
            model_name="TTS_OPENAI_MODEL",
        )
        for url in listed(own or settings.openai_url)
    ]
