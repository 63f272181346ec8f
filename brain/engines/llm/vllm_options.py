"""How a model is run and asked by vLLM. Imports nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BRAIN_PID = "ROBOT_BRAIN_PID"
"""In the environment of vLLM's processes: the one with which they are to end."""


@dataclass(frozen=True)
class VllmShape:
    """How a model is run. `model` is a folder, or a repository on the hub that `token` may open.

    `share` of the GPU's memory, 0..1, is taken at once and kept. Each sequence has up to `context`
    tokens, and up to `sequences` are written at once, `batch` tokens a step. A prompt has up
    to `images` pictures, of a model that sees. `prefix` of the settings' names, in what is said to
    people: VLLM, ORPHEUS. `more`: other arguments of vLLM's.
    """

    model: str
    dtype: str = "auto"
    share: float = 0.35
    context: int = 4096
    sequences: int = 2
    batch: int = 256
    images: int = 0
    token: str = ""
    prefix: str = "VLLM"
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VllmOptions:
    """How a model is run (`shape`) and asked. `max_tokens`: of an answer. `name` is for people
    (default: the folder's, or the repository)."""

    shape: VllmShape
    name: str = ""
    temperature: float = 0.7
    max_tokens: int = 512
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """More of vLLM's sampling parameters, by name. The model's makers' advice is under it."""
