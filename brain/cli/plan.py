"""`brain plan`: a plan of the profile's mind for a world state in a file, without a server."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pydantic import ValidationError

from brain.cli.failing import failed
from brain.cli.one_engine import best_of
from brain.engines.ladder import Ladder
from brain.engines.ladder_ports import LadderLanguageModel
from brain.engines.ports import EngineError
from brain.engines.recipes import language_model_rungs
from brain.planner.options import plan_options
from brain.planner.prompt import plan_messages
from brain.planner.repair import problems
from brain.planner.schema import PlanRequest
from brain.planner.service import PlanFailed, Planned, Planner
from brain.settings import Settings


def plan(settings: Settings, path: str, *, explain: bool) -> int:
    """Print a plan for the state in the file `path` ("-": standard input) as JSON.

    `explain`: the prompt, and the time that the language model took, on standard error. 1 if there
    is no such state, or no plan.
    """
    try:
        state = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        request = PlanRequest.model_validate_json(state)
    except OSError as error:
        return failed(str(error))
    except ValidationError as error:
        return failed(f"{path}: no world state: {problems(error)}")
    options = plan_options(settings)
    if explain:
        asked = plan_messages(request, max_actions=options.max_actions, skills=options.skills)
        for message in asked:
            print(f"-- {message.role}\n{message.content}", file=sys.stderr)
    try:
        planned = asyncio.run(_planned(settings, request))
    except (EngineError, PlanFailed) as error:
        return failed(str(error))
    if explain:
        print(f"-- plan, in {planned.engine_s * 1000:.0f} ms", file=sys.stderr)
    print(planned.response.model_dump_json(indent=2))
    return 0


async def _planned(settings: Settings, request: PlanRequest) -> Planned:
    async with best_of(Ladder("llm", language_model_rungs(settings))) as ladder:
        return await Planner(LadderLanguageModel(ladder), plan_options(settings)).plan(request)
