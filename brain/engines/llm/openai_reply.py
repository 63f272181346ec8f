"""The chunks of a streamed completion become text and tool calls.

The form is that of OpenAI's `chat.completion.chunk`, read as plain JSON, because servers fill it in
differently: a call comes whole or in pieces, with or without an index or an id; thoughts come in
fields of their own or in the text; calls in the text where the server has no parser for them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from brain.engines.llm.remote_text import valid
from brain.engines.llm.thoughtless import Thoughtless
from brain.engines.llm.tool_calls import ReplyParser
from brain.engines.ports import Text, ToolCall, ToolSpec

# As `tool_calls.MARKERS`: what a model may not call for ever.
_MAX_CALLS = 32


class BrokenChunkError(ValueError):
    """What the server sent is no chunk of a completion; the message says in what way."""


@dataclass
class _Call:
    """A call as far as it has come."""

    index: int | None
    call_id: str
    name: str = ""
    arguments: str = ""


class StreamedReply:
    """Feed it the chunks, parsed, in order.

    `tools` are those on offer. `plain`: the answer is a JSON value, in which nothing is a call.
    Calls are held to the rules of `ReplyParser`; those that break them are counted in `dropped`,
    the last with its `reason`. `ended`: the server said that the reply is complete. `thinking` and
    `began_in_thought` are the parser's.
    """

    def __init__(
        self, tools: Sequence[ToolSpec] = (), *, plain: bool = False, thinking: bool = False
    ) -> None:
        self._parser = ReplyParser(tools, thinking=thinking)
        self._text = Thoughtless() if plain else self._parser
        self._calls: list[_Call] = []
        self._dropped = 0
        self.ended = False

    @property
    def dropped(self) -> int:
        return self._dropped + self._parser.dropped

    @property
    def began_in_thought(self) -> bool:
        return self._parser.began_in_thought

    @property
    def reason(self) -> str:
        return self._parser.reason or ("too many tool calls" if self._dropped else "")

    def feed(self, chunk: Any) -> list[Text | ToolCall]:
        """What `chunk` adds. Raises `BrokenChunkError`."""
        choices = _of(chunk, dict, "a chunk").get("choices")
        if chunk.get("object") == "error":  # vLLM's older way
            raise BrokenChunkError(f"it was an error: {chunk.get('message')}")
        # (None and empty: a chunk with the usage, or a server's own news.)
        for item in _of(choices or [], list, "choices"):
            choice = _of(item, dict, "a choice")
            if choice.get("index") not in (0, None):
                continue
            delta = _of(choice.get("delta") or {}, dict, "a delta")
            out = self._text.feed(_text_in(delta))
            for piece in _of(delta.get("tool_calls") or [], list, "tool_calls"):
                self._add(_of(piece, dict, "a tool call"))
            self.ended = self.ended or bool(choice.get("finish_reason"))
            return out
        return []

    def finish(self) -> list[Text | ToolCall]:
        """What is left when the stream has ended. Not to be fed again."""
        out = self._text.finish()
        for call in self._calls:
            out += self._parser.take(call.name, call.arguments.strip() or "{}")
        return out

    def _add(self, piece: dict[str, Any]) -> None:
        """A piece of a call: of the one with its index and id, or of the last if it has neither."""
        function = _of(piece.get("function") or {}, dict, "a function")
        index, call_id = piece.get("index"), piece.get("id")
        name, arguments = function.get("name"), function.get("arguments")
        index = index if isinstance(index, int) else None
        call_id = call_id if isinstance(call_id, str) else ""
        call = self._open(index, call_id, bool(name))
        if call is None:
            if len(self._calls) == _MAX_CALLS:
                self._dropped += 1
                return
            call = _Call(index, call_id)
            self._calls.append(call)
        # A name comes whole, and from some servers again with every piece.
        call.name = call.name or (name if isinstance(name, str) else "")
        call.call_id = call.call_id or call_id
        if isinstance(arguments, dict):
            call.arguments += json.dumps(arguments)
        elif isinstance(arguments, str):
            call.arguments += arguments

    def _open(self, index: int | None, call_id: str, named: bool) -> _Call | None:
        """The call that a piece continues; None if it begins one."""
        for call in reversed(self._calls):
            if index is not None and call.index != index:
                continue
            # Some servers give each of several whole calls the index 0.
            other = bool(call_id and call.call_id and call_id != call.call_id)
            if other or (index is None and named and not call_id):
                continue
            if index is None and call_id and not call.call_id:
                continue
            return call
        return None


def _text_in(delta: dict[str, Any]) -> str:
    """What is said in a delta; reasoning, which has fields of its own, is not."""
    content = delta.get("content") or delta.get("refusal")
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    if content is not None and not isinstance(content, str):
        raise BrokenChunkError(f"content was of type {type(content).__name__}")
    return valid(content or "")


def _of(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise BrokenChunkError(f"{what} was of type {type(value).__name__}")
    return value
