"""What the settings make of Orpheus. Imports its engine, so it is imported when that is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from brain.engines.recipes.building import threads_of
from brain.engines.tts.orpheus.llamacpp import LlamaCppSpeech, LlamaCppTokens
from brain.engines.tts.orpheus.prompt import MOST_PROMPT_TOKENS, MOST_TOKENS
from brain.engines.tts.orpheus.snac import SnacOnThread
from brain.engines.tts.orpheus.synthesizer import OrpheusOptions, OrpheusSynthesizer
from brain.models.place import located, models_dir
from brain.settings import Settings


def orpheus_files(settings: Settings) -> tuple[Path, Path]:
    """The model and the decoder."""
    folder = models_dir(settings.models_dir)
    model, decoder = settings.orpheus_model_path, settings.orpheus_decoder_path
    return located(model, folder), located(decoder, folder)


def orpheus_at_once(settings: Settings) -> int:
    """How many texts are spoken at once: more than have room would wait, and be taken to hang."""
    room = settings.orpheus_max_model_len // (MOST_PROMPT_TOKENS + MOST_TOKENS)
    return max(1, min(settings.orpheus_max_num_seqs, room))


def orpheus_options(settings: Settings) -> OrpheusOptions:
    """How it speaks."""
    return OrpheusOptions(
        voice=settings.orpheus_voice,
        idle_s=settings.orpheus_idle_timeout_s,
        total_s=settings.orpheus_total_timeout_s,
    )


def orpheus_speech(settings: Settings) -> LlamaCppSpeech:
    """How its model is run."""
    model, _ = orpheus_files(settings)
    return LlamaCppSpeech(
        model=model,
        context=settings.orpheus_max_model_len,
        sequences=orpheus_at_once(settings),
        batch=settings.orpheus_max_num_batched_tokens,
        gpu_layers=settings.llm_gpu_layers,
        threads=threads_of(settings),
    )


async def load_orpheus(
    settings: Settings, *, tell: Callable[[str], None] | None = None
) -> OrpheusSynthesizer:
    """Load both; what is loaded is freed if the other doesn't. Raises `EngineUnavailable`."""
    _, file = orpheus_files(settings)
    # The small one first: what it lacks is told at once.
    decoder = await SnacOnThread.load(file, threads=math.ceil(threads_of(settings) / 2))
    try:
        source = await LlamaCppTokens.load(orpheus_speech(settings), tell=tell)
    except BaseException:
        await decoder.close()
        raise
    return OrpheusSynthesizer(source, decoder, orpheus_options(settings))
