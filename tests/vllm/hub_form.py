"""Models in the hub's form, made here: the pocket mind's own weights, and a random Orpheus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from brain.engines.recipes import POCKET
from brain.engines.tts.orpheus.frames import VOCABULARY

_CONTROL, _USER_DEFINED = 3, 4
# As Qwen2's, which the pocket mind was trained with.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def pocket_mind(folder: Path) -> Path:
    """The pocket mind, a Qwen3, with the very weights of its GGUF as 32-bit numbers."""
    reader = GGUFReader(POCKET / "mind.gguf")
    told = {name: field.contents() for name, field in reader.fields.items()}
    weights = {
        _name(tensor.name): np.ascontiguousarray(
            dequantize(tensor.data, tensor.tensor_type), np.float32
        )
        for tensor in reader.tensors
    }
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    end = int(told["tokenizer.ggml.eos_token_id"])
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": len(told["tokenizer.ggml.tokens"]),
        "hidden_size": told["qwen3.embedding_length"],
        "num_hidden_layers": told["qwen3.block_count"],
        "intermediate_size": told["qwen3.feed_forward_length"],
        "num_attention_heads": told["qwen3.attention.head_count"],
        "num_key_value_heads": told["qwen3.attention.head_count_kv"],
        "head_dim": told["qwen3.attention.key_length"],
        "rms_norm_eps": told["qwen3.attention.layer_norm_rms_epsilon"],
        "rope_theta": told["qwen3.rope.freq_base"],
        "max_position_embeddings": told["qwen3.context_length"],
        "hidden_act": "silu",
        "attention_bias": False,
        "tie_word_embeddings": True,
        "eos_token_id": end,
        "torch_dtype": "float32",
    }
    _write(folder / "config.json", config)
    _write(folder / "generation_config.json", {"eos_token_id": end})
    _tokenizer(told).save(str(folder / "tokenizer.json"))
    spelt = told["tokenizer.ggml.tokens"]
    named = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": spelt[end],
        "pad_token": spelt[told["tokenizer.ggml.padding_token_id"]],
        "chat_template": told["tokenizer.chat_template"],
    }
    _write(folder / "tokenizer_config.json", named)
    return folder


def _name(name: str) -> str:
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{_IN_LAYER[part]}.{kind}"


def _tokenizer(told: dict[str, Any]) -> Tokenizer:
    spelt, kinds = told["tokenizer.ggml.tokens"], told["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in told["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({text: i for i, text in enumerate(spelt)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    for text, kind in zip(spelt, kinds, strict=True):
        if kind in (_CONTROL, _USER_DEFINED):
            special = kind == _CONTROL
            made.add_tokens([AddedToken(text, special=special, normalized=False)])
    return made


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def random_orpheus(folder: Path) -> Path:
    """A Llama with Orpheus's vocabulary, narrow, random weights. It never ends of itself."""
    random = np.random.default_rng(7)
    width, inner, size = 64, 128, VOCABULARY + 2
    layer = {
        "self_attn.q_proj": (width, width),
        "self_attn.k_proj": (width, width),
        "self_attn.v_proj": (width, width),
        "self_attn.o_proj": (width, width),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
        "input_layernorm": (width,),
        "post_attention_layernorm": (width,),
    }
    shapes = {"model.embed_tokens.weight": (size, width), "model.norm.weight": (width,)}
    shapes |= {f"model.layers.{i}.{name}.weight": s for i in range(2) for name, s in layer.items()}
    weights = {
        name: np.ones(shape, np.float32)
        if len(shape) == 1
        else random.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": size,
        "hidden_size": width,
        "num_hidden_layers": 2,
        "intermediate_size": inner,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": 128_000,
        "eos_token_id": 128_009,
        "torch_dtype": "float32",
    }
    _write(folder / "config.json", config)
    # Bytes are the only tokens that a text can become; the others have names that say which.
    spelt = {text: i for i, text in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    spelt |= {f"<word_{i}>": i for i in range(len(spelt), 128_256)}
    spelt |= {f"<custom_token_{i - 128_256}>": i for i in range(128_256, size)}
    made = Tokenizer(models.BPE(spelt, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    return folder
