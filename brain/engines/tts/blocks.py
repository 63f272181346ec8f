"""Sound that a network makes a piece at a time, given out in short blocks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.engines.ports import CancelToken, Ticket
from brain.engines.worker import Worker

_BLOCKS_PER_SECOND = 10
_FADE_IN_S, _FADE_OUT_S = 0.003, 0.008


async def blocks_of(
    worker: Worker, ticket: Ticket, say: Callable[[CancelToken], Iterator[Audio]]
) -> AsyncGenerator[Audio, None]:
    """What `say` makes on the worker's thread.

    Its token is set when the ticket is cancelled, or when nobody takes the sound any more.
    """
    ticket.cancel.raise_if_cancelled()
    token = CancelToken()
    ticket.cancel.on_cancel(token.cancel)
    try:
        async with aclosing(worker.iterate(lambda: say(token))) as blocks:
            async for block in blocks:
                # What waits here was made before the cancel.
                ticket.cancel.raise_if_cancelled()
                yield block
    finally:
        token.cancel()


def in_blocks(samples: NDArray[np.int16], rate: int, token: CancelToken) -> Iterator[Audio]:
    """`samples` in blocks of 100 ms, until the token is set: then `Cancelled`."""
    step = rate // _BLOCKS_PER_SECOND
    for start in range(0, len(samples), step):
        token.raise_if_cancelled()
        yield Audio(samples[start : start + step], rate)


def faded(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """`samples` out of silence and back to it, so that clauses join without a click.

    3 ms in, 8 ms out; what isn't a number becomes silence.
    """
    sound = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).astype(np.float32)
    rise = min(round(_FADE_IN_S * rate), len(sound) // 2)
    fall = min(round(_FADE_OUT_S * rate), len(sound) // 2)
    if rise:
        sound[:rise] *= np.linspace(0.0, 1.0, rise, endpoint=False, dtype=np.float32)
    if fall:
        sound[-fall:] *= np.linspace(0.0, 1.0, fall, endpoint=False, dtype=np.float32)[::-1]
    return sound
