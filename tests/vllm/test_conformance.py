"""What every `LanguageModel` does, vLLM does: the cases of `tests/engines/conformance`."""

from __future__ import annotations

import pytest

from brain.engines.ports import LanguageModel
from tests.engines.conformance import test_minds
from tests.engines.conformance.bench import Bench


class TestVllm(test_minds.TestMinds):
    # (Of the others two do: each loads an engine.)
    @pytest.mark.parametrize("turns", [0, 5])
    def test_closing_ends_what_is_under_way(self, bench: Bench[LanguageModel], turns: int) -> None:
        super().test_closing_ends_what_is_under_way(bench, turns)
