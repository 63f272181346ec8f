"""The trained mind as a GGUF file (Qwen3 architecture, Q8_0, chat template inside)."""

from __future__ import annotations

import re
from pathlib import Path

import gguf
import numpy as np

from tools.pocket.mind.model import Mind
from tools.pocket.mind.tokens import CONTROL, SPECIAL, Tokens

_NAME = "robot-brain-pocket-mind"


def write_gguf(mind: Mind, codec: Tokens, template: str, path: Path) -> None:
    """Write `path`, whole or not at all. Matrices become Q8_0, vectors stay F32."""
    beside = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(beside, "qwen3")
    _describe(writer, mind)
    _vocabulary(writer, codec, template)
    for name, weight in mind.state_dict().items():
        data = weight.float().numpy()
        # PyTorch names a block's part blk.0.attn_q.weight, which is GGUF's own name for it.
        if data.ndim == 1:
            writer.add_tensor(name, data.astype(np.float32))
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    beside.replace(path)


def _describe(writer: gguf.GGUFWriter, mind: Mind) -> None:
    s = mind.shape
    writer.add_name(_NAME)
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(s.context)
    writer.add_embedding_length(s.width)
    writer.add_block_count(s.layers)
    writer.add_feed_forward_length(s.hidden)
    writer.add_head_count(s.heads)
    writer.add_head_count_kv(s.kv_heads)
    writer.add_key_length(s.head)
    writer.add_value_length(s.head)
    writer.add_layer_norm_rms_eps(s.epsilon)
    writer.add_rope_freq_base(s.rope_base)
    writer.add_vocab_size(s.vocab)


def _vocabulary(writer: gguf.GGUFWriter, codec: Tokens, template: str) -> None:
    tokens, merges = codec.vocabulary()
    kinds = [
        gguf.TokenType.CONTROL
        if token in CONTROL
        else gguf.TokenType.USER_DEFINED
        if token in SPECIAL
        else gguf.TokenType.NORMAL
        for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(codec.end)
    writer.add_eot_token_id(codec.end)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    # The template's own comments are for people who read its file.
    writer.add_chat_template(re.sub(r"\{#.*?#\}", "", template, flags=re.DOTALL))
