"""What is to be said of a clip's outcome, against what the profile should reach. Pure."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brain.ops.doctor.findings import Finding
from brain.ops.selftest.talk import CLIP_SAYS, Outcome

TARGETS = Path(__file__).parent / "targets.toml"
_STAGES = {
    "stt": "ears",
    "llm_first_token": "first token",
    "first_clause": "first clause",
    "tts_first_audio": "mouth",
}
_AROUND_MS = 100.0
"""Of frames, sockets and the silence's own frame, beside the stages."""
_FAR = 2.0
_SLACK_MS = 150.0
_QUIET = 0.01


@dataclass(frozen=True)
class Target:
    """What a profile should reach: ms by stage, and where the figures come from."""

    basis: str
    stages: Mapping[str, float]

    def first_sound_ms(self, silence_ms: float) -> float:
        """From the last speech to the first sound; `silence_ms` ends a turn."""
        counted = ("stt", "first_clause", "tts_first_audio")
        return silence_ms + _AROUND_MS + sum(self.stages[stage] for stage in counted)


def targets(path: Path = TARGETS) -> dict[str, Target]:
    """The profiles' targets, by their names."""
    parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    data = parser.loads(path.read_text(encoding="utf-8"))
    return {
        name: Target(entry["basis"], {stage: float(entry[stage]) for stage in _STAGES})
        for name, entry in data.items()
    }


def verdict(outcome: Outcome, target: Target | None, *, silence_ms: float) -> list[Finding]:
    """A finding for each stage. What was not heard or not answered is an error, as is an engine
    that isn't the one asked for; what took twice as long as it should (and 150 ms) a warning."""
    if outcome.trouble:
        return [Finding("error", "brain", outcome.trouble, "brain doctor says more")]
    found = [*_engines(outcome), _hearing(outcome)]
    if outcome.heard:
        found += [_answer(outcome), *_voice(outcome)]
    found += [Finding("error", "brain", told, "brain doctor says more") for told in outcome.errors]
    if outcome.heard:
        found += _times(outcome, target, silence_ms)
    return found


def _engines(outcome: Outcome) -> list[Finding]:
    told = ", ".join(f"{kind} {one['name']} ({one['model']})" for kind, one in
                     outcome.engines.items() if one["name"])  # fmt: skip
    found = [Finding("ok", "engines", f"profile {outcome.profile}: {told}")]
    stand_ins = [kind for kind, one in outcome.engines.items() if one.get("degraded")]
    if stand_ins:
        told = f"not the ones asked for: {', '.join(stand_ins)}"
        found.append(Finding("error", "engines", told, "brain doctor says why"))
    return found


def _hearing(outcome: Outcome) -> Finding:
    said, heard = _words(CLIP_SAYS), _words(outcome.heard)
    right = sum(word in heard for word in said)
    told = f"said {CLIP_SAYS!r}, heard {outcome.heard!r}"
    if not outcome.heard:
        return Finding(
            "error", "ears", f"{told}: nothing", "brain listen FILE.wav tries them alone"
        )
    if 2 * right < len(said):
        return Finding("error", "ears", told, "is it the right model (STT_MODEL_SIZE)?")
    return Finding("ok" if heard == said else "note", "ears", told)


def _answer(outcome: Outcome) -> Finding:
    if not outcome.said or outcome.reason != "completed":
        told = f"no whole answer ({outcome.reason or 'nothing came'}): {outcome.said!r}"
        return Finding("error", "mind", told, "brain doctor says how the mind stands")
    return Finding("ok", "mind", f"answered {outcome.said!r}")


def _voice(outcome: Outcome) -> list[Finding]:
    if not outcome.engines.get("tts", {}).get("name", "off").replace("off", ""):
        return [Finding("note", "mouth", "text only (TTS_BACKEND=off)")]
    if not outcome.sound_s:
        return [Finding("error", "mouth", "no sound came", "brain say TEXT tries it alone")]
    told = f"{outcome.sound_s:.1f} s of sound"
    if outcome.loudest < _QUIET:
        return [Finding("error", "mouth", f"{told}, all silence", "brain say TEXT tries it alone")]
    return [Finding("ok", "mouth", told)]


def _times(outcome: Outcome, target: Target | None, silence_ms: float) -> list[Finding]:
    if target is None:
        basis = "nothing to compare with: this profile has no figures"
        found = [Finding("note", "figures", basis)]
    else:
        found = [Finding("ok", "figures", f"should be: {target.basis}")]
    end = outcome.stages.get("endpoint")
    if end is not None:
        found.append(_timed("end of turn", end, silence_ms))
    for stage, name in _STAGES.items():
        took = outcome.stages.get(stage)
        if took is not None:
            found.append(
                _timed(f"time: {name}", took, target.stages[stage] if target is not None else None)
            )
    if outcome.first_sound_ms is not None:
        should = target.first_sound_ms(silence_ms) if target is not None else None
        found.append(_timed("first sound", outcome.first_sound_ms, should))
    if outcome.whole_ms is not None:
        found.append(Finding("ok", "whole reply", f"{outcome.whole_ms:.0f} ms"))
    return found


def _timed(name: str, took: float, should: float | None) -> Finding:
    told = f"{took:.0f} ms"
    if should is None:
        return Finding("ok", name, told)
    told += f" (should be {should:.0f})"
    if took > _FAR * should + _SLACK_MS:
        todo = "is the machine busy, hot or in a low power mode? brain doctor looks at the rest"
        return Finding("warning", name, told, todo)
    return Finding("ok", name, told)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())
