"""Choosing the next token with llama.cpp's samplers, held to a grammar where there is one."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as api
from numpy.typing import NDArray

from brain.engines.llm.grammar import Grammar
from brain.engines.llm.native import NativeContext, NativeModel

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy, `repeat_penalty` 1 is none.

    `repeat_window`: how many of the last tokens must not be repeated. `seed` None: another one for
    each reply.
    """

    temperature: float = 0.7
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    repeat_window: int = 64
    seed: int | None = None


class Sampler:
    """Chooses the tokens of one reply.

    `banned` tokens are never chosen. Raises ValueError if llama.cpp can't read the grammar.
    """

    def __init__(
        self,
        model: NativeModel,
        sampling: Sampling,
        grammar: Grammar | None = None,
        banned: tuple[int, ...] = (),
    ) -> None:
        self._n_vocab = model.n_vocab
        self._banned = list(banned)
        self._grammar = None
        if grammar is not None:
            self._grammar = model.sampler(grammar, lambda: _grammar_sampler(model, grammar))
        self._chain = _chain(model, sampling)
        self._ids = np.arange(model.n_vocab, dtype=np.int32)

    def sample(self, context: NativeContext, index: int) -> int:
        """The token after entry `index` of the batch just decoded, which asked for it.

        Without a grammar first and checked after: to try every token of a large vocabulary on a
        grammar takes longer than to run a small model.
        """
        logits = context.logits(index, self._n_vocab)
        token = self._pick(self._candidates(logits))
        if not self.allows(token):
            candidates = self._candidates(logits)
            self._apply(self._grammar, candidates)
            token = self._pick(candidates)
        self.accept([token])
        return token

    def accept(self, tokens: Sequence[int]) -> None:
        """These tokens have been written."""
        for token in tokens:
            if self._grammar is not None:
                api.llama_sampler_accept(self._grammar, token)
            api.llama_sampler_accept(self._chain, token)

    def allows(self, token: int) -> bool:
        """Whether the grammar lets `token` come next."""
        if self._grammar is None:
            return True
        alone = np.zeros(1, dtype=_CANDIDATE)
        alone["id"] = token
        array = self._apply(self._grammar, alone)
        return bool(array.size > 0 and array.data[0].logit != -np.inf)

    def close(self) -> None:
        """Free the samplers. Closing twice is the same as once."""
        chain, self._chain = self._chain, None
        grammar, self._grammar = self._grammar, None
        for sampler in (chain, grammar):
            if sampler:
                api.llama_sampler_free(sampler)

    def _candidates(self, logits: NDArray[np.float32]) -> NDArray[Any]:
        candidates = np.empty(self._n_vocab, dtype=_CANDIDATE)
        candidates["id"] = self._ids
        candidates["logit"] = logits
        candidates["p"] = 0.0
        if self._banned:
            candidates["logit"][self._banned] = -np.inf
        return candidates

    def _pick(self, candidates: NDArray[Any]) -> int:
        array = self._apply(self._chain, candidates)
        selected = array.selected if array.selected >= 0 else 0
        return int(array.data[selected].id)

    @staticmethod
    def _apply(sampler: Any, candidates: NDArray[Any]) -> Any:
        array = api.llama_token_data_array(
            data=candidates.ctypes.data_as(api.llama_token_data_p),
            size=len(candidates),
            selected=-1,
            sorted=False,
        )
        api.llama_sampler_apply(sampler, ctypes.byref(array))
        return array


def _chain(model: NativeModel, sampling: Sampling) -> Any:
    chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())

    def add(sampler: Any) -> None:
        api.llama_sampler_chain_add(chain, sampler)

    if sampling.repeat_penalty != 1.0:
        add(
            api.llama_sampler_init_penalties(
                model.n_vocab, sampling.repeat_window, sampling.repeat_penalty, 0.0, 0.0
            )
        )
    if sampling.temperature <= 0:
        add(api.llama_sampler_init_greedy())
        return chain
    if sampling.top_k > 0:
        add(api.llama_sampler_init_top_k(sampling.top_k))
    add(api.llama_sampler_init_top_p(sampling.top_p, 1))
    add(api.llama_sampler_init_min_p(sampling.min_p, 1))
    add(api.llama_sampler_init_temp(sampling.temperature))
    seed = api.LLAMA_DEFAULT_SEED if sampling.seed is None else sampling.seed
    add(api.llama_sampler_init_dist(seed))
    return chain


def _grammar_sampler(model: NativeModel, grammar: Grammar) -> Any:
    text = grammar.text.encode()
    if not grammar.trigger:
        sampler = api.llama_sampler_init_grammar(model.vocab, text, b"root")
    else:
        marker = model.tokenize(grammar.trigger, special=True)
        tokens = marker if len(marker) == 1 else []
        patterns = [grammar.pattern] if grammar.pattern else []
        if not tokens:
            patterns.append(r"[\s\S]*?(" + _escaped(grammar.trigger) + r")[\s\S]*")
        sampler = api.llama_sampler_init_grammar_lazy_patterns(
            model.vocab,
            text,
            b"root",
            (ctypes.c_char_p * len(patterns))(*(pattern.encode() for pattern in patterns)),
            len(patterns),
            (api.llama_token * len(tokens))(*tokens),
            len(tokens),
        )
    if not sampler:
        raise ValueError("llama.cpp can't read the grammar")
    return sampler


def _escaped(text: str) -> str:
    """For ECMAScript's regular expressions, as C++ has them."""
    return "".join("\\" + char if char in r"\^$.|?*+()[]{}/" else char for char in text)
