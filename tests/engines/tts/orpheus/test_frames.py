"""Tokens to codes to frames to windows, against slow references written from the facts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.engines.tts.orpheus.frames import (
    FRAME_SAMPLES,
    Frame,
    FrameAssembler,
    Window,
    Windows,
    layers,
)
from tests.engines.tts.orpheus.slow_reference import slow_codes

CUSTOM_TOKEN_0 = 128_256
CODE = st.integers(0, 4095) | st.sampled_from([0, 1, 4094, 4095])


def token_of(code: int, place: int) -> int:
    """The id of <custom_token_N>, where N = code + 10 + place * 4096."""
    return CUSTOM_TOKEN_0 + code + 10 + place * 4096


def slow_frames(ids: list[int]) -> list[Frame]:
    codes = slow_codes(ids)
    return [tuple(codes[i : i + 7]) for i in range(0, len(codes) - len(codes) % 7, 7)]


def in_deltas(ids: list[int], sizes: list[int]) -> list[list[int]]:
    deltas, start = [], 0
    for size in sizes:
        deltas.append(ids[start : start + size])
        start += size
    return [*deltas, ids[start:]]


def fed(ids: list[int], sizes: list[int]) -> list[Frame]:
    assembler = FrameAssembler()
    return [frame for delta in in_deltas(ids, sizes) for frame in assembler.feed(delta)]


@settings(deadline=None)  # a busy machine takes its time
@given(
    st.lists(st.integers(-5, 160_000) | st.integers(128_250, 156_950), max_size=400),
    st.lists(st.integers(0, 40), max_size=30),
)
def test_any_stream_of_ids_gives_the_frames_of_the_slow_reference(
    ids: list[int], sizes: list[int]
) -> None:
    assert fed(ids, sizes) == slow_frames(ids)


@st.composite
def speech_with_garbage(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Codes, and their ids with garbage in between: other ids, and codes of another place."""
    codes = draw(st.lists(CODE, max_size=70))
    ids: list[int] = []
    for index, code in enumerate(codes):
        place = index % 7
        elsewhere = st.sampled_from([p for p in range(7) if p != place])
        garbage = st.one_of(
            st.integers(0, CUSTOM_TOKEN_0 + 9),
            st.builds(token_of, CODE, elsewhere),
            st.integers(CUSTOM_TOKEN_0 + 10 + 7 * 4096, 200_000),
        )
        ids += [*draw(st.lists(garbage, max_size=3)), token_of(code, place)]
    return codes, ids


@settings(deadline=None)  # a busy machine takes its time
@given(speech_with_garbage(), st.lists(st.integers(0, 20), max_size=20))
def test_garbage_in_between_moves_no_code(
    speech: tuple[list[int], list[int]], sizes: list[int]
) -> None:
    codes, ids = speech
    assert slow_codes(ids) == codes
    whole = len(codes) - len(codes) % 7
    assert [code for frame in fed(ids, sizes) for code in frame] == codes[:whole]


def test_every_code_at_every_place() -> None:
    for code in (*range(4096),):
        ids = [token_of(code, place) for place in range(7)]
        assert list(FrameAssembler().feed(ids)) == [(code,) * 7]


@pytest.mark.parametrize("place", range(7))
def test_code_4096_is_the_next_places_0_and_none_here(place: int) -> None:
    before = [token_of(9, p) for p in range(place)]
    after = [token_of(9, p) for p in range(place, 7)]
    ids = [*before, token_of(4096, place), token_of(-1, place), *after]
    assert list(FrameAssembler().feed(ids)) == [(9,) * 7]


def test_the_layers_of_a_frame() -> None:
    first, second = (10, 11, 12, 13, 14, 15, 16), (20, 21, 22, 23, 24, 25, 26)
    top, middle, low = layers([first, second])
    assert top.tolist() == [[10, 20]]
    assert middle.tolist() == [[11, 14, 21, 24]]
    assert low.tolist() == [[12, 13, 15, 16, 22, 23, 25, 26]]
    assert {layer.dtype for layer in (top, middle, low)} == {np.dtype(np.int64)}


@settings(deadline=None)  # a busy machine takes its time
@given(st.integers(0, 40))
def test_the_windows_keep_each_frame_once_and_in_order(frames: int) -> None:
    windows = Windows()
    kept: list[int] = []
    sizes = []
    for number in range(frames):
        made = list(windows.feed([(number,) * 7]))
        assert len(made) == (number >= 3), "sound comes from the 28th token on"
        for window in made:
            assert [frame[0] for frame in window.frames] == list(range(number - 3, number + 1))
            kept += whole_frames(window)
            sizes.append((window.start, window.stop))
    assert sizes[:1] == [(0, 4096)][: len(sizes)]
    assert sizes[1:] == [(2048, 4096)] * (len(sizes) - 1), "then the second frame of each"
    last = windows.finish()
    if last is not None:
        kept += whole_frames(last)
    assert kept == list(range(frames))


@settings(deadline=None)  # a busy machine takes its time
@given(st.integers(1, 9), st.lists(st.integers(0, 12), max_size=12))
def test_what_comes_at_once_is_decoded_at_once(most: int, deltas: list[int]) -> None:
    windows = Windows(most)
    frames = [(number,) * 7 for number in range(sum(deltas))]
    kept: list[int] = []
    made = 0
    for index, size in enumerate(deltas):
        start = sum(deltas[:index])
        for window in windows.feed(frames[start : start + size]):
            made += 1
            wanted = whole_frames(window)
            kept += wanted
            there = [frame[0] for frame in window.frames]
            assert len(there) <= most + 6
            assert wanted[0] == 0 or wanted[0] - 1 in there, "one before"
            assert wanted[-1] + 2 in there, "two after"
    assert made <= sum(-(-size // most) for size in deltas)
    rest = windows.finish()
    assert kept + (whole_frames(rest) if rest is not None else []) == list(range(len(frames)))


def whole_frames(window: Window) -> list[int]:
    """Which frames' sound is kept of it."""
    first, last = window.start / FRAME_SAMPLES, window.stop / FRAME_SAMPLES
    assert first.is_integer()
    assert last.is_integer()
    return [frame[0] for frame in window.frames[int(first) : int(last)]]
