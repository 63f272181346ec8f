"""What is said, on its way to a server that renders it itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.engines.llm.marks import COMMON_MARKERS
from brain.engines.llm.remote_text import defused, defused_json, valid, valid_json

MARKERS = (
    *COMMON_MARKERS, "<|im_end|>", "<\uff5cUser\uff5c>", "[INST]", "[/INST]", "<<SYS>>", "</s>",
    "<start_of_turn>", "<end_of_turn>", "<s>", "<bos>", "<eos>", "<unused12>", "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[SYSTEM_PROMPT]",
)  # fmt: skip


@given(st.lists(st.sampled_from([*MARKERS, "<", "|", "[", "/", " ", "a"]), max_size=8).map("".join))
def test_no_marker_is_left(text: str) -> None:
    told = defused(text)
    assert not [marker for marker in MARKERS if marker in told]
    assert told.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["2 < 3 and 3 > 2", "[a list]", "<b>bold</b>", "¿Qué? 你好"])
def test_what_is_no_marker_stays_as_it_is(text: str) -> None:
    assert defused(text) == text


def test_half_a_character_is_no_text() -> None:
    assert valid("a\ud83d") == "a?"


@pytest.mark.parametrize("marker", MARKERS)
def test_no_marker_is_left_in_json_by_escaping_it(marker: str) -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in marker)
    told = defused_json(f'{{"say": "{escaped}", "n": [1e2, "\\ud83d"]}}')
    assert marker not in json.loads(told)["say"]
    assert json.loads(told)["n"] == [100.0, "?"]
    assert defused_json('{"n": 1.50}') == '{"n": 1.50}'


def test_half_a_character_is_no_json() -> None:
    assert valid_json({"a\ud83d": ["\ud83d", 1, None]}) == {"a?": ["?", 1, None]}
