"""Where pictures stand in a prompt.

A prompt is a row of cells, each of which is a token or a part of a picture. A picture's cells have
ids of their own, below 0 and made from its bytes, so that two prompts are compared as rows of
numbers whatever is in them. A picture's cells may share positions (M-RoPE, of the Qwen-VL family):
then the position of what follows is less than its index.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

_MOST_CELLS = 1 << 16


@dataclass(eq=False)
class Patch:
    """A picture, or one tile of it, as the cells that it takes.

    `ids` of its cells. `positions` that it takes. `offsets` int32 [1 or 4, cells]: each cell's
    position, by dimension, from that of the first one on; `moving` tells for each dimension whether
    it counts from there at all. `whole`: its cells see one another, so they go in one batch.
    `embeddings` float32 [cells, width], None until it has been encoded; `failed` says why it never
    will be.
    """

    ids: tuple[int, ...]
    positions: int
    offsets: NDArray[np.int32]
    moving: NDArray[np.int32]
    whole: bool
    embeddings: NDArray[np.float32] | None = None
    failed: str = ""

    def placed_at(self, position: int, first: int, size: int) -> NDArray[np.int32]:
        """int32 [dimensions, size], contiguous: where cells `first`… are, of a patch that begins
        at `position`."""
        cells = self.offsets[:, first : first + size] + position * self.moving[:, None]
        return np.ascontiguousarray(cells, np.int32)


class Encoder(Protocol):
    """Makes the embeddings of patches, beside all else."""

    def encode(self, patch: Patch, done: Callable[[], None]) -> None:
        """Have `patch` encoded, unless it is; `done` is called then, on any thread."""


def cell_ids(picture: bytes, tile: int, count: int) -> tuple[int, ...]:
    """Ids of the cells of a picture's tile, all below 0; those of other pictures differ."""
    digest = hashlib.sha256(picture + tile.to_bytes(4, "big")).digest()
    first = -(1 + int.from_bytes(digest[:12], "big") * _MOST_CELLS)
    return tuple(range(first, first - count, -1))


Placed: TypeAlias = "tuple[int, Patch]"


class Patches:
    """The patches of a prompt, in order."""

    def __init__(self, placed: Sequence[Placed] = ()) -> None:
        self._placed = tuple(placed)

    def __iter__(self) -> Iterator[Placed]:
        return iter(self._placed)

    def position(self, index: int) -> int:
        """The position of the cell at `index`, which isn't within a patch."""
        return index - sum(
            len(patch.ids) - patch.positions for start, patch in self._placed if start < index
        )

    def whole(self, index: int) -> int:
        """`index`, or where the patch begins that it would cut in two."""
        for start, patch in self._placed:
            if start < index < start + len(patch.ids):
                return start
        return index

    def at(self, index: int) -> Placed | None:
        """The patch that the cell at `index` is of."""
        for start, patch in self._placed:
            if start <= index < start + len(patch.ids):
                return start, patch
        return None

    def text_until(self, index: int, end: int) -> int:
        """Up to where, `end` at most, cells from `index` on are tokens."""
        ahead = (start for start, patch in self._placed if index < start + len(patch.ids))
        return min([end, *(max(start, index) for start in ahead)])


@dataclass(frozen=True)
class Prompt:
    """What the model is given: `cells` are tokens, and the ids of patches' cells, where `patches`
    are, each with the index of its first cell. `pictures` that stand in it, in their order."""

    cells: list[int]
    patches: Patches = field(default_factory=Patches)
    pictures: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return len(self.cells)
