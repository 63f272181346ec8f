"""Headers of GGUF files: of a real one as llama.cpp reads it, of made ones, and of broken ones."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from brain.engines.llm.native import NativeModel
from brain.engines.recipes import POCKET
from brain.models import gguf

MIND = POCKET / "mind.gguf"
UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def packed(value: Any) -> bytes:
    """A value behind its type."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + text(value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    if isinstance(value, list):
        of = STRING if isinstance(value[0], str) else UINT32
        rows = [text(one) if of == STRING else struct.pack("<I", one) for one in value]
        return struct.pack("<IIQ", ARRAY, of, len(value)) + b"".join(rows)
    return struct.pack("<II", UINT32, value)


def header(pairs: dict[str, Any], *, count: int | None = None, version: int = 3) -> bytes:
    start = b"GGUF" + struct.pack("<IQQ", version, 0, len(pairs) if count is None else count)
    return start + b"".join(text(name) + packed(value) for name, value in pairs.items())


def read(tmp_path: Path, data: bytes) -> gguf.Header | None:
    file = tmp_path / "model.gguf"
    file.write_bytes(data)
    return gguf.read(file)


LLAMA = {
    "general.architecture": "llama", "llama.block_count": 32, "llama.embedding_length": 4096,
    "llama.attention.head_count": 32, "llama.attention.head_count_kv": 8,
    "llama.rope.freq_base": 500000.0, "tokenizer.ggml.tokens": ["a", "b", "<|eot_id|>"],
}  # fmt: skip


def test_the_pocket_minds_is_what_llama_cpp_makes_of_it() -> None:
    found = gguf.read(MIND)
    assert found is not None
    model = NativeModel(MIND)
    try:
        widths = [model._number(f"attention.{name}_length") for name in ("key", "value")]
        assert found.pairs["qwen3.context_length"] == model.trained_context
        assert found.pairs["qwen3.vocab_size"] == model.n_vocab
    finally:
        model.close()
    assert found.layers == 6
    assert found.cache_bytes == 2 * 6 * 2 * sum(widths) == 3072


def test_llama_3_takes_128_kib_a_token(tmp_path: Path) -> None:
    found = read(tmp_path, header(LLAMA))
    assert found is not None
    assert (found.layers, found.cache_bytes) == (32, 128 * 1024), "half a GiB for 4096 tokens"
    assert found.pairs["tokenizer.ggml.tokens"] is None, "nobody needs them here"
    assert found.pairs["llama.rope.freq_base"] == 500000.0


@pytest.mark.parametrize(
    ("changes", "bytes_a_token"),
    [
        ({"llama.attention.key_length": 256, "llama.attention.value_length": 64},
         2 * 32 * 8 * (256 + 64)),
        ({"llama.attention.head_count_kv": [8] * 4 + [0] * 28}, 2 * 4 * 8 * 256),
        ({"llama.attention.head_count_kv": "eight"}, 2 * 32 * 32 * 256),
        ({"llama.block_count": "many"}, None),
        ({"llama.attention.head_count": 0}, None),
        ({"llama.embedding_length": "wide"}, None),
        ({"general.architecture": "other"}, None),
    ],
)  # fmt: skip
def test_what_a_token_takes(
    tmp_path: Path, changes: dict[str, Any], bytes_a_token: int | None
) -> None:
    found = read(tmp_path, header({**LLAMA, **changes}))
    assert found is not None
    assert found.cache_bytes == bytes_a_token


def test_a_header_that_is_cut_anywhere_is_none(tmp_path: Path) -> None:
    whole = header(LLAMA)
    assert read(tmp_path, whole) is not None
    assert not [cut for cut in range(len(whole)) if read(tmp_path, whole[:cut]) is not None]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04" + b"\0" * 60,
        header(LLAMA, version=1),
        header(LLAMA, count=1 << 40),
        header({}, count=1) + struct.pack("<Q", 1 << 50),
        header({}, count=1) + text("a") + struct.pack("<I", 99),
        header({}, count=1) + text("a") + struct.pack("<IIQ", ARRAY, UINT32, 1 << 50),
        header({}, count=1) + text("a") + struct.pack("<IIQ", ARRAY, ARRAY, 1),
    ],
)
def test_what_is_no_header_is_none(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data) is None


def test_what_is_not_there_or_a_folder_is_none(tmp_path: Path) -> None:
    assert gguf.read(tmp_path / "missing.gguf") is None
    assert gguf.read(tmp_path) is None
