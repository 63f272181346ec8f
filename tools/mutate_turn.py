"""A mutation check of turn-taking: every guard and transition broken in turn, one at a time. Do the
tests notice?

    python -m tools.mutate_turn [--only WORDS] [--list]

Each mutant of `brain/dialogue/turn.py` and its parts runs in a process that is forked for it:
first some of the seeded sequences (`tests/dialogue/turn_sequences.py`), then the quick tests.
Nothing is written to disk. Exit status 1 if fewer than 90 % are noticed.

Why none of the tools there are: mutmut 3.8 makes 997 mutants of these two files, most of them a
name that became None, which any test at all notices, and none that drops a guard or a transition;
and it took 7 s for each. cosmic-ray starts a pytest for each.
"""

from __future__ import annotations

import argparse
import ast
import os
import signal
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

from tools.mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("brain.dialogue.turn_parts", "brain.dialogue.turn_partials", "brain.dialogue.turn")
TESTS = ("test_turn.py", "test_turn_sequences.py", "test_partials.py")
SEEDS = 2_500
DEADLINE_S = 300
GOAL = 0.9


def equivalent() -> dict[str, str]:
    """Those that nobody can tell from the original, and why: a line of that, and one a mutant."""
    reasons: dict[str, str] = {}
    why = ""
    for line in (ROOT / "tools/equivalent_mutants.txt").read_text().splitlines():
        if line.startswith("#"):
            why = line.removeprefix("# ")
        elif line:
            reasons[line] = why
    return reasons


EQUIVALENT = equivalent()


def all_mutants() -> Iterator[tuple[str, Mutant]]:
    for name in MODULES:
        for mutant in mutants(_source(name)):
            yield name, mutant


def _source(name: str) -> str:
    return (ROOT / name.replace(".", "/")).with_suffix(".py").read_text()


def as_it_is(name: str) -> Mutant:
    module = ast.parse(_source(name))
    return Mutant("nothing", module, module.body[-1], module.body[-1])


def passes(pid: int) -> bool:
    _, status = os.waitpid(pid, 0)
    return status == 0


def begin(name: str, mutant: Mutant) -> int:
    """The process in which the tests run with it; it exits with 0 if they notice nothing."""
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(DEADLINE_S)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    status = 1
    try:
        status = _ask(name, mutant)
    finally:
        os._exit(status)  # whatever was raised


def _ask(name: str, mutant: Mutant) -> int:
    spec = spec_from_loader(name, loader=None)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(mutant.tree, name, "exec"), module.__dict__)  # noqa: S102
    sequences = import_module("tests.dialogue.turn_sequences")
    for seed in range(SEEDS // 8):
        sequences.run(seed, short=False)
    import pytest

    # The same invariants hold of hypothesis's sequences; it would take long to make them short.
    chosen = "not invariants_hold and not TestConversation"
    options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", chosen)
    status = int(pytest.main([*options, *(str(ROOT / "tests/dialogue" / test) for test in TESTS)]))
    if status == 0:
        for seed in range(SEEDS // 8, SEEDS):
            sequences.run(seed, short=False)
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description="break turn-taking; do the tests notice?")
    parser.add_argument("--only", default="", help="only mutants whose description has these words")
    parser.add_argument("--list", action="store_true", help="only say what they are")
    parser.add_argument("--beside", type=int, default=os.cpu_count(), help="so many at once")
    options = parser.parse_args()
    work = [(name, mutant) for name, mutant in all_mutants() if options.only in str(mutant)]
    if options.list:
        for _, mutant in work:
            print(mutant)
        return 0
    # What each child would import anew; nothing of it imports what is mutated.
    for module in ("pytest", "hypothesis.stateful", "numpy", "brain.dialogue.effects"):
        import_module(module)
    assert not set(MODULES) & set(sys.modules)
    started = time.monotonic()
    for name in MODULES:
        if not passes(begin(name, as_it_is(name))):
            print(f"the tests fail with {name} as it is")
            return 2
    survivors: list[Mutant] = []
    under_way: dict[int, Mutant] = {}
    for count, (name, mutant) in enumerate(work, 1):
        print(f"\r{count}/{len(work)}", end="", file=sys.stderr, flush=True)
        under_way[begin(name, mutant)] = mutant
        while len(under_way) >= options.beside:
            survivors += _next_survivor(under_way)
    while under_way:
        survivors += _next_survivor(under_way)
    return _report(work, survivors, time.monotonic() - started)


def _next_survivor(under_way: dict[int, Mutant]) -> list[Mutant]:
    """Wait for one of them; it, if nothing has noticed it."""
    pid, status = os.wait()
    mutant = under_way.pop(pid)
    if status:
        return []
    if str(mutant) not in EQUIVALENT:
        print(f"\rnobody notices: {mutant}", flush=True)
    return [mutant]


def _report(work: list[tuple[str, Mutant]], survivors: list[Mutant], seconds: float) -> int:
    excused = [mutant for mutant in survivors if str(mutant) in EQUIVALENT]
    total = len(work) - len(excused)
    caught = len(work) - len(survivors)
    print(
        f"\r{caught} of {total} mutants noticed ({caught / max(total, 1):.1%}), beside "
        f"{len(excused)} that nobody can tell from the original; {seconds:.0f} s"
    )
    for stale in sorted(set(EQUIVALENT) - {str(mutant) for _, mutant in all_mutants()}):
        print(f"no such mutant any more: {stale}")
    return 0 if caught >= GOAL * total else 1


if __name__ == "__main__":
    sys.exit(main())
