"""Whether the settings of adaptive end-pointing go together."""

from __future__ import annotations

from brain.settings.model import Settings


def unusable(settings: Settings) -> str:
    """Why `ENDPOINTING=adaptive` can't be, and what to change; empty if it can, or isn't asked
    for."""
    if settings.endpointing != "adaptive":
        return ""
    tentative, silence = settings.tentative_silence_ms, settings.vad_silence_ms
    if not 0 < tentative < silence:
        return (
            f"ENDPOINTING=adaptive goes by what is heard before the turn ends, and"
            f" TENTATIVE_SILENCE_MS={tentative} hears nothing before VAD_SILENCE_MS={silence}: set"
            " it to 128, say, or ENDPOINTING=fixed"
        )
    shortest, longest = settings.endpointing_min_ms, settings.endpointing_max_ms
    if shortest > longest:
        return (
            f"ENDPOINTING=adaptive: ENDPOINTING_MIN_MS={shortest} is more than"
            f" ENDPOINTING_MAX_MS={longest}: exchange them"
        )
    return ""
