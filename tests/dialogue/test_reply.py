"""A reply's sound on its way to the robot."""

from __future__ import annotations

import numpy as np
import pytest

from brain.audio.pcm import Audio
from brain.dialogue.progress import Block
from brain.dialogue.reply import pieces


@pytest.mark.parametrize(("samples", "count"), [(1, 1), (1_619, 1), (3_200, 2), (47_999, 30)])
def test_a_block_goes_out_in_equal_pieces(samples: int, count: int) -> None:
    """Voices don't make round blocks: 2205 samples at 22050 Hz are 1600 here, or 1619."""
    sound = np.arange(samples, dtype=np.int16)
    made = pieces(Block(7, Audio(sound, 16_000), "Hello."))
    assert len(made) == count
    lengths = [len(piece.audio.samples) for piece in made if piece.audio]
    assert max(lengths) - min(lengths) <= 1
    assert np.array_equal(np.concatenate([p.audio.samples for p in made if p.audio]), sound)
    assert [piece.clause for piece in made] == ["Hello."] + [None] * (count - 1)
