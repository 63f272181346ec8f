"""A Llama of a few MB with the vocabulary of Orpheus, which babbles frames of random codes.

Its two layers are random. Its embeddings are random, too, but for nine of their dimensions: they
say which place of a frame a token is for, so that what follows is mostly for the next place, now
and then a token of no sound, and in the end the end of speech. A paced one has two more: its first
layer looks at all tokens alike, so it knows the share of them that is text, and ends when that is
small.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.engines.gguf_file import ARRAY, BOOL, FLOAT32, INT32, STRING, UINT32, q8_0, write_gguf

VOCABULARY = 156_940
END = 128_258
GARBAGE = tuple(range(1000, 1032))
_START_OF_SPEECH, _FIRST_CUSTOM, _FIRST_AUDIO, _CODES = 128_257, 128_256, 128_266, 4096
_WIDTH, _HEADS, _HIDDEN, _LAYERS, _CONTEXT = 32, 2, 64, 2, 8192
_CONSTANT, _BEGINNING = 7, 8
"""The dimension that is the same for all tokens, and the one that only the start of speech has;
those before them are the places'."""
_TEXT, _SHARE = 9, 10
"""The dimensions of a paced one: a token is text, and how much of what came before is."""
_LEAST_SHARE, _SHARPNESS = 0.36, 60.0

_NORMAL, _CONTROL = 1, 3


def write_orpheus(
    path: Path,
    *,
    likely_end: float = 1 / 100,
    orderly: bool = False,
    paced: bool = False,
    seed: int = 1,
) -> Path:
    """Write the model to `path`. `likely_end`: that a token is the end of speech (0: never).

    `orderly`: it ends after whole frames alone, `likely_end` after each, and garbage between two
    tokens doesn't make it lose its place; so it says something each time. `paced`: in place of
    `likely_end`, its end comes after some 1.7 tokens for each byte of its text, and
    it writes no garbage.
    """
    tokens, kinds = _vocabulary()
    facts = _FACTS | {
        "tokenizer.ggml.tokens": (ARRAY, (STRING, tokens)),
        "tokenizer.ggml.token_type": (ARRAY, (INT32, kinds)),
        "tokenizer.ggml.merges": (ARRAY, (STRING, ["a b"])),
    }
    tensors = _tensors(np.random.default_rng(seed), likely_end, orderly)
    if paced:
        _pace(tensors)
    # Nearly all of a token's time goes into its 156 940 rows.
    return write_gguf(path, facts, tensors | {"output.weight": q8_0(tensors["output.weight"])})


