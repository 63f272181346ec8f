"""What waits to be sent: control in full, sound for the last second. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Sound:
    """Microphone sound, 16-bit little-endian mono. `at`: when it was given, in seconds."""

    pcm: bytes
    at: float = 0.0


@dataclass(frozen=True)
class Control:
    """A text frame that may not be shed while the connection lasts."""

    frame: str


class Outbox:
    """A first-in first-out queue that keeps at most `keep_s` seconds of sound.

    The order of sound and control is kept: an `end_utterance` never overtakes the sound before
    it. When there is too much sound (no brain, or a stalled network), the oldest is shed and
    counted in `shed_samples`.
    """

    def __init__(self, sample_rate: int, keep_s: float = 1.0) -> None:
        self.keep_s = keep_s
        self._limit = int(sample_rate * keep_s) * 2
        self._chunk = sample_rate * 2  # one second: the wire's largest chunk
        self._items: deque[Sound | Control] = deque()
        self._bytes = 0
        self.shed_samples = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def sound_bytes(self) -> int:
        """How much sound waits."""
        return self._bytes

    def add_sound(self, pcm: bytes, at: float = 0.0) -> None:
        """Append sound, given `at` so many seconds. Raises `ValueError` for half a sample."""
        if len(pcm) % 2:
            raise ValueError(f"{len(pcm)} bytes of sound: an odd number, not 16-bit samples")
        for start in range(0, len(pcm), self._chunk):
            piece = pcm[start : start + self._chunk]
            self._items.append(Sound(piece, at))
            self._bytes += len(piece)
        self._shed(self._bytes - self._limit)

    def add_control(self, frame: str) -> None:
        """Append a text frame."""
        self._items.append(Control(frame))

    def take(self) -> Sound | Control | None:
        """The oldest item, removed; None if there is nothing."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, Sound):
            self._bytes -= len(item.pcm)
        return item

    def put_back(self, sound: Sound) -> None:
        """Sound that could not be sent, back to the front."""
        self._items.appendleft(sound)
        self._bytes += len(sound.pcm)
        self._shed(self._bytes - self._limit)

    def change_rate(self, sample_rate: int) -> None:
        """From now on sound has another rate, Hz; what waits at the old one is shed."""
        self.drop_sound()
        self._limit = int(sample_rate * self.keep_s) * 2
        self._chunk = sample_rate * 2

    def drop_control(self) -> None:
        """Forget the control frames: they were meant for a connection that is gone."""
        self._items = deque(item for item in self._items if isinstance(item, Sound))

    def drop_sound(self) -> None:
        """Forget the sound, and count it as shed: it was meant for a connection that is gone."""
        self._shed(self._bytes)

    def drop_sound_before(self, at: float) -> None:
        """Forget the sound that was given before `at` seconds, and count it as shed."""
        stale = [item for item in self._items if isinstance(item, Sound) and item.at < at]
        # Sound lies in the order of its giving, so what is stale is what is oldest.
        self._shed(sum(len(item.pcm) for item in stale))

    def _shed(self, excess: int) -> None:
        if excess <= 0:
            return
        self.shed_samples += excess // 2
        self._bytes -= excess
        kept: deque[Sound | Control] = deque()
        for item in self._items:
            if excess and isinstance(item, Sound):
                cut = min(excess, len(item.pcm))
                excess -= cut
                if cut < len(item.pcm):
                    kept.append(Sound(item.pcm[cut:], item.at))
            else:
                kept.append(item)
        self._items = kept
