"""The mind: the model of the chosen backend, and the embedded one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from brain.engines.admission import AdmissionLimits
from brain.engines.ladder import GivenUp, Progress, Rung
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.ports import EngineUnavailable, LanguageModel, Message, Ticket
from brain.engines.recipes.building import (
    EMBEDDED,
    GRACE_S,
    POCKET,
    WARM_UP,
    imported,
    threads_of,
    warm,
)
from brain.engines.recipes.hub_models import hub_folder
from brain.engines.recipes.pools import pool_rung
from brain.models.place import located, models_dir
from brain.settings import Settings
from brain.settings.budget import excess_of_vllm
from brain.settings.values import listed

if TYPE_CHECKING:
    from brain.engines.llm.llamacpp import LlamaCppOptions
    from brain.engines.llm.ollama import OllamaOptions
    from brain.engines.llm.openai import OpenAIOptions
    from brain.engines.remote.pool import Pool

# Conversations that stay cached beside those that are under way.
_CACHED_CONVERSATIONS = 4
_POCKET_CONTEXT = 2048
"""Tokens that the pocket mind can look back, 3 KB each in its memory."""
_POCKET_CONVERSATIONS = 8
"""Of so many each has room of its own; more share that."""
_POCKET_TOKENS = 256
"""It speaks in one or two sentences; more is a runaway."""


def language_model_rungs(settings: Settings) -> list[Rung[LanguageModel]]:
    """The mind: the model of the chosen backend, and the embedded one."""
    backend = settings.llm_backend
    rungs = []
    if backend == "ollama":
        rungs.append(_ollama(settings))
    elif backend == "openai":
        rungs.append(_openai(settings))
    elif backend == "vllm":
        rungs.append(_vllm(settings))
    elif settings.llm_model_path != EMBEDDED:
        rungs.append(_mind(settings, settings.llm_model_path))
    rungs.append(_mind(settings, EMBEDDED))
    return rungs


def llamacpp_options(settings: Settings, model: str) -> LlamaCppOptions:
    """How `model` is run: a GGUF file, or "pocket". Imports llama.cpp."""
    from brain.engines.llm.llamacpp import LlamaCppOptions
    from brain.engines.llm.sampling import Sampling

    embedded = model == EMBEDDED
    eyes = "" if embedded else settings.llm_mmproj_path
    return LlamaCppOptions(
        model=_gguf(settings, model),
        name=EMBEDDED if embedded else "",
        context=pocket_context(settings) if embedded else settings.llm_context,
        sequences=_conversations(settings),
        gpu_layers=0 if embedded else settings.llm_gpu_layers,
        # Threads wait for one another by spinning: for so small a model that costs more.
        threads=1 if embedded else threads_of(settings),
        max_tokens=min(settings.llm_max_output_tokens, _POCKET_TOKENS if embedded else 1 << 30),
        sampling=Sampling(temperature=0.0 if embedded else settings.llm_temperature),
        eyes=located(eyes, models_dir(settings.models_dir)) if eyes else None,
    )


def pocket_context(settings: Settings) -> int:
    """Tokens that the embedded mind's context has room for."""
    own = _POCKET_CONTEXT * min(_conversations(settings), _POCKET_CONVERSATIONS)
    return max(settings.llm_context, own)


def _conversations(settings: Settings) -> int:
    return settings.llm_max_inflight + _CACHED_CONVERSATIONS


def _gguf(settings: Settings, model: str) -> Path:
    if model == EMBEDDED:
        return POCKET / "mind.gguf"
    return located(model, models_dir(settings.models_dir))


def _mind(settings: Settings, model: str) -> Rung[LanguageModel]:
    progress = Progress()

    async def build(given_up: GivenUp) -> LanguageModel:
        await imported("brain.engines.llm.llamacpp", "llama-cpp-python", "llm")
        from brain.engines.llm.llamacpp import LlamaCppMind

        options = llamacpp_options(settings, model)
        engine: LanguageModel = await LlamaCppMind.load(options, tell=progress)
        progress(f"{options.model.name}, warming up")
        return await _thinking(engine, settings, given_up)

    embedded = model == EMBEDDED

    def files() -> tuple[Path, ...]:
        eyes = "" if embedded else settings.llm_mmproj_path
        more = (located(eyes, models_dir(settings.models_dir)),) if eyes else ()
        return (_gguf(settings, model), *more)

    return Rung("llamacpp", build, check_language_model, embedded, files=files, progress=progress)


