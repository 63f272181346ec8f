"""The body: a queue of moves, a listening pose, and when it was last active."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

IDLE_AFTER_S = 0.3
LISTENING_DEBOUNCE_S = 0.15

Offsets = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Move:
    """A dance, an emotion, or a turn of the head."""

    kind: str
    name: str
    duration: float = 1.0


class MovementManager:
    """The real one works off a queue of commands on a thread at 100 Hz; this one at once."""

    def __init__(
        self,
        current_robot: Any,
        camera_worker: Any = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        current_robot.parts["movement_manager"] = self
        self._now = now
        self._lock = threading.Lock()
        self._listening = False
        self._toggled_at = now()
        self._active_at = now()
        self.running = False
        self.moves: list[Move] = []
        self.cleared = 0
        self.listening: list[tuple[float, bool]] = []  # changes that were made
        self.dropped: list[tuple[float, bool]] = []  # changes that came too soon

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def queue_move(self, move: Move) -> None:
        assert isinstance(move, Move), move
        with self._lock:
            self.moves.append(move)
            self._active_at = self._now()

    def clear_move_queue(self) -> None:
        with self._lock:
            self.cleared += 1

    def set_moving_state(self, duration: float) -> None:
        with self._lock:
            self._active_at = self._now()

    def set_speech_offsets(self, offsets: Offsets) -> None:
        with self._lock:
            self._active_at = self._now()

    def is_idle(self) -> bool:
        with self._lock:
            return not self._listening and self._now() - self._active_at >= IDLE_AFTER_S

    def set_listening(self, listening: bool) -> None:
        with self._lock:
            if self._listening == listening:
                return
            now = self._now()
            if now - self._toggled_at < LISTENING_DEBOUNCE_S:
                self.dropped.append((now, listening))
                return
            self._toggled_at = self._active_at = now
            self._listening = listening
            self.listening.append((now, listening))
