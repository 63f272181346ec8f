"""The inside of a thought that a model writes into its answer: nothing of it is an answer."""

from __future__ import annotations

import re

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"

_EITHER = re.compile(f"{THINK_OPEN}|{THINK_CLOSE}")
_MARKER_BEGUN = len(THINK_CLOSE) - 1


class Thought:
    """Feed it what comes after the opener, in pieces of any size.

    A thought may have others in it, or only speak of one: what comes after a closer, while another
    is missing, is kept until that comes or the model has ended. `perhaps`: there was no opener, and
    what comes may be the answer, or a thought that the prompt began.
    """

    def __init__(self, *, perhaps: bool = False) -> None:
        self._depth = 1
        self._in_doubt = perhaps
        self._text = ""

    def feed(self, text: str) -> str | None:
        """What follows the thought; None: that isn't over. Not to be fed again once it is."""
        self._text += text
        while (marker := _EITHER.search(self._text)) is not None:
            self._text = self._text[marker.end() :]
            if marker.group() == THINK_OPEN:
                # (Where it was in doubt, a thought of its own begins: that has a closer too.)
                self._depth += 1
                self._in_doubt = False
                continue
            self._depth -= 1
            if self._depth == 0:
                return self._text
            self._in_doubt = True
        if not self._in_doubt:
            self._text = self._text[-_MARKER_BEGUN:]
        return None

    def finish(self) -> str:
        """The model has ended: what was no thought, after all."""
        return self._text if self._in_doubt else ""
