"""The product's own prompts, for the check of a mind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from brain.engines.ports import Message
from brain.ops.check_mind import MindTexts
from brain.persona.character import DEFAULT_INSTRUCTIONS, idle_note
from brain.persona.moods import MoodTags, mood_instruction
from brain.planner.prompt import plan_messages
from brain.planner.schema import PlanOutput, PlanRequest, output_schema


def product_texts(max_actions: int) -> MindTexts:
    """The prompts that a mind gets in the product; plans have at most `max_actions`."""

    def messages(state: Mapping[str, Any]) -> Sequence[Message]:
        return plan_messages(PlanRequest.model_validate(dict(state)), max_actions=max_actions)

    def actions(text: str) -> Sequence[Mapping[str, Any]]:
        # JSON's and pydantic's errors are ValueErrors.
        plan = PlanOutput.model_validate(json.loads(text)).actions
        if len(plan) > max_actions:
            raise ValueError(f"{len(plan)} actions, at most {max_actions}")
        return [action.model_dump() for action in plan]

    return MindTexts(
        instructions=DEFAULT_INSTRUCTIONS,
        mood_line=mood_instruction(),
        idle_note=idle_note,
        split_mood=split_mood,
        plan_messages=messages,
        plan_schema=output_schema(max_actions=max_actions),
        plan_actions=actions,
    )


def split_mood(reply: str) -> tuple[str | None, str]:
    """The mood that a reply starts with, None without one, and the rest of it."""
    tags = MoodTags()
    rest = tags.feed(reply) + tags.finish()
    return tags.emotion, rest
