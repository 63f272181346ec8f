"""Answers in JSON, in which nothing is a call, from models that may think aloud first."""

from __future__ import annotations

from brain.engines.llm.tool_calls import THINK_CLOSE, THINK_OPEN
from brain.engines.ports import Text, ToolCall


class Thoughtless:
    """Passes on all but a thought at the beginning. Used as a `ReplyParser` is."""

    def __init__(self) -> None:
        self._buffer = ""
        self._passes = False

    def feed(self, text: str) -> list[Text | ToolCall]:
        """What `text` adds."""
        self._buffer += text
        if not self._passes:
            self._buffer = self._buffer.lstrip()
            if THINK_OPEN.startswith(self._buffer[: len(THINK_OPEN)]):
                end = self._buffer.find(THINK_CLOSE)
                if end < 0:
                    if self._buffer.startswith(THINK_OPEN):
                        self._buffer = THINK_OPEN + self._buffer[-len(THINK_CLOSE) :]
                    return []
                self._buffer = self._buffer[end + len(THINK_CLOSE) :].lstrip()
                return self.feed("")
            self._passes = True
        out, self._buffer = self._buffer, ""
        return [Text(out)] if out else []

    def finish(self) -> list[Text | ToolCall]:
        """What is left when the model has ended."""
        rest, self._buffer = self._buffer, ""
        return [Text(rest)] if rest and not rest.startswith(THINK_OPEN) else []
