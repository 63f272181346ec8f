"""Where the sound of one reply goes out: held or not, and how much of it has been played."""

from __future__ import annotations

import asyncio

from brain.dialogue.playback import Playback
from brain.dialogue.progress import AllSaid, Block


class Outlet:
    """Of one reply, or of one that is prepared. For the event loop's thread.

    While it is held, nothing goes out: who makes sound waits (`passes`), and what was on its way
    already is kept, in order. So a reply goes on at the very sample.
    """

    def __init__(self, *, marks: bool = False) -> None:
        self.playback = Playback(marks=marks)
        self._open = asyncio.Event()
        self._open.set()
        self._kept: list[Block | AllSaid] = []

    @property
    def held(self) -> bool:
        return not self._open.is_set()

    async def passes(self) -> None:
        """Wait until sound may go out."""
        await self._open.wait()

    def hold(self) -> None:
        self._open.clear()

    def keep(self, item: Block | AllSaid) -> None:
        """This comes while it is held."""
        self._kept.append(item)

    def resume(self) -> list[Block | AllSaid]:
        """What was kept, to go out before all else."""
        self._open.set()
        return self.drop()

    def drop(self) -> list[Block | AllSaid]:
        """What was kept, which is kept no more."""
        kept, self._kept = self._kept, []
        return kept
