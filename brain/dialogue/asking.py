"""Asking the model, and asking again where it turns out not to see."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from brain.dialogue.pictures import pictured, unseen
from brain.dialogue.progress import Brief, Post, Unseen
from brain.engines.ports import CannotSee, LanguageModel, Message, Text, Ticket, ToolCall


async def answer(
    brief: Brief, mind: LanguageModel, ticket: Ticket, post: Post
) -> AsyncGenerator[Text | ToolCall, None]:
    """What the model says to `brief`; one that turns out not to see is asked again without the
    pictures."""

    def ask(messages: Sequence[Message]) -> AsyncGenerator[Text | ToolCall, None]:
        return mind.stream(
            messages,
            tools=brief.tools,
            temperature=brief.temperature,
            max_tokens=brief.max_tokens,
            ticket=ticket,
        )

    try:
        async with aclosing(ask(brief.messages)) as pieces:
            async for piece in pieces:
                yield piece
    except CannotSee:
        if not pictured(brief.messages):
            raise
    else:
        return
    post(Unseen(brief.reply_id))
    async with aclosing(ask(unseen(brief.messages))) as pieces:
        async for piece in pieces:
            yield piece
