"""`PERSONA_FILE`: a character that ships, or a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from brain.house import ConfigError, house_rules
from brain.persona.character import DEFAULT_INSTRUCTIONS, character, characters
from brain.settings import Settings


def instructions(persona: str) -> str:
    return house_rules(Settings(persona_file=persona)).defaults.instructions


@pytest.mark.setting("PERSONA_FILE")
def test_a_name_or_a_file_or_nothing(tmp_path: Path) -> None:
    assert instructions("") == DEFAULT_INSTRUCTIONS
    for name in characters():
        assert instructions(name) == character(name)
    file = tmp_path / "captain.txt"
    file.write_text("\nYou are the captain.\nSpeak like one.\n\n", encoding="utf-8")
    assert instructions(str(file)) == "You are the captain.\nSpeak like one."


@pytest.mark.parametrize(
    ("content", "says"),
    [(b" \n", "empty"), (b"\xff\xfe", "isn't UTF-8"), (b"x" * 40_000, "at most 32000")],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(
    tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "persona.txt"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        instructions(str(file))
    assert f"PERSONA_FILE={file}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["nobody", "x" * 5_000, "a\0b", "/"])
def test_what_is_neither_tells_which_characters_there_are(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        instructions(value)
    assert "PERSONA_FILE=" in str(caught.value)
    assert "luna, pebble, robo, scout" in str(caught.value)


@pytest.mark.setting("EMOTIONS")
def test_the_house_asks_for_moods_unless_it_is_told_not_to() -> None:
    assert house_rules(Settings()).emotions
    assert not house_rules(Settings(emotions=False)).emotions
