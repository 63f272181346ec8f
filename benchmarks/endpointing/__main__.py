"""`python -m benchmarks.endpointing`: fixed against adaptive end-pointing, on labelled utterances.

Each utterance of `utterances.toml` is spoken by the pocket voice and by espeak-ng, and played to
the whole actor faster than real time: the real voice detector, the real pocket ears. What ears and
model would take is a fixed time on the virtual clock. The figures go to `results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.endpointing.engines import HeardEnd, Judged, PocketEars, TrueWords, Voices
from benchmarks.endpointing.playing import Ears, Played, figures, play
from benchmarks.endpointing.utterances import Spoken, Utterance, read, spoken
from brain.dialogue.config import HouseRules
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.loop_thread import LoopThread
from brain.engines.ports import EndOfTurn
from brain.engines.vad.silero import SileroDetector
from brain.house import house_rules
from brain.settings import Settings
from tests.scripted_engines import ScriptedTranscriber

RESULTS = Path(__file__).parents[1] / "results"
FIXED_MS = (300, 400, 500, 600, 700, 800, 900, 1000, 1200)
HALVES = ("tuning", "held_out")
# A user who goes on after whole words, time and again: turns, of which the later half counts.
_SLOW_TURNS, _SLOW_PAUSE_MS = 40, 650


@dataclass(frozen=True)
class Case:
    """An utterance as it is played, and Silero's verdicts on it."""

    spoken: Spoken
    detector: Judged


def house(**values: Any) -> HouseRules:
    return house_rules(Settings(echo="none", **values))


def played(
    cases: Sequence[Case], rules: HouseRules, ears: Ears, model: EndOfTurn | None = None
) -> list[Played]:
    """Each alone: nothing is learned from one to the next."""
    return [play(case.spoken, case.detector, rules, ears, model) for case in cases]


def by_half(made: Sequence[Played]) -> dict[str, dict[str, float]]:
    halves = {half: [one for one in made if one.spoken.utterance.half == half] for half in HALVES}
    return {half: figures(ones) for half, ones in halves.items()}


def by_kind(made: Sequence[Played]) -> dict[str, dict[str, float]]:
    kinds = dict.fromkeys(one.spoken.utterance.kind for one in made)
    return {
        kind: figures([one for one in made if one.spoken.utterance.kind == kind]) for kind in kinds
    }


def no_better(fixed: dict[str, Any], adaptive: dict[str, Any]) -> dict[str, Any]:
    """For each half, what a fixed silence takes to cut off no more than adaptive does."""
    found = {}
    for half in HALVES:
        share = adaptive[half]["cut_off"]
        enough = [ms for ms in FIXED_MS if fixed[str(ms)][half]["cut_off"] <= share]
        found[half] = {"silence_ms": enough[0], **fixed[str(enough[0])][half]} if enough else None
    return found


