"""PCM to and fro."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.audio import pcm


@given(st.binary(max_size=400).filter(lambda data: len(data) % 2 == 0))
def test_round_trip(data: bytes) -> None:
    samples = pcm.from_bytes(data)
    assert pcm.to_bytes(samples) == data
    assert (pcm.to_int16(pcm.to_float(samples)) == samples).all()


def test_an_odd_byte_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="even"):
        pcm.from_bytes(b"abc")


def test_what_is_too_loud_is_clipped() -> None:
    assert pcm.to_int16(np.array([2.0, -2.0])).tolist() == [32767, -32768]
