"""Where does a JSON value that arrives in pieces end?"""

from __future__ import annotations


class JsonScan:
    """Finds the end of one JSON object or array in a growing text; each character is read once.

    Only brackets, strings and escapes are looked at: whether it is valid JSON is for the parser.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._at = 0

    def end(self, text: str) -> int | None:
        """Index after the value that `text` starts with; None while it is unfinished.

        `text` is what it was at the last call, and what has come since.
        """
        for index in range(self._at, len(text)):
            char = text[index]
            if self._escaped:
                self._escaped = False
            elif self._in_string:
                if char == "\\":
                    self._escaped = True
                elif char == '"':
                    self._in_string = False
            elif char == '"':
                self._in_string = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    return index + 1
        self._at = len(text)
        return None
