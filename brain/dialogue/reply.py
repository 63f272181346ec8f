"""One reply on its way from the model to the loudspeaker: think -> clauses -> speak -> send.

Three tasks with queues between them, so that the first clause is spoken while the rest is being
thought, and the next is synthesised while the last is being played. All that they learn goes to
the session's inbox as a `Progress`; they touch no state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from brain.audio.pcm import Audio
from brain.audio.resample import Resampler
from brain.dialogue.clauses import ClauseSplitter, speakable
from brain.engines.ports import (
    Cancelled,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    LanguageModel,
    Message,
    Synthesizer,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)

log = logging.getLogger(__name__)

_CLAUSES_AHEAD = 8
_BLOCKS_AHEAD = 50
_MAX_CALLS = 8


@dataclass(frozen=True)
class Brief:
    """What a reply runs on: an immutable snapshot.

    `text` is spoken as it stands, without the model, where it isn't None. `mute`: words of the
    model are not spoken (an idle robot acts with tool calls only).
    """

    reply_id: int
    turn: int
    messages: Sequence[Message] = ()
    tools: Sequence[ToolSpec] = ()
    text: str | None = None
    voice: str | None = None
    output_sample_rate: int = 16_000
    mute: bool = False


# -- progress, as the session's inbox gets it --------------------------------------------------


@dataclass(frozen=True)
class FirstToken:
    reply_id: int


@dataclass(frozen=True)
class FirstClause:
    reply_id: int


@dataclass(frozen=True)
class Called:
    """The model called a tool."""

    reply_id: int
    call: ToolCall


@dataclass(frozen=True)
class Block:
    """Sound to be sent now; `clause` is set on the first block of each clause.

    `audio` is None where there is no voice: the clause is only shown.
    """

    reply_id: int
    audio: Audio | None
    clause: str | None = None


@dataclass(frozen=True)
class AllSaid:
    """Everything has been sent."""

    reply_id: int


@dataclass(frozen=True)
class Failed:
    """An engine failed. `mute`: it was the voice."""

    reply_id: int
    code: str
    message: str
    mute: bool = False


Progress = FirstToken | FirstClause | Called | Block | AllSaid | Failed


# -- the pipeline ------------------------------------------------------------------------------

Post = Callable[[Progress], None]


async def run(
    brief: Brief,
    *,
    mind: LanguageModel,
    mouth: Synthesizer | None,
    ticket: Ticket,
    post: Post,
    lead: float,
    ahead: float = 0.0,
) -> None:
    """Carry out `brief`. Sound is sent at most `lead` seconds before it is due to be played;
    `ahead` seconds of it are still to be played as this begins.

    Never raises but for its own cancellation; what goes wrong is posted as `Failed`.
    """
    clauses: asyncio.Queue[str | None] = asyncio.Queue(_CLAUSES_AHEAD)
    blocks: asyncio.Queue[Block | None] = asyncio.Queue(_BLOCKS_AHEAD)
    stages = [
        asyncio.create_task(_think(brief, mind, ticket, clauses, post)),
        asyncio.create_task(_speak(brief, mouth, ticket, clauses, blocks)),
        asyncio.create_task(_send(blocks, post, lead, ahead)),
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


async def _think(
    brief: Brief,
    mind: LanguageModel,
    ticket: Ticket,
    clauses: asyncio.Queue[str | None],
    post: Post,
) -> None:
    splitter = ClauseSplitter()
    begun = calls = 0

    async def speak(new: Sequence[str]) -> None:
        nonlocal begun
        for clause in new:
            if brief.mute:
                continue
            if not begun:
                post(FirstClause(brief.reply_id))
            begun += 1
            await clauses.put(clause)

    if brief.text is not None:
        await speak(splitter.push(brief.text))
    else:
        async with aclosing(_answer(brief, mind, ticket)) as answer:
            first = True
            async for piece in answer:
                if first:
                    post(FirstToken(brief.reply_id))
                    first = False
                if isinstance(piece, Text):
                    await speak(splitter.push(piece.text))
                elif calls < _MAX_CALLS:
                    calls += 1
                    post(Called(brief.reply_id, piece))
    await speak(splitter.flush())
    if brief.text is None and not begun and not calls and not brief.mute:
        raise EngineFailed("the language model answered with nothing")
    await clauses.put(None)


async def _answer(
    brief: Brief, mind: LanguageModel, ticket: Ticket
) -> AsyncGenerator[Text | ToolCall, None]:
    stream = mind.stream(brief.messages, tools=brief.tools, ticket=ticket)
    try:
        async for piece in stream:
            yield piece
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _speak(
    brief: Brief,
    mouth: Synthesizer | None,
    ticket: Ticket,
    clauses: asyncio.Queue[str | None],
    blocks: asyncio.Queue[Block | None],
) -> None:
    resampler: Resampler | None = None
    while (clause := await clauses.get()) is not None:
        unsaid: str | None = clause
        if mouth is not None:
            try:
                async for audio in mouth.stream(
                    speakable(clause), voice=brief.voice, ticket=ticket
                ):
                    if resampler is None or resampler.source != audio.sample_rate:
                        resampler = Resampler(audio.sample_rate, brief.output_sample_rate)
                    samples = resampler.push(audio.samples)
                    if len(samples):
                        sound = Audio(samples, brief.output_sample_rate)
                        await blocks.put(Block(brief.reply_id, sound, unsaid))
                        unsaid = None
            except Cancelled:
                raise
            except EngineError as error:
                raise _VoiceError(str(error)) from error
        if unsaid is not None:  # no voice, or nothing in it that can be spoken
            await blocks.put(Block(brief.reply_id, None, unsaid))
    if resampler is not None and len(tail := resampler.flush()):
        await blocks.put(Block(brief.reply_id, Audio(tail, brief.output_sample_rate)))
    await blocks.put(None)


async def _send(blocks: asyncio.Queue[Block | None], post: Post, lead: float, ahead: float) -> None:
    clock = asyncio.get_running_loop().time
    plays_until = clock() + ahead
    while (block := await blocks.get()) is not None:
        for piece in _pieces(block):
            seconds = piece.audio.seconds if piece.audio is not None else 0.0
            if (early := plays_until + seconds - clock() - lead) > 0:
                await asyncio.sleep(early)
            post(piece)
            plays_until = max(plays_until, clock()) + seconds


def _pieces(block: Block, seconds: float = 0.1) -> list[Block]:
    """A block in pieces of at most `seconds`, so that no message is long."""
    if block.audio is None or block.audio.seconds <= seconds:
        return [block]
    size = int(seconds * block.audio.sample_rate)
    parts = np.split(block.audio.samples, range(size, len(block.audio.samples), size))
    return [
        Block(block.reply_id, Audio(part, block.audio.sample_rate), None if i else block.clause)
        for i, part in enumerate(parts)
    ]
