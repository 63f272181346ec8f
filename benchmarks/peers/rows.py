"""What is measured beside what: a row is a server in one configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.peers import costs as fixed
from benchmarks.peers.costs import Costs
from benchmarks.peers.servers import ROOT, Server
from brain.settings.model import SPECS

SILENCE_MS = 500
MIND = "{mind}"
"""In a server's arguments and settings: the address of the language model's server."""

PLAIN_REPLY = fixed.REPLY.replace("Good question, the", "The")
"""Without a comma, so that the first clause is the whole sentence."""


@dataclass(frozen=True)
class Row:
    """`needs`: a setting of ours without which there is no such row. `about`: for the report."""

    name: str
    about: str
    server: Server
    costs: Costs = fixed.FIXED
    reply: str = fixed.REPLY
    needs: str = ""

    @property
    def kind(self) -> str:
        return self.server.kind


def _ours(*arguments: str, **settings: str) -> Server:
    return Server("ours", "our_server", arguments, settings)


def _peer(kind: str, *arguments: str) -> Server:
    return Server(kind, f"{kind}_server", ("--mind", MIND, *arguments))


_TUNED = ("--tuned", str(SILENCE_MS))
_ZERO = ("--costs", "zero")

ROWS = (
    Row("ours", "Robot Brain, as shipped", _ours()),
    Row(
        "ours-partials",
        "Robot Brain, STT_PARTIALS on",
        _ours(STT_PARTIALS="true"),
        needs="STT_PARTIALS",
    ),
    Row(
        "ours-http",
        "Robot Brain, its language model behind HTTP as theirs is",
        _ours("--own-mind", LLM_BACKEND="openai", OPENAI_URL=f"{MIND}/v1", OPENAI_MODEL="fixed"),
    ),
    Row(
        "ours-sentence",
        "Robot Brain, a reply without a comma in its first sentence",
        _ours("--reply", PLAIN_REPLY),
        reply=PLAIN_REPLY,
    ),
    Row(
        "ours-waiting",
        "Robot Brain, nothing done ahead (TENTATIVE_SILENCE_MS=0)",
        _ours(TENTATIVE_SILENCE_MS="0"),
    ),
    Row("ours-zero", "Robot Brain, engines that cost nothing", _ours(*_ZERO), fixed.ZERO),
    Row("pipecat", "pipecat, as shipped (Smart Turn)", _peer("pipecat")),
    Row("pipecat-sentence", "pipecat, tuned, TTS by sentence", _peer("pipecat", *_TUNED)),
    Row("pipecat-token", "pipecat, tuned, TTS by token", _peer("pipecat", *_TUNED, "--by-token")),
    Row(
        "pipecat-zero",
        "pipecat, tuned, engines that cost nothing",
        _peer("pipecat", *_TUNED, *_ZERO),
        fixed.ZERO,
    ),
    Row("s2s", "speech-to-speech, as shipped (Smart Turn where pipecat has it)", _peer("s2s")),
    Row("s2s-sentence", "speech-to-speech, tuned: no hold, by sentence", _peer("s2s", *_TUNED)),
    Row(
        "s2s-zero",
        "speech-to-speech, tuned, engines that cost nothing",
        _peer("s2s", *_TUNED, *_ZERO),
        fixed.ZERO,
    ),
)  # fmt: skip


def chosen(names: Iterable[str], kinds: Iterable[str]) -> list[Row]:
    """The rows of these kinds of server that this brain has the settings for; of `names` (or
    beginnings of names), if any, only those."""
    wanted, there = tuple(names), set(kinds)
    return [
        row
        for row in ROWS
        if row.kind in there
        and (not row.needs or row.needs in SPECS)
        and (not wanted or row.name.startswith(wanted))
    ]


def placed(server: Server, mind: str) -> Server:
    """With the language model's address filled in, and the end-of-turn model that speech-to-speech
    would fetch: pipecat brings it along."""
    arguments = [argument.replace(MIND, mind) for argument in server.arguments]
    if server.kind == "s2s" and "--tuned" not in arguments and (model := _smart_turn()):
        arguments += ["--smart-turn", str(model)]
    settings = {name: value.replace(MIND, mind) for name, value in server.settings.items()}
    return replace(server, arguments=arguments, settings=settings)


def _smart_turn() -> Path | None:
    found = ROOT.glob(".venv-pipecat/lib/*/site-packages/pipecat/audio/turn/smart_turn/data/*.onnx")
    return next(iter(sorted(found)), None)
