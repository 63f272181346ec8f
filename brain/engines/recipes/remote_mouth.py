"""The mouth on servers elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brain.engines.ladder import GivenUp, Rung
from brain.engines.ports import Synthesizer
from brain.engines.recipes.building import imported
from brain.settings import Settings
from brain.settings.values import listed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from brain.engines.tts.openai import OpenAIVoices


def openai_rung(
    settings: Settings,
    check: Callable[[Synthesizer], Awaitable[None]],
    in_its_lane: Callable[[Synthesizer, GivenUp], Synthesizer],
) -> Rung[Synthesizer]:
    """Those of TTS_OPENAI_URL. `check` says a word; `in_its_lane` puts the engine behind its
    lane."""

    async def build(given_up: GivenUp) -> Synthesizer:
        servers = await _servers(settings)
        from brain.engines.recipes.remote import pool_of
        from brain.engines.remote.pool_ports import PoolSynthesizer
        from brain.engines.tts.openai import OpenAISynthesizer

        async def load(options: OpenAIVoices) -> Synthesizer:
            return await OpenAISynthesizer.load(options)

        pool = await pool_of(servers, load, check, first_s=settings.tts_timeout_s)
        return in_its_lane(PoolSynthesizer(pool), given_up)

    async def probe() -> None:
        servers = await _servers(settings)
        from brain.engines.recipes.remote import one_is_there

        await one_is_there(servers)

    return Rung("openai", build, check, probe=probe)


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
