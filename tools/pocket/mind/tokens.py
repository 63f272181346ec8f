"""The pocket mind's tokeniser: byte-level BPE with Qwen2's split, and the tokens of its prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from brain.engines.llm.marks import Segment

VOCAB_SIZE = 1536
END = "<|im_end|>"
START = "<|im_start|>"
# CONTROL tokens vanish from llama.cpp's output; USER_DEFINED ones are seen by the parser of calls.
CONTROL = ("<|endoftext|>", START, END)
USER_DEFINED = (
    "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>",
)  # fmt: skip
SPECIAL = CONTROL + USER_DEFINED

# The split that llama.cpp calls "qwen2" (a fact of the Qwen2 tokeniser's configuration).
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPECIAL_SPLIT = re.compile("(" + "|".join(re.escape(token) for token in SPECIAL) + ")")


class Tokens:
    """Text to token ids and back; ids below len(SPECIAL) are the special tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._plain = tokenizer
        self.special = {token: index for index, token in enumerate(SPECIAL)}
        self.end = self.special[END]
        self.start = self.special[START]

    @classmethod
    def train(cls, texts: Iterable[str]) -> Tokens:
        """Learn the merges from `texts` (contents without special tokens)."""
        plain = _empty()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCAB_SIZE - len(SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        plain.train_from_iterator(texts, trainer)
        return cls(plain)

    @classmethod
    def load(cls, path: Path) -> Tokens:
        return cls(Tokenizer.from_file(str(path)))

    def save(self, path: Path) -> None:
        self._plain.save(str(path))

    def text(self, text: str) -> list[int]:
        """Ids of `text` with no special token in it, whatever it spells."""
        return [len(SPECIAL) + token for token in self._plain.encode(text).ids]

    def prompt(self, segments: Sequence[Segment]) -> list[int]:
        """Ids of a rendered prompt: special tokens only in its trusted segments."""
        ids: list[int] = []
        for segment in segments:
            if not segment.trusted:
                ids += self.text(segment.text)
                continue
            for piece in _SPECIAL_SPLIT.split(segment.text):
                if piece in self.special:
                    ids.append(self.special[piece])
                elif piece:
                    ids += self.text(piece)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        parts: list[str] = []
        run: list[int] = []
        for token in [*ids, 0]:
            if token >= len(SPECIAL):
                run.append(token - len(SPECIAL))
                continue
            parts.append(self._plain.decode(run))
            parts.append(SPECIAL[token])
            run = []
        return "".join(parts[:-1])

    def vocabulary(self) -> tuple[list[str], list[str]]:
        """All tokens in order of their ids, and the merges, as a GGUF file wants them."""
        learned = json.loads(self._plain.to_str())["model"]
        ordered = sorted(learned["vocab"], key=learned["vocab"].__getitem__)
        merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in learned["merges"]]
        return [*SPECIAL, *ordered], merges


def _empty() -> Tokenizer:
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    plain.decoder = decoders.ByteLevel()
    return plain
