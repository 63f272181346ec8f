"""What the settings make of Orpheus. Imports its engine, so it is imported when that is chosen.

What runs its model is imported when that is chosen in turn.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from brain.engines.ports import EngineError
from brain.engines.recipes.building import imported, threads_of
from brain.engines.recipes.hub_models import hub_model
from brain.engines.tts.orpheus.hints import SHARES_OF_LLAMACPP, SHARES_OF_VLLM, hinted
from brain.engines.tts.orpheus.prompt import MOST_PROMPT_TOKENS, MOST_TOKENS
from brain.engines.tts.orpheus.snac import SnacOnThread
from brain.engines.tts.orpheus.source import TokenSource
from brain.engines.tts.orpheus.synthesizer import OrpheusOptions, OrpheusSynthesizer
from brain.models.place import located, models_dir
from brain.settings import Settings
from brain.settings.budget import orpheus_runs_on

if TYPE_CHECKING:
    from brain.engines.tts.orpheus.llamacpp import LlamaCppSpeech
    from brain.engines.tts.orpheus.vllm import VllmSpeech

_SHARES = {"llamacpp": SHARES_OF_LLAMACPP, "vllm": SHARES_OF_VLLM, "server": ()}
"""Settings that take less memory."""
_LOAD_S = {"llamacpp": 60.0, "vllm": 180.0, "server": 0.0}
"""For the model to be freed and loaded anew: 3 GB from a slow disk; vLLM also compiles."""


def orpheus_files(settings: Settings) -> tuple[Path, Path]:
    """The model and the decoder."""
    folder = models_dir(settings.models_dir)
    model, decoder = settings.orpheus_model_path, settings.orpheus_decoder_path
    return located(model, folder), located(decoder, folder)


def orpheus_at_once(settings: Settings) -> int:
    """How many texts are spoken at once: more than have room would wait, and be taken to hang."""
    if orpheus_runs_on(settings) != "llamacpp":
        return settings.orpheus_max_num_seqs
    # llama.cpp has one room for all of them.
    room = settings.orpheus_max_model_len // (MOST_PROMPT_TOKENS + MOST_TOKENS)
    return max(1, min(settings.orpheus_max_num_seqs, room))


def orpheus_patience_s(settings: Settings) -> float:
    """Longest wait for a block of its sound, s: two tries, and between them the model is loaded."""
    tries = 2 * min(settings.orpheus_idle_timeout_s, settings.orpheus_total_timeout_s)
    return max(settings.tts_timeout_s, tries + _LOAD_S[orpheus_runs_on(settings)])


def orpheus_options(settings: Settings) -> OrpheusOptions:
    """How it speaks."""
    return OrpheusOptions(
        voice=settings.orpheus_voice,
        idle_s=settings.orpheus_idle_timeout_s,
        total_s=settings.orpheus_total_timeout_s,
        lower=_SHARES[orpheus_runs_on(settings)],
    )


def orpheus_speech(settings: Settings) -> LlamaCppSpeech:
    """How its model is run by llama.cpp."""
    from brain.engines.tts.orpheus.llamacpp import LlamaCppSpeech

    model, _ = orpheus_files(settings)
    return LlamaCppSpeech(
        model=model,
        context=settings.orpheus_max_model_len,
        sequences=orpheus_at_once(settings),
        batch=settings.orpheus_max_num_batched_tokens,
        gpu_layers=settings.llm_gpu_layers,
        threads=threads_of(settings),
    )


def orpheus_vllm_speech(settings: Settings) -> VllmSpeech:
    """How its model is run by vLLM. Raises `EngineUnavailable` for a folder that isn't there."""
    from brain.engines.llm.vllm_options import VllmShape
    from brain.engines.tts.orpheus.vllm import VllmSpeech

    shape = VllmShape(
        model=hub_model(settings.tts_model_name, "TTS_MODEL_NAME", settings.models_dir),
        dtype=settings.vllm_dtype,
        share=settings.orpheus_gpu_memory_utilization,
        context=settings.orpheus_max_model_len,
        sequences=settings.orpheus_max_num_seqs,
        batch=settings.orpheus_max_num_batched_tokens,
        token=settings.hf_token.get_secret_value(),
        prefix="ORPHEUS",
    )
    return VllmSpeech(shape, settings.tts_model_name)


async def load_orpheus(
    settings: Settings,
    *,
    tell: Callable[[str], None] | None = None,
    died: Callable[[str], None] | None = None,
) -> OrpheusSynthesizer:
    """Load both; what is loaded is freed if the other doesn't. `died` hears it if what runs the
    model was a process of its own, and is no more. Raises `EngineUnavailable`."""
    options = orpheus_options(settings)
    _, file = orpheus_files(settings)
    # The small one first: what it lacks is told at once.
    decoder = await SnacOnThread.load(file, threads=math.ceil(threads_of(settings) / 2))
    try:
        source = await _source(settings, tell, died)
    except BaseException as error:
        await decoder.close()
        if isinstance(error, EngineError):
            raise hinted(error, options.lower) from error.__cause__
        raise
    return OrpheusSynthesizer(source, decoder, options)


async def _source(
    settings: Settings, tell: Callable[[str], None] | None, died: Callable[[str], None] | None
) -> TokenSource:
    backend = orpheus_runs_on(settings)
    if backend == "llamacpp":
        await imported("brain.engines.tts.orpheus.llamacpp", "llama-cpp-python", "llm")
        from brain.engines.tts.orpheus.llamacpp import LlamaCppTokens

        return await LlamaCppTokens.load(orpheus_speech(settings), tell=tell)
    if backend == "server":
        await imported("brain.engines.tts.orpheus.server", "httpx2", "remote")
        from brain.engines.tts.orpheus.server import ServerSpeech, ServerTokens

        return await ServerTokens.load(ServerSpeech(settings.orpheus_url, settings.tts_model_name))
    await imported("brain.engines.tts.orpheus.vllm", "vllm", "vllm (Python 3.11 or later)")
    from brain.engines.tts.orpheus.vllm import VllmTokens

    speech = await asyncio.to_thread(orpheus_vllm_speech, settings)
    return await VllmTokens.load(speech, tell=tell, died=died)
