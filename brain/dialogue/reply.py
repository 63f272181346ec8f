"""One reply on its way from the model to the loudspeaker: think -> clauses -> speak -> send.

Three tasks with queues between them, so that the first clause is spoken while the rest is being
thought, and the next is synthesised while the last is being played. All that they learn goes to
the session's inbox as a `Progress`; they touch no state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np

from brain.audio.pcm import Audio
from brain.audio.resample import Resampler
from brain.dialogue.clauses import speakable
from brain.dialogue.outlet import Outlet
from brain.dialogue.progress import AllSaid, Block, Brief, Failed, Post
from brain.dialogue.thinking import Clause, think
from brain.engines.ports import (
    Cancelled,
    EngineBusy,
    EngineError,
    EngineTimeout,
    LanguageModel,
    Synthesizer,
    Ticket,
)

log = logging.getLogger(__name__)

_CLAUSES_AHEAD = 8
_BLOCKS_AHEAD = 50


async def run(
    brief: Brief,
    *,
    mind: LanguageModel,
    mouth: Synthesizer | None,
    ticket: Ticket,
    post: Post,
    lead: float,
    outlet: Outlet,
    wanted: asyncio.Event | None = None,
) -> None:
    """Carry out `brief`. Sound is sent at most `lead` seconds before it is due to be played, and
    none while `outlet` is held, which knows what is still to be played. `wanted`: no sound is sent
    before it is set.

    Never raises but for its own cancellation; what goes wrong is posted as `Failed`.
    """
    clauses: asyncio.Queue[Clause | None] = asyncio.Queue(_CLAUSES_AHEAD)
    blocks: asyncio.Queue[Block | None] = asyncio.Queue(_BLOCKS_AHEAD)
    stages = [
        asyncio.create_task(think(brief, mind, ticket, clauses, post)),
        asyncio.create_task(_speak(brief, mouth, ticket, clauses, blocks)),
        asyncio.create_task(_send(blocks, post, lead, outlet, wanted)),
    ]
    try:
        await asyncio.gather(*stages)
        post(AllSaid(brief.reply_id))
    except Cancelled:
        pass
    except EngineError as error:
        post(failure(brief.reply_id, error))
    except Exception:
        # A fault of ours must cost one reply, not the session.
        log.exception("reply %d broke", brief.reply_id)
        post(Failed(brief.reply_id, "internal", "the brain made a mistake; its log says which"))
    finally:
        for stage in stages:
            stage.cancel()
        await asyncio.gather(*stages, return_exceptions=True)


class _VoiceError(EngineError):
    """The synthesiser's error, told apart from the model's."""


def failure(reply_id: int, error: EngineError) -> Failed:
    """The stable code for what an engine raised."""
    if isinstance(error, _VoiceError):
        busy = isinstance(error.__cause__, EngineBusy)
        code = "tts_busy_no_fallback" if busy else "tts_unavailable"
        return Failed(reply_id, code, str(error), mute=True)
    if isinstance(error, EngineBusy):
        return Failed(reply_id, "llm_busy", str(error))
    if isinstance(error, EngineTimeout):
        return Failed(reply_id, "llm_timeout", str(error))
    return Failed(reply_id, "llm_failed", str(error))


async def _speak(
    brief: Brief,
    mouth: Synthesizer | None,
    ticket: Ticket,
    clauses: asyncio.Queue[Clause | None],
    blocks: asyncio.Queue[Block | None],
) -> None:
    clock = asyncio.get_running_loop().time
    resampler: Resampler | None = None
    async for clause in _calls(clauses, mouth):
        unsaid: str | None = clause.text
        if mouth is not None:
            try:
                async for audio in mouth.stream(
                    speakable(clause.text),
                    voice=brief.voice,
                    emotion=clause.emotion,
                    ticket=ticket,
                ):
                    if resampler is None or resampler.source != audio.sample_rate:
                        resampler = Resampler(audio.sample_rate, brief.output_sample_rate)
                    samples = resampler.push(audio.samples)
                    if len(samples):
                        sound = Audio(samples, brief.output_sample_rate)
                        await blocks.put(Block(brief.reply_id, sound, unsaid, clock()))
                        unsaid = None
            except Cancelled:
                raise
            except EngineError as error:
                raise _VoiceError(str(error)) from error
        if unsaid is not None:  # no voice, or nothing in it that can be spoken
            await blocks.put(Block(brief.reply_id, None, unsaid, clock()))
        await blocks.put(Block(brief.reply_id, None, at=clock()))
    if resampler is not None and len(tail := resampler.flush()):
        rest = Audio(tail, brief.output_sample_rate)
        await blocks.put(Block(brief.reply_id, rest, at=clock()))
    await blocks.put(None)


async def _calls(
    clauses: asyncio.Queue[Clause | None], mouth: Synthesizer | None
) -> AsyncIterator[Clause]:
    """What is said in one call each: a clause, and in the last that the voice allows all the rest.

    Of the rest the mood isn't told again, if it is the same: the voice would laugh once more.
    """
    made, mood = 0, None
    while (clause := await clauses.get()) is not None:
        made += 1
        # Looked at each time: one voice may have taken another's place.
        most = mouth.info.calls_per_reply if mouth is not None else None
        if most is None or made < most:
            mood = clause.emotion
            yield clause
            continue
        rest = [clause.text]
        while (more := await clauses.get()) is not None:
            rest.append(more.text)
        yield Clause(" ".join(rest), clause.emotion if clause.emotion != mood else None)
        return


async def _send(
    blocks: asyncio.Queue[Block | None],
    post: Post,
    lead: float,
    outlet: Outlet,
    wanted: asyncio.Event | None,
) -> None:
    if wanted is not None:
        await wanted.wait()
    clock = asyncio.get_running_loop().time
    plays_until = _free_at(outlet)
    while (block := await blocks.get()) is not None:
        for piece in pieces(block):
            plays_until = max(plays_until, _free_at(outlet))
            seconds = piece.audio.seconds if piece.audio is not None else 0.0
            while True:
                if (early := plays_until + seconds - clock() - lead) > 0:
                    await asyncio.sleep(early)
                if not outlet.held:
                    break
                await outlet.passes()
                plays_until = _free_at(outlet)
            post(piece)
            plays_until = max(plays_until, clock()) + seconds


def _free_at(outlet: Outlet) -> float:
    """When all has been played that goes before."""
    now = asyncio.get_running_loop().time()
    return now + outlet.playback.ahead(now) + outlet.playback.owed


def pieces(block: Block, seconds: float = 0.1) -> list[Block]:
    """A block in equal pieces of about `seconds`, so that no message is long."""
    if block.audio is None or (count := round(block.audio.seconds / seconds)) < 2:
        return [block]
    parts = np.array_split(block.audio.samples, count)
    rate = block.audio.sample_rate
    return [
        replace(block, audio=Audio(part, rate), clause=None if i else block.clause)
        for i, part in enumerate(parts)
    ]
