"""Models that are put where a brain looks for them, whole or as a bad disk leaves them."""

from __future__ import annotations

import shutil
from pathlib import Path

from brain.engines.recipes import POCKET

MIND, EARS, VOICE = "mind.gguf", "ears", "voice.onnx"
EARS_NAME = "base.en"
_DEADLY = b"qwen3.block_count"


def mind(folder: Path) -> Path:
    """The embedded mind under another name, as a profile's model."""
    return _settled(POCKET / MIND, folder / "own.gguf")


def voice(folder: Path) -> Path:
    """The embedded voice under another name, with its JSON."""
    _settled(POCKET / f"{VOICE}.json", folder / "own.onnx.json")
    return _settled(POCKET / VOICE, folder / "own.onnx")


def ears(folder: Path) -> Path:
    """The embedded ears where `brain models pull` puts the Whisper model `EARS_NAME`."""
    target = folder / "whisper" / EARS_NAME
    return Path(shutil.copytree(POCKET / EARS, target, dirs_exist_ok=True))


def deadly(folder: Path) -> Path:
    """A GGUF at which llama.cpp ends the process: its header names far too many blocks."""
    data = bytearray((POCKET / MIND).read_bytes())
    value = data.index(_DEADLY) + len(_DEADLY) + 4  # after its type, little-endian
    data[value : value + 4] = (65_535).to_bytes(4, "little")
    path = folder / "own.gguf"
    path.write_bytes(data)
    return path


def _settled(source: Path, target: Path) -> Path:
    """At once, as a pull does."""
    partial = target.with_name(target.name + ".part")
    shutil.copy(source, partial)
    return partial.replace(target)
