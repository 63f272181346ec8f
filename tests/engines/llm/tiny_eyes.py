"""Random eyes for the pocket mind: mmproj files of a few hundred KB that llama.cpp's mtmd accepts.

What such a mind says of a picture means nothing; that it depends on the picture, and on nothing
else, is what tests are after. With the second kind (Qwen-VL's) positions have several dimensions:
it goes with a pocket mind whose file is retold as a Qwen3-VL, which answers texts as before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.engines.recipes import POCKET
from tests.engines.gguf_file import (
    ARRAY,
    BOOL,
    FLOAT32,
    INT32,
    STRING,
    UINT32,
    retold,
    write_gguf,
)

MIND = POCKET / "mind.gguf"
_MIND_WIDTH = 256
_WIDTH, _HIDDEN, _LAYERS, _HEADS, _PATCH, _SIDE = 32, 64, 2, 2, 14, 112
LLAVA_TOKENS = (_SIDE // _PATCH) ** 2


def write_llava_eyes(path: Path, *, width: int = _MIND_WIDTH, seed: int = 1) -> Path:
    """LLaVA's form: every picture is `LLAVA_TOKENS` tokens. `width`: of the mind's embeddings."""
    random = _Random(seed)
    tensors = random.tower(bias=True) | {
        "v.class_embd": random.vector(_WIDTH),
        "v.patch_embd.weight": random.patch(),
        "v.position_embd.weight": random.matrix(LLAVA_TOKENS + 1, _WIDTH),
        "v.pre_ln.weight": np.ones(_WIDTH, np.float32),
        "v.pre_ln.bias": random.vector(_WIDTH),
        "mm.0.weight": random.matrix(_HIDDEN, _WIDTH),
        "mm.0.bias": random.vector(_HIDDEN),
        "mm.2.weight": random.matrix(width, _HIDDEN),
        "mm.2.bias": random.vector(width),
    }
    return write_gguf(path, _facts("mlp", width), tensors)


def write_qwen_eyes(path: Path, *, seed: int = 1) -> Path:
    """Qwen3-VL's form: as many tokens as the picture has squares of 28 pixels."""
    random = _Random(seed)
    merged = 4 * _WIDTH
    tensors = random.tower(bias=True, fused=True) | {
        "v.patch_embd.weight": random.patch(),
        "v.patch_embd.weight.1": random.patch(),
        "v.patch_embd.bias": random.vector(_WIDTH),
        "v.position_embd.weight": random.matrix((_SIDE // _PATCH) ** 2, _WIDTH),
        "v.post_ln.weight": np.ones(_WIDTH, np.float32),
        "v.post_ln.bias": random.vector(_WIDTH),
        "mm.0.weight": random.matrix(merged, merged),
        "mm.0.bias": random.vector(merged),
        "mm.2.weight": random.matrix(_MIND_WIDTH, merged),
        "mm.2.bias": random.vector(_MIND_WIDTH),
    }
    return write_gguf(path, _facts("qwen3vl_merger", _MIND_WIDTH), tensors)


def write_qwen_mind(path: Path) -> Path:
    """The pocket mind as a Qwen3-VL, whose positions have three dimensions."""

    def change(facts: dict[str, tuple[int, Any]]) -> dict[str, tuple[int, Any]]:
        new = {key.replace("qwen3.", "qwen3vl."): value for key, value in facts.items()}
        new["general.architecture"] = (STRING, "qwen3vl")
        new["qwen3vl.rope.dimension_sections"] = (ARRAY, (INT32, [12, 10, 10, 0]))
        new["qwen3vl.n_deepstack_layers"] = (UINT32, 0)
        return new

    return retold(MIND, path, change)


_IN_PARTS = """<|im_start|>system
talk<|im_end|>
{% for message in messages if message.role != 'system' %}
{{- '<|im_start|>' + message.role + '\n' }}
{%- for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%}
"""


def write_mind_of_parts(path: Path) -> Path:
    """The pocket mind with a chat template that takes what is said only as a list of parts, as
    SmolVLM's does."""

    def change(facts: dict[str, tuple[int, Any]]) -> dict[str, tuple[int, Any]]:
        return facts | {"tokenizer.chat_template": (STRING, _IN_PARTS)}

    return retold(MIND, path, change)


class _Random:
    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def matrix(self, rows: int, columns: int) -> NDArray[np.float32]:
        return self._random.standard_normal((rows, columns), np.float32) / np.sqrt(
            columns, dtype=np.float32
        )

    def vector(self, size: int) -> NDArray[np.float32]:
        return self._random.standard_normal(size, np.float32) * np.float32(0.1)

    def patch(self) -> NDArray[np.float32]:
        shape = (_WIDTH, 3, _PATCH, _PATCH)
        return self._random.standard_normal(shape, np.float32) / np.float32(_PATCH)

    def tower(self, *, bias: bool, fused: bool = False) -> dict[str, NDArray[np.float32]]:
        tensors: dict[str, NDArray[np.float32]] = {}
        parts = [("attn_qkv", 3 * _WIDTH, _WIDTH)] if fused else []
        parts += [] if fused else [(f"attn_{part}", _WIDTH, _WIDTH) for part in ("q", "k", "v")]
        parts += [("attn_out", _WIDTH, _WIDTH)]
        parts += [("ffn_up", _HIDDEN, _WIDTH), ("ffn_down", _WIDTH, _HIDDEN)]
        for layer in range(_LAYERS):
            for part, rows, columns in parts:
                tensors[f"v.blk.{layer}.{part}.weight"] = self.matrix(rows, columns)
                if bias:
                    tensors[f"v.blk.{layer}.{part}.bias"] = self.vector(rows)
            for norm in ("ln1", "ln2"):
                tensors[f"v.blk.{layer}.{norm}.weight"] = np.ones(_WIDTH, np.float32)
                tensors[f"v.blk.{layer}.{norm}.bias"] = self.vector(_WIDTH)
        return tensors


def _facts(projector: str, width: int) -> dict[str, tuple[int, Any]]:
    return {
        "general.architecture": (STRING, "clip"),
        "clip.has_vision_encoder": (BOOL, True),
        "clip.projector_type": (STRING, projector),
        "clip.use_gelu": (BOOL, True),
        "clip.vision.image_size": (UINT32, _SIDE),
        "clip.vision.patch_size": (UINT32, _PATCH),
        "clip.vision.embedding_length": (UINT32, _WIDTH),
        "clip.vision.feed_forward_length": (UINT32, _HIDDEN),
        "clip.vision.projection_dim": (UINT32, width),
        "clip.vision.block_count": (UINT32, _LAYERS),
        "clip.vision.attention.head_count": (UINT32, _HEADS),
        "clip.vision.attention.layer_norm_epsilon": (FLOAT32, 1e-6),
        "clip.vision.image_mean": (ARRAY, (FLOAT32, [0.5, 0.5, 0.5])),
        "clip.vision.image_std": (ARRAY, (FLOAT32, [0.25, 0.25, 0.25])),
        "clip.vision.spatial_merge_size": (UINT32, 2),
    }
