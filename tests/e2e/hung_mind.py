"""A brain whose mind follows a script: it answers once, then hangs, deaf to its cancel, and what
would replace it hangs as well, as on a GPU that is wedged. All else is the real brain.

    python -m tests.e2e.hung_mind serve ...
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Sequence

from brain.cli import main
from brain.engines import hangs, loader
from brain.engines.ladder import GivenUp, Rung
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.ports import LanguageModel
from brain.settings import Settings
from tests.scripted_engines import Hang, ScriptedMind

PATIENCE_S = 1.0
"""For an answer, for the letting go, and for a replacement: each."""


def hanging_rungs(_: Settings) -> Sequence[Rung[LanguageModel]]:
    builds = itertools.count()

    async def build(given_up: GivenUp) -> LanguageModel:
        if next(builds):
            await asyncio.Event().wait()
        engine: LanguageModel = ScriptedMind(["I am here.", [Hang(deaf=True)]])
        limits = LaneLimits(first_s=PATIENCE_S, next_s=PATIENCE_S, grace_s=PATIENCE_S)
        return LaneLanguageModel(Lane(engine, limits, given_up=given_up))

    async def check(_: LanguageModel) -> None:
        return None

    return [Rung("scripted", build, check, embedded=True)]


if __name__ == "__main__":
    vars(loader)["language_model_rungs"] = hanging_rungs
    hangs.REPLACED_WITHIN_S = PATIENCE_S
    sys.exit(main())