def _ollama(settings: Settings) -> Rung[LanguageModel]:
    progress = Progress()

    async def build(given_up: GivenUp) -> LanguageModel:
        options = await _ollama_options(settings)
        from brain.engines.llm.ollama import OllamaMind

        engine: LanguageModel = await OllamaMind.load(options, tell=progress)
        return await _thinking(engine, settings, given_up)

    async def probe() -> None:
        options = await _ollama_options(settings)
        from brain.engines.llm.ollama import probe

        await probe(options)

    return Rung("ollama", build, check_language_model, probe=probe, progress=progress)


async def _ollama_options(settings: Settings) -> OllamaOptions:
    await imported("brain.engines.llm.ollama", "ollama", "remote")
    from brain.engines.llm.ollama import OllamaOptions

    return OllamaOptions(
        url=settings.ollama_url,
        model=settings.model_name,
        temperature=settings.temperature,
        context=settings.num_ctx,
        max_tokens=settings.llm_max_output_tokens,
        plan_keep_alive=settings.plan_keep_alive,
        converse_keep_alive=settings.converse_keep_alive,
        auto_pull=settings.auto_pull_ollama_model,
        pull_timeout_s=settings.ollama_pull_timeout_s,
    )


def _openai(settings: Settings) -> Rung[LanguageModel]:
    async def load(options: OpenAIOptions) -> LanguageModel:
        from brain.engines.llm.openai import OpenAIMind

        return await OpenAIMind.load(options)

    def as_one(pool: Pool[LanguageModel], given_up: GivenUp) -> LanguageModel:
        from brain.engines.remote.pool_ports import PoolLanguageModel

        return _in_its_lane(PoolLanguageModel(pool), settings, given_up)

    return pool_rung(
        lambda: _openai_options(settings),
        load,
        check_language_model,
        as_one,
        first_s=settings.llm_timeout_s,
        warms=settings.warmup_llm,
        sticks=True,
    )


async def _openai_options(settings: Settings) -> list[OpenAIOptions]:
    await imported("brain.engines.llm.openai", "openai", "remote")
    from brain.engines.llm.openai import OpenAIOptions

    return [
        OpenAIOptions(
            url=url,
            model=settings.openai_model,
            api_key=settings.openai_api_key.get_secret_value(),
            temperature=settings.llm_temperature,
            max_tokens=settings.llm_max_output_tokens,
        )
        for url in listed(settings.openai_url)
    ]


def _vllm(settings: Settings) -> Rung[LanguageModel]:
    progress = Progress()
    before: list[LanguageModel] = []

    async def build(given_up: GivenUp) -> LanguageModel:
        if over := excess_of_vllm(settings):
            raise EngineUnavailable(f"{over}.")
        while before:  # Until it is closed, its share of the GPU is taken.
            await before[-1].close()
            before.pop()
        progress("importing vLLM")
        await imported("brain.engines.llm.vllm", "vllm", "vllm (Python 3.11 or later)")
        from brain.engines.llm.vllm import VllmMind
        from brain.engines.recipes.vllm import vllm_options

        options = await asyncio.to_thread(vllm_options, settings)
        engine: LanguageModel = await VllmMind.load(options, tell=progress, died=given_up.died)
        before.append(engine)
        progress(f"{options.name}, warming up")
        return await _thinking(engine, settings, given_up, settings.vllm_timeout_s)

    def files() -> tuple[Path, ...]:
        folder = hub_folder(settings.vllm_model_name, settings.models_dir)
        return (folder / "config.json",)

    return Rung("vllm", build, check_language_model, files=files, progress=progress)


async def _thinking(
    engine: LanguageModel, settings: Settings, given_up: GivenUp, patience_s: float | None = None
) -> LanguageModel:
    """The engine, warm, behind its lane."""
    if settings.warmup_llm:
        await warm(engine, check_language_model)
    return _in_its_lane(engine, settings, given_up, patience_s)


def _in_its_lane(
    engine: LanguageModel, settings: Settings, given_up: GivenUp, patience_s: float | None = None
) -> LanguageModel:
    """`patience_s`: for each token, LLM_TIMEOUT_S if None."""
    if patience_s is None:
        patience_s = settings.llm_timeout_s
    limits = LaneLimits(
        AdmissionLimits(
            inflight=settings.llm_max_inflight, speculates_alone=settings.speculation == "idle"
        ),
        first_s=patience_s,
        next_s=patience_s,
        grace_s=GRACE_S,
    )
    return LaneLanguageModel(Lane(engine, limits, given_up=given_up))


async def check_language_model(engine: LanguageModel) -> None:
    """One token: the model is loaded, its template renders, and it computes."""
    stream = engine.stream([Message("user", "Hello.")], max_tokens=1, ticket=Ticket(WARM_UP))
    async for _ in stream:
        pass
