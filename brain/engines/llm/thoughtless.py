"""Answers in JSON, in which nothing is a call, from models that may think aloud first."""

from __future__ import annotations

from brain.engines.llm.thought import THINK_OPEN, Thought
from brain.engines.ports import Text, ToolCall


class Thoughtless:
    """Passes on all but a thought at the beginning. Used as a `ReplyParser` is."""

    def __init__(self) -> None:
        self._buffer = ""
        self._thought: Thought | None = None
        self._passes = False

    def feed(self, text: str) -> list[Text | ToolCall]:
        """What `text` adds."""
        if self._thought is not None:
            after = self._thought.feed(text)
            if after is None:
                return []
            text, self._thought = after, None
        self._buffer += text
        if not self._passes:
            self._buffer = self._buffer.lstrip()
            if self._buffer.startswith(THINK_OPEN):
                rest, self._buffer = self._buffer[len(THINK_OPEN) :], ""
                self._thought = Thought()
                return self.feed(rest)
            if THINK_OPEN.startswith(self._buffer):
                return []
            self._passes = True
        out, self._buffer = self._buffer, ""
        return [Text(out)] if out else []

    def finish(self) -> list[Text | ToolCall]:
        """What is left when the model has ended."""
        rest = self._buffer if self._thought is None else self._thought.finish().lstrip()
        self._buffer = ""
        return [Text(rest)] if rest else []
