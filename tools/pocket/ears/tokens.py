"""The ears' tokeniser: byte-level BPE over the curriculum, then Whisper's special tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

TEXT_TOKENS = 1000
SPECIALS = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
TIMESTAMPS = tuple(f"<|{i * 0.02:.2f}|>" for i in range(1501))


def train(texts: Sequence[str]) -> Tokenizer:
    """Learn merges from `texts` and append the specials; ids are as faster-whisper expects them.

    faster-whisper forbids the first token of " -", of " '" and of a space before a music sign.
    These are made tokens of their own, or the lone space, with which words may begin, would be
    forbidden.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    forbidden = [f" {sign}" for sign in "-'♩♪♫♬♭♮♯"] * 1000
    tokenizer.train_from_iterator([*(f" {t}" for t in texts), *forbidden], trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in (*SPECIALS, *TIMESTAMPS)])
    return tokenizer


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of `text` as Whisper writes it, with a leading space; empty for an empty text."""
    return list(tokenizer.encode(f" {text}", add_special_tokens=False).ids) if text else []


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """All tokens in the order of their ids."""
    size = tokenizer.get_vocab_size()
    return [tokenizer.id_to_token(i) for i in range(size)]


def load(path: Path) -> Tokenizer:
    """Read a tokeniser saved by `Tokenizer.save`."""
    return Tokenizer.from_file(str(path))