def slow_user(
    say: Callable[[Utterance], Case], ears: Ears, rules: HouseRules, *, learns: bool
) -> dict[str, float]:
    """The later half of one user's turns: every other one goes on after whole words."""
    held_out = [one for one in read() if one.half == "held_out"]
    whole = [one.text for one in held_out if one.kind in ("question", "command")]
    memory, made = RobotMemory(History()), []
    for turn in range(_SLOW_TURNS):
        first, second = whole[turn % len(whole)], whole[(turn + 5) % len(whole)]
        pieces, pauses = ((first, second), (_SLOW_PAUSE_MS,)) if turn % 2 else ((first,), ())
        case = say(Utterance("held_out", "slow", pieces, pauses))
        memory = memory if learns else RobotMemory(History())
        made.append(play(case.spoken, case.detector, rules, ears, memory=memory))
    return figures(made[_SLOW_TURNS // 2 :])


def main() -> int:
    """All rows; 1 if adaptive doesn't win on the held-out half."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--hearing-ms", type=float, default=150, help="what ears take (%(default)s)")
    p.add_argument("--model", type=Path, help="an ONNX file of Smart Turn's form: one row more")
    p.add_argument("--model-ms", type=float, default=60, help="what it takes (%(default)s)")
    p.add_argument("--min-ms", type=int, default=Settings().endpointing_min_ms)
    p.add_argument("--max-ms", type=int, default=Settings().endpointing_max_ms)
    p.add_argument("--tuning", action="store_true", help="the tuning half alone, one by one")
    p.add_argument("--out", type=Path, help="default: a file in benchmarks/results")
    args = p.parse_args()
    real, silero, seconds = LoopThread("real"), SileroDetector(), args.hearing_ms / 1000
    voices = Voices(real)

    def say(voice: str, utterance: Utterance) -> Case:
        seed = zlib.crc32(f"{voice} {utterance}".encode())
        sound = spoken(utterance, voice, partial(voices.say, voice), seed)
        return Case(sound, Judged(silero, sound.sound))

    utterances = [one for one in read() if one.half == "tuning" or not args.tuning]
    cases = [say(voice, one) for one in utterances for voice in voices.names]
    pocket = PocketEars(real, seconds)
    adapts = house(
        endpointing="adaptive", endpointing_min_ms=args.min_ms, endpointing_max_ms=args.max_ms
    )
    if args.tuning:
        for one in played(cases, adapts, lambda _: pocket):
            mark = "cut" if one.cut else "   "
            print(f"{mark} {one.wait_ms:6.0f}  {one.spoken.voice:7} {one.spoken.utterance.text}")
        return 0
    fixed: dict[str, Any] = {
        str(ms): by_half(
            played(cases, house(vad_silence_ms=ms), lambda _: ScriptedTranscriber(["yes"], seconds))
        )
        for ms in FIXED_MS
    }
    rows: dict[str, Sequence[Played]] = {
        "adaptive, pocket ears": played(cases, adapts, lambda _: pocket),
        "adaptive, true words": played(cases, adapts, partial(TrueWords, seconds=seconds)),
        "adaptive, true words without marks": played(
            cases, adapts, partial(TrueWords, seconds=seconds, marks=False)
        ),
    }
    if args.model is not None:
        model = HeardEnd(real, args.model, args.model_ms / 1000)
        rows["adaptive, pocket ears and model"] = played(cases, adapts, lambda _: pocket, model)
        nothing = ScriptedTranscriber(["I see."], seconds)
        rows["adaptive, model alone"] = played(cases, adapts, lambda _: nothing, model)
    adaptive = {name: by_half(made) for name, made in rows.items()}
    ours = adaptive["adaptive, pocket ears"]
    slow = {
        "turns": _SLOW_TURNS // 2,
        "fixed": slow_user(partial(say, "pocket"), lambda _: pocket, house(), learns=False),
        "adaptive": slow_user(partial(say, "pocket"), lambda _: pocket, adapts, learns=False),
        "adaptive, learned": slow_user(
            partial(say, "pocket"), lambda _: pocket, adapts, learns=True
        ),
    }
    held_out = [
        one for one in rows["adaptive, pocket ears"] if one.spoken.utterance.half == "held_out"
    ]
    found = {
        "machine": {"cpu": platform.machine(), "cores": os.cpu_count(),
                    "python": platform.python_version()},
        "set": {"utterances": len(utterances), "voices": voices.names,
                "hearing_ms": args.hearing_ms,
                "model": args.model.name if args.model else None, "model_ms": args.model_ms},
        "bounds_ms": [args.min_ms, args.max_ms],
        "fixed_ms": fixed,
        "adaptive": adaptive,
        "fixed_that_cuts_no_more": no_better(fixed, ours),
        "by_kind_held_out": by_kind(held_out),
        "slow_user": slow,
    }  # fmt: skip
    table(found)
    name = f"{time.strftime('%Y-%m-%d')}-endpointing-x86-{os.cpu_count()}cores.json"
    out = args.out or RESULTS / name
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    before, now = fixed["500"]["held_out"], ours["held_out"]
    wins = now["cut_off"] < before["cut_off"] and now["wait_median_ms"] <= before["wait_median_ms"]
    print(f"\nadaptive {'wins' if wins else 'DOES NOT WIN'} on the held-out half; {out.name}")
    return 0 if wins else 1


def table(found: dict[str, Any]) -> None:
    rows = {f"fixed {ms} ms": made for ms, made in found["fixed_ms"].items()} | found["adaptive"]
    for half in HALVES:
        print(f"\n{half:38} cut off   wait: median     p95    mean")
        for name, made in rows.items():
            one = made[half]
            print(f"{name:38} {one['cut_off']:7.1%} {one['wait_median_ms']:14.0f}"
                  f" {one['wait_p95_ms']:7.0f} {one['wait_mean_ms']:7.0f}")  # fmt: skip
    print("\nby kind, held out, pocket ears")
    for kind, one in found["by_kind_held_out"].items():
        print(f"{kind:38} {one['cut_off']:7.1%} {one['wait_median_ms']:14.0f}")
    print(f"\na user who goes on after {_SLOW_PAUSE_MS} ms in every other turn")
    for name, one in found["slow_user"].items():
        if isinstance(one, dict):
            print(f"{name:38} {one['cut_off']:7.1%} {one['wait_median_ms']:14.0f}")
    print("\nfixed that cuts off no more than adaptive:", found["fixed_that_cuts_no_more"])


if __name__ == "__main__":
    raise SystemExit(main())
