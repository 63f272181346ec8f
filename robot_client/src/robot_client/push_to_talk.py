"""Push-to-talk: the microphone is open between one press of a key and the next.

A terminal doesn't tell when a key is let go, so the key begins and ends.
"""

from __future__ import annotations

from robot_client import requests
from robot_client.connection import Connection
from robot_client.conversation import Conversation
from robot_client.keys import ENTER, ESCAPE
from robot_client.playback import Playback

_NAMES = {"space": " ", "enter": ENTER}
_RESERVED = {"q": "ends", "c": "cancels"}


def key_named(name: str) -> str:
    """The key that a name means: `space`, `enter`, or one character. Raises `ValueError`."""
    key = _NAMES.get(name.lower(), name)
    if len(key) != 1 or not (key.isprintable() or key == ENTER):
        raise ValueError(f"{name!r} is no key: 'space', 'enter' or one character")
    if key in _RESERVED:
        raise ValueError(f"the key {key!r} is taken: it {_RESERVED[key]}")
    return key


class PushToTalk:
    """Turns keys into turns, over a conversation whose session has push-to-talk."""

    def __init__(
        self, connection: Connection, conversation: Conversation[Playback], key: str
    ) -> None:
        self.talking = False
        self._connection = connection
        self._conversation = conversation
        self._key = key

    def press(self, key: str) -> str | None:
        """A key. One sentence for the user, if there is something to tell."""
        if key == self._key:
            return self._end() if self.talking else self._begin()
        if key in ("c", ESCAPE):
            return self._cancel()
        return None

    def _begin(self) -> str | None:
        self._connection.send(requests.cancel())  # who talks doesn't want to hear the rest
        self._conversation.flush()
        # Sound that waited for a brain, or was left over, doesn't belong to what is said now.
        if not self._connection.send(requests.clear()):
            return "there is no brain to talk to now"
        self.talking = True
        return None

    def _end(self) -> str | None:
        self.talking = False
        if not self._connection.send(requests.end_utterance()):
            return "the brain was lost: say it again when it is back"
        return None

    def _cancel(self) -> str | None:
        if self.talking:
            self.talking = False
            self._connection.send(requests.clear())
            return "forgotten"
        self._connection.send(requests.cancel())
        self._conversation.flush()
        return None
