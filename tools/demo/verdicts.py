"""Whether the demo worked, question by question. Pure."""

from __future__ import annotations

import json
import re

from robot_client.asking import Asked
from tools.demo.questions import DemoQuestion


def complaints(question: DemoQuestion, asked: Asked) -> list[str]:
    """What went wrong with a question, as sentences; none if it all worked."""
    if asked.heard is None:
        return [f"{question.text!r} wasn't heard"]
    wrong = []
    if _plain(asked.heard) != _plain(question.text):
        wrong.append(f"{question.text!r} was heard as {asked.heard!r}")
    replies = [reply for turn in asked.turns for reply in turn.replies]
    tools = [used for turn in asked.turns for used in turn.tools]
    if not any(reply.first_sound_at for reply in replies):
        wrong.append(f"no sound came back to {question.text!r}")
    if any(reply.reason == "failed" for reply in replies):
        wrong.append(f"the reply to {question.text!r} failed")
    if question.calls is None:
        wrong += [f"{question.text!r} made the robot use {used.call.name!r}" for used in tools]
    else:
        used = next((used for used in tools if used.call.name == question.calls), None)
        if used is None:
            wrong.append(f"{question.text!r} didn't make the robot use {question.calls!r}")
        else:
            given = json.loads(used.call.args)
            if any(given.get(name) != value for name, value in question.arguments.items()):
                wrong.append(f"{question.text!r} made the robot {question.calls} with {given}")
            if not (replies[-1].first_sound_at and replies[-1].text and not replies[-1].calls):
                wrong.append(f"the result of {question.calls!r} wasn't spoken about")
    if question.interrupt_after_ms is not None and "interrupted" not in [r.reason for r in replies]:
        wrong.append(f"the reply to {question.text!r} wasn't interrupted by the next question")
    return wrong


def _plain(words: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", words.lower()))
