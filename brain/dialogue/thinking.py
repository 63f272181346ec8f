"""The thinking part of a reply: the model's tokens -> its mood, its tool calls, and clauses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from brain.dialogue.asking import answer
from brain.dialogue.clauses import ClauseSplitter
from brain.dialogue.progress import Brief, Called, FirstClause, FirstToken, MoodTold, Post
from brain.engines.ports import Emotion, EngineFailed, LanguageModel, Text, Ticket
from brain.persona.moods import MoodTags

_MAX_CALLS = 8


@dataclass(frozen=True)
class Clause:
    """What is said at once, and in which mood."""

    text: str
    emotion: Emotion | None = None


async def think(
    brief: Brief,
    mind: LanguageModel,
    ticket: Ticket,
    clauses: asyncio.Queue[Clause | None],
    post: Post,
) -> None:
    """Ask the model, or take the brief's own words; put clauses as they are complete, then None.

    Raises what the model raises, and `EngineFailed` for an answer without anything in it.
    """
    clock = asyncio.get_running_loop().time
    splitter = ClauseSplitter()
    mood = _Mood(brief.reply_id, post) if brief.moods and brief.text is None else None
    begun = calls = 0

    async def speak(new: Sequence[str]) -> None:
        nonlocal begun
        for clause in new:
            if brief.mute:
                continue
            if not begun:
                post(FirstClause(brief.reply_id, clock()))
            begun += 1
            await clauses.put(Clause(clause, mood.emotion if mood else None))

    if brief.text is not None:
        await speak(splitter.push(brief.text))
    else:
        async with aclosing(answer(brief, mind, ticket, post)) as pieces:
            first = True
            async for piece in pieces:
                if first:
                    post(FirstToken(brief.reply_id, clock()))
                    first = False
                if isinstance(piece, Text):
                    text = mood.feed(piece.text) if mood else piece.text
                    await speak(splitter.push(text))
                elif calls < _MAX_CALLS:
                    calls += 1
                    post(Called(brief.reply_id, piece))
        if mood:
            await speak(splitter.push(mood.finish()))
    await speak(splitter.flush())
    answered = begun or calls or (mood is not None and mood.told)
    if brief.text is None and not answered and not brief.mute:
        raise EngineFailed("the language model answered with nothing")
    await clauses.put(None)


class _Mood:
    """Takes the mood off the front of a reply's words, and posts it once it is known."""

    def __init__(self, reply_id: int, post: Post) -> None:
        self.emotion: Emotion | None = None
        self.told = False
        self._reply_id, self._post = reply_id, post
        self._tags = MoodTags()

    def feed(self, text: str) -> str:
        """The words in `text`, without tags."""
        words = self._tags.feed(text)
        self._tell()
        return words

    def finish(self) -> str:
        """The reply is over: words that were held back."""
        words = self._tags.finish()
        self._tell()
        return words

    def _tell(self) -> None:
        tags = self._tags
        if self.told or not tags.settled or not tags.written:
            return
        self.told = True
        if tags.emotion is not None:
            self.emotion = Emotion(tags.emotion, tags.intensity)
        self._post(MoodTold(self._reply_id, self.emotion, tuple(tags.gestures), tags.written))
