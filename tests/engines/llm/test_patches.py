"""Where pictures stand in a prompt, by a slow count of its cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from brain.engines.llm.patches import Patch, Patches, cell_ids

SHAPES = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6), st.integers(1, 6)), max_size=4)


def patch(cells: int, positions: int) -> Patch:
    offsets = np.zeros((1, cells), np.int32)
    return Patch(cell_ids(b"p", 0, cells), positions, offsets, np.ones(1, np.int32), False)


def laid_out(shapes: Sequence[tuple[int, int, int]]) -> tuple[Patches, list[str], list[int]]:
    """The patches of a prompt; what each cell is, and the position after the cells before it."""
    placed, kinds, positions, now = [], [], [], 0
    for number, (words, cells, taken) in enumerate(shapes):
        for _ in range(words):
            kinds.append("word")
            positions.append(now)
            now += 1
        placed.append((len(kinds), patch(cells, min(taken, cells))))
        kinds += [f"picture {number}"] * cells
        positions += [now] * cells
        now += min(taken, cells)
    return Patches(placed), [*kinds, "word"], [*positions, now]


@given(SHAPES)
def test_every_cell_is_where_counting_finds_it(shapes: list[tuple[int, int, int]]) -> None:
    patches, kinds, positions = laid_out(shapes)
    for index, kind in enumerate(kinds):
        within = index > 0 and kind != "word" and kinds[index - 1] == kind
        begins = kinds.index(kind)
        placed = patches.at(index)
        assert (placed is None) == (kind == "word")
        if placed is not None:
            assert placed[0] == begins
        assert patches.whole(index) == (begins if within else index)
        if not within:
            assert patches.position(index) == positions[index]
        ahead = [i for i in range(index, len(kinds)) if kinds[i] != "word"]
        assert patches.text_until(index, len(kinds)) == min([*ahead, len(kinds)])


def test_cells_of_other_pictures_and_tiles_have_other_ids_and_none_is_a_token() -> None:
    some = [cell_ids(data, tile, 100) for data in (b"a", b"b") for tile in (0, 1)]
    assert len({cell for ids in some for cell in ids}) == 400
    assert all(cell < 0 for ids in some for cell in ids)
    assert cell_ids(b"a", 1, 100) == some[1]


def test_positions_of_several_dimensions_move_with_the_patch() -> None:
    offsets = np.array([[0, 0, 0], [0, 1, 2], [0, 0, 1], [7, 7, 7]], np.int32)
    wide = Patch(cell_ids(b"p", 0, 3), 3, offsets, np.array([1, 1, 1, 0], np.int32), False)
    cells = wide.placed_at(10, 1, 2)
    assert cells.tolist() == [[10, 10], [11, 12], [10, 11], [7, 7]]
    assert cells.flags.c_contiguous
