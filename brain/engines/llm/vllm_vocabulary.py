"""The vocabulary of a model in the hub's form: what its `tokenizer.json` says of its tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer

from brain.engines.ports import EngineUnavailable

_GUARD = "\n"


class HubVocabulary:
    """A `Vocabulary`. `tokenizer` is transformers' own, `ends` the ids that end a reply besides the
    tokenizer's; `model` is for people. Raises `EngineUnavailable` for one without a tokenizer.json.
    """

    def __init__(self, tokenizer: Any, ends: Iterable[int], model: str) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise EngineUnavailable(f"{model} has no tokenizer.json, which the brain needs.")
        # Two of our own: others' are shared with vLLM, and to switch one to and fro isn't safe.
        written = backend.to_str()
        self._special, self._plain = Tokenizer.from_str(written), Tokenizer.from_str(written)
        for own in (self._special, self._plain):
            own.no_truncation()
            own.no_padding()
        self._plain.encode_special_tokens = True
        template = getattr(tokenizer, "chat_template", None)
        if isinstance(template, dict):
            template = template.get("default")
        self.chat_template: str | None = template or None
        # In the hub's form the template itself writes the token that begins a prompt.
        self.bos: int | None = None
        self._bos_and_eos = (tokenizer.bos_token or "", tokenizer.eos_token or "")
        self._ends = {*ends, tokenizer.eos_token_id} - {None}
        self._guard = self._ids(self._plain, _GUARD)
        self._pads = self._unguarded(self._plain, "a") != self._ids(self._plain, "a")

    def bos_and_eos(self) -> tuple[str, str]:
        """As `Vocabulary.bos_and_eos`."""
        return self._bos_and_eos

    def special_tokens(self) -> tuple[dict[str, int], dict[str, int]]:
        """As `Vocabulary.special_tokens`."""
        control: dict[str, int] = {}
        defined: dict[str, int] = {}
        for token, added in self._special.get_added_tokens_decoder().items():
            (control if added.special else defined)[added.content] = token
        return control, defined

    def tokenize(self, text: str, *, special: bool, continues: bool = False) -> list[int]:
        """As `Vocabulary.tokenize`. Thread-safe."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        tokenizer = self._special if special else self._plain
        if continues and self._pads and text:
            return self._unguarded(tokenizer, text)
        return self._ids(tokenizer, text)

    def piece(self, token: int) -> bytes:
        """As `Vocabulary.piece`."""
        text: str = self._special.decode([token], skip_special_tokens=False)
        return text.encode()

    def ends_generation(self, token: int) -> bool:
        """As `Vocabulary.ends_generation`."""
        return token in self._ends

    def _ids(self, tokenizer: Tokenizer, text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _unguarded(self, tokenizer: Tokenizer, text: str) -> list[int]:
        """Those of `text` in the midst of others. (SentencePiece's kind puts a space before what it
        is given. A line break, which merges with nothing, takes it and is cut off.)"""
        ids = self._ids(tokenizer, _GUARD + text)
        guard = len(self._guard)
        return ids[guard:] if ids[:guard] == self._guard else ids
