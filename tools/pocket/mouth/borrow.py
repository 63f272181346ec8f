# ruff: noqa: RUF001 - phonetic letters look like others, and mean something else
"""Sounds that English doesn't have borrow the nearest one that the voice has learnt.

Text in other scripts makes espeak-ng name them; untrained embeddings would be noise.
"""

from __future__ import annotations

import torch
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

from .net import Acoustic

SILENT = "ʲ"
"""Learnt as a token without a sound of its own: what isn't a sound borrows this one."""

_ENOUGH = 3
_NEAREST = {
    "k": "cq",
    "h": "xħɦʜχX",
    "i": "y",
    "ɪ": "ɨʏ",
    "ʃ": "çɕɧʂ",
    "ʒ": "ʐʑ",
    "ɜ": "øœɞɝ",
    "ə": "ɘɵɐ",
    "ɑ": "ɒ",
    "æ": "ɶ",
    "ɛ": "ε",
    "ʌ": "ɤ",
    "u": "ɯʉ",
    "b": "ɓʙβ",
    "d": "ɖɗɟʄ",
    "t": "ʈʦǀǁǂǃ",
    "p": "ʘ",
    "ɡ": "ɠɢɣʛg",
    "f": "ɸ",
    "v": "ʋⱱ",
    "w": "ɥɰʍ",
    "j": "ʝ",
    "l": "ɫɬɭɮɺʎʟ",
    "ɹ": "rɻʀʁ",
    "ɾ": "ɽ",
    "m": "ɱ",
    "n": "ɲɳ",
    "ŋ": "ɴ",
    "ʔ": "ʕʡʢ",
}


def lender(symbol: str) -> str:
    """The symbol whose sound `symbol` borrows if it was never learnt."""
    for lent, borrowers in _NEAREST.items():
        if symbol in borrowers:
            return lent
    return SILENT


def borrow(net: Acoustic, counts: dict[str, int]) -> int:
    """Fill the embeddings of symbols that were heard less than a few times; returns how many."""
    filled = 0
    with torch.no_grad():
        weight = net.embedding.weight
        for symbol, ids in DEFAULT_PHONEME_ID_MAP.items():
            if symbol in "_^$" or counts.get(symbol, 0) >= _ENOUGH:
                continue
            near = lender(symbol)
            source = near if counts.get(near, 0) >= _ENOUGH else SILENT
            weight[ids[0]] = weight[DEFAULT_PHONEME_ID_MAP[source][0]]
            filled += 1
    return filled