_FACTS: dict[str, tuple[int, Any]] = {
    "general.architecture": (STRING, "llama"),
    "general.name": (STRING, "A babbling stand-in for Orpheus"),
    "llama.context_length": (UINT32, _CONTEXT),
    "llama.embedding_length": (UINT32, _WIDTH),
    "llama.block_count": (UINT32, _LAYERS),
    "llama.feed_forward_length": (UINT32, _HIDDEN),
    "llama.attention.head_count": (UINT32, _HEADS),
    "llama.attention.head_count_kv": (UINT32, 1),
    "llama.attention.layer_norm_rms_epsilon": (FLOAT32, 1e-5),
    "llama.rope.dimension_count": (UINT32, _WIDTH // _HEADS),
    "llama.rope.freq_base": (FLOAT32, 500_000.0),
    "llama.vocab_size": (UINT32, VOCABULARY),
    "tokenizer.ggml.model": (STRING, "gpt2"),
    "tokenizer.ggml.pre": (STRING, "llama-bpe"),
    "tokenizer.ggml.bos_token_id": (UINT32, 128_000),
    "tokenizer.ggml.eos_token_id": (UINT32, 128_009),
    "tokenizer.ggml.add_bos_token": (BOOL, True),
}


def _tensors(
    random: np.random.Generator, likely_end: float, orderly: bool
) -> dict[str, NDArray[Any]]:
    def matrix(rows: int, columns: int, size: float) -> NDArray[np.float16]:
        scale = size / np.sqrt(columns)
        return (random.standard_normal((rows, columns), np.float32) * scale).astype(np.float16)

    embeddings = matrix(VOCABULARY, _WIDTH, 0.5 * np.sqrt(_WIDTH))
    output = matrix(VOCABULARY, _WIDTH, 0.05 * np.sqrt(_WIDTH))
    embeddings[:, : _BEGINNING + 1] = 0
    output[:, : _BEGINNING + 1] = 0
    embeddings[:, _CONSTANT] = 3
    loud = 2.0
    for place in range(7):
        ids = slice(_FIRST_AUDIO + place * _CODES, _FIRST_AUDIO + (place + 1) * _CODES)
        embeddings[ids, place] = 3
        output[ids, (place - 1) % 7] = loud
    embeddings[_START_OF_SPEECH, [6, _BEGINNING]] = 3
    output[END, _BEGINNING] = -2 * loud  # not at once
    for token in GARBAGE:  # after which it goes on at any place
        embeddings[token, 3 if orderly else token % 7] = 3
    # What isn't 0 of the nine is about 3.4 after the norm; the sampler's temperature is 0.6.
    share = 0.6 / 3.4
    garbage = loud + share * np.log(_CODES * 0.05 / len(GARBAGE))
    output[list(GARBAGE), 3 if orderly else _CONSTANT] = garbage
    end = loud + share * np.log(_CODES * likely_end) if likely_end else -loud
    output[END, 6 if orderly else _CONSTANT] = end
    tensors = {"token_embd.weight": embeddings, "output.weight": output}
    head = _WIDTH // _HEADS
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        tensors |= {
            block + "attn_q.weight": matrix(_WIDTH, _WIDTH, 1),
            block + "attn_k.weight": matrix(head, _WIDTH, 1),
            block + "attn_v.weight": matrix(head, _WIDTH, 0.3),
            block + "attn_output.weight": matrix(_WIDTH, _WIDTH, 0.3),
            block + "ffn_gate.weight": matrix(_HIDDEN, _WIDTH, 1),
            block + "ffn_up.weight": matrix(_HIDDEN, _WIDTH, 0.3),
            block + "ffn_down.weight": matrix(_WIDTH, _HIDDEN, 0.3),
        }
    norms = ["output_norm.weight"]
    norms += [f"blk.{layer}.{part}_norm.weight" for layer in range(_LAYERS) for part in _NORMED]
    return tensors | {name: np.ones(_WIDTH, np.float32) for name in norms}


def _pace(tensors: dict[str, NDArray[Any]]) -> None:
    embeddings, output = tensors["token_embd.weight"], tensors["output.weight"]
    for matrix in (embeddings, output):
        matrix[:, [_TEXT, _SHARE]] = 0
    embeddings[:257, _TEXT] = 3
    output[list(GARBAGE)] = 0  # the likeliest of all, once one has been written
    for layer in range(_LAYERS):
        for part in ("attn_output", "ffn_down"):
            tensors[f"blk.{layer}.{part}.weight"][[_TEXT, _SHARE]] = 0
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        tensors[f"blk.0.{part}.weight"][:] = 0
    tensors["blk.0.attn_v.weight"][0, _TEXT] = 1
    tensors["blk.0.attn_output.weight"][_SHARE, 0] = 1
    # After the norm the share is about four times itself, and 3.4 is what the others are. At the
    # least share, and after the last place of a frame, the end is as likely as all codes together.
    at_least = 6.8 + 0.6 * np.log(_CODES) + 4 * _SHARPNESS * _LEAST_SHARE
    last_place = 8.0
    output[END, [6, _CONSTANT, _SHARE]] = [last_place, at_least / 3.4 - last_place, -_SHARPNESS]


_NORMED = ("attn", "ffn")


def _vocabulary() -> tuple[list[str], list[int]]:
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    # (The order of a real vocabulary is another one: here a byte is its own number.)
    letters = {byte: chr(byte) for byte in shown}
    letters |= {byte: chr(256 + index) for index, byte in enumerate(hidden)}
    tokens = [letters[byte] for byte in range(256)] + ["ab"]
    tokens += [f"filler{index}" for index in range(len(tokens), 128_000)]
    tokens += [f"<|special{index}|>" for index in range(128_000, _FIRST_CUSTOM)]
    tokens += [f"<custom_token_{index}>" for index in range(VOCABULARY - _FIRST_CUSTOM)]
    return tokens, [_NORMAL] * 128_000 + [_CONTROL] * (VOCABULARY - 128_000)
