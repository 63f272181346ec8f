"""What all tests of vLLM share: small models, and one engine that is loaded once for most of them.

They run in .venv-vllm, on a CPU: `make test-vllm`.
"""

from __future__ import annotations

import os

# Before vLLM is imported. These are this machine's, and no settings of the brain.
os.environ |= {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}

from collections.abc import Iterator
from pathlib import Path

import pytest

from brain.engines.llm.vllm import VllmMind
from brain.engines.llm.vllm_options import VllmOptions, VllmShape
from brain.engines.ports import LanguageModel
from tests.engines.conformance.bench import Adapter, Bench, here
from tests.vllm.hub_form import pocket_mind, random_orpheus

PATIENCE_S = 300.0
"""To load an engine takes 15 to 60 s."""


@pytest.fixture(scope="session")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pocket mind in the hub's form."""
    return pocket_mind(tmp_path_factory.mktemp("models") / "pocket")


@pytest.fixture(scope="session")
def orpheus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Orpheus in the hub's form."""
    return random_orpheus(tmp_path_factory.mktemp("models") / "orpheus")


def options(folder: Path) -> VllmOptions:
    """The pocket mind, greedy, in full precision: as it is on llama.cpp."""
    shape = VllmShape(str(folder), dtype="float32", context=2048, sequences=4)
    return VllmOptions(shape, name="pocket", temperature=0.0, max_tokens=200)


@pytest.fixture(scope="session")
def bench(pocket: Path) -> Iterator[Bench[LanguageModel]]:
    """`bench.engine` is a `VllmMind`."""

    async def load() -> LanguageModel:
        return await VllmMind.load(options(pocket))

    made: Bench[LanguageModel] = Bench(Adapter("vllm", "cpu", here(load), patience_s=PATIENCE_S))
    yield made
    made.close()
