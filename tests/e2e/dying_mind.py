"""The real brain (`in_haste`) with a scripted mind above the embedded one.

It breaks off in a reply, then hangs, deaf to its cancel; the next one can't be built, and the one
after that is well.

    python -m tests.e2e.dying_mind serve ...
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

from brain.cli import main
from brain.engines import loader
from brain.engines.ladder import GivenUp, Ladder, Rung
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.ports import EngineFailed, EngineUnavailable, LanguageModel
from brain.engines.recipes import language_model_rungs
from brain.settings import Settings
from tests.e2e.in_haste import hurry
from tests.scripted_engines import Hang, ScriptedMind

PATIENCE_S = 0.5
BROKEN, GONE = "the GPU fell off the bus", "The driver is gone."


def rungs(settings: Settings) -> Sequence[Rung[LanguageModel]]:
    builds = itertools.count(1)

    async def build(given_up: GivenUp) -> LanguageModel:
        build = next(builds)
        if build == 2:
            raise EngineUnavailable(GONE)
        breaks = ["I was about", EngineFailed(BROKEN)]
        engine: LanguageModel = ScriptedMind(
            [breaks, [Hang(deaf=True)]] if build == 1 else ["I am well again."]
        )
        limits = LaneLimits(first_s=PATIENCE_S, next_s=PATIENCE_S, grace_s=PATIENCE_S)
        return LaneLanguageModel(Lane(engine, limits, given_up=given_up))

    async def check(_: LanguageModel) -> None:
        return None

    return [Rung("scripted", build, check), *language_model_rungs(settings)]


if __name__ == "__main__":
    vars(loader)["language_model_rungs"] = rungs
    Ladder.__init__.__kwdefaults__["retries_s"] = (0.0, 0.5, 3.0)
    hurry()
    sys.exit(main())
