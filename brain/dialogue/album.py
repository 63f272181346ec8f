"""The pictures that wait for the next turn, and what the robot is told about pictures."""

from __future__ import annotations

from collections.abc import Callable

from brain.dialogue.outputs import Problem
from brain.dialogue.pictures import PictureLimits


class Album:
    """The pictures that came for the next turn, and what the robot was told about pictures."""

    def __init__(self, limits: PictureLimits, send: Callable[[Problem], None]) -> None:
        self._most = limits.turn
        self._send = send
        self._waiting: list[bytes] = []
        self._told_unseen = self._told_too_many = False

    def add(self, picture: bytes) -> None:
        """A picture for the next turn; of too many, the oldest goes."""
        self._waiting.append(picture)
        if len(self._waiting) > self._most:
            del self._waiting[0]
            self.too_many()

    @property
    def waiting(self) -> tuple[bytes, ...]:
        """The pictures of the next turn, so far."""
        return tuple(self._waiting)

    def take(self) -> tuple[bytes, ...]:
        """The turn has come: its pictures."""
        taken, self._waiting = self.waiting, []
        self._told_too_many = False
        return taken

    def came(self) -> None:
        """Another picture: what becomes of it is news."""
        self._told_unseen = False

    def unseen(self, turn: int | None = None) -> None:
        """The language model doesn't see; told once a picture."""
        if not self._told_unseen:
            self._told_unseen = True
            why = "this brain's language model can't see: it answers without the picture"
            self._send(Problem("vision_unavailable", why, turn))

    def too_many(self) -> None:
        """A picture was left out for a newer one; told once a turn."""
        if not self._told_too_many:
            self._told_too_many = True
            why = f"a turn has at most {self._most} pictures: the oldest was left out"
            self._send(Problem("image_overflow", why))
