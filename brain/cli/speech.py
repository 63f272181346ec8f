"""`brain say` and `brain listen`: the profile's mouth and ears by themselves, on files."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from brain.audio.pcm import Audio, to_float
from brain.cli import wav
from brain.cli.failing import failed
from brain.cli.one_engine import best_of
from brain.engines.ladder import Ladder
from brain.engines.ladder_ports import LadderSynthesizer, LadderTranscriber
from brain.engines.ports import EngineError, EngineInfo, Ticket
from brain.engines.recipes import synthesizer_rungs, transcriber_rungs
from brain.settings import Settings

_EARS_RATE = 16_000
_LANGUAGE = "en"
_TICKET_NAME = "command line"


def say(settings: Settings, text: str, *, out: str, voice: str | None) -> int:
    """Speak `text` with the profile's voice into the WAV file `out`.

    1 if there is no voice, nothing in the text can be spoken, or the file can't be written.
    """
    if settings.tts_backend == "off":
        return failed("TTS_BACKEND=off: this profile has no voice")
    try:
        blocks, info = asyncio.run(_synthesize(settings, text, voice))
        if not blocks:
            return failed("nothing in that text can be spoken")
        wav.write(Path(out), blocks)
    except (EngineError, OSError) as error:
        return failed(str(error))
    seconds = sum(block.seconds for block in blocks)
    print(f"{out}: {seconds:.2f} s, spoken by {info.name} ({info.model})")
    return 0


def listen(settings: Settings, path: str) -> int:
    """Print what the profile's ears hear in a WAV file; 1 if that is nothing."""
    try:
        text = asyncio.run(_transcribe(settings, wav.read(Path(path), _EARS_RATE)))
    except (EngineError, OSError, ValueError) as error:
        return failed(str(error))
    if not text:
        return failed("nothing was heard")
    print(text)
    return 0


async def _synthesize(
    settings: Settings, text: str, voice: str | None
) -> tuple[list[Audio], EngineInfo]:
    async with best_of(Ladder("tts", synthesizer_rungs(settings))) as ladder:
        mouth = LadderSynthesizer(ladder)
        if voice is not None and voice not in mouth.voices:
            known = ", ".join(mouth.voices)
            print(f"warning: no voice {voice!r}; there is {known}", file=sys.stderr)
        ticket = Ticket(_TICKET_NAME)
        return [block async for block in mouth.stream(text, voice=voice, ticket=ticket)], mouth.info


async def _transcribe(settings: Settings, audio: Audio) -> str:
    async with best_of(Ladder("stt", transcriber_rungs(settings))) as ladder:
        ears = LadderTranscriber(ladder)
        heard = await ears.transcribe(
            to_float(audio.samples), language=_LANGUAGE, ticket=Ticket(_TICKET_NAME)
        )
        return heard.text
