"""`robot-client simulate`: play supervisors against a brain, and tell what the robots would do."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence

from robot_client.address import BrainAddress, Locator, brain_address
from robot_client.arguments import add_address
from robot_client.memory import Memory
from robot_client.plans import ALL_SKILLS, MAX_ACTIONS, OFFERED_SKILLS
from robot_client.simulation import Options, simulate
from robot_client.supervisor_errors import Refused, Unreachable
from robot_client.tally import Tally

EXIT_OK, EXIT_NOT_GOOD, EXIT_USAGE, EXIT_NO_BRAIN = 0, 1, 2, 69


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="robot-client simulate",
        description="Play supervisors over hours of world states against a running brain, as fast "
        "as it answers; apply a supervisor's own limits; and tell what the robots would have done.",
        epilog="Exit status: 0 all plans were within the contract, 1 one wasn't (or none came), "
        "2 bad arguments, 69 no brain (not there, or it refused).",
    )
    server = p.add_argument_group("the brain")
    add_address(server)
    server.add_argument(
        "--pid", type=int, metavar="PID", help="its process on this machine: watch its memory"
    )
    what = p.add_argument_group("what to simulate")
    much = what.add_mutually_exclusive_group()
    much.add_argument(
        "--hours",
        type=_positive(float),
        metavar="H",
        help="so much of each robot's life (default 1)",
    )
    much.add_argument(
        "--plans", type=_positive(int), metavar="N", help="so many requests of all robots together"
    )
    what.add_argument("--robots", type=_positive(int), default=1, metavar="R")
    what.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, other lives")
    what.add_argument(
        "--all-skills", action="store_true", help="the robots take all seven skills, not four"
    )
    what.add_argument(
        "--max-actions",
        type=_positive(int),
        default=MAX_ACTIONS,
        metavar="N",
        help="more in a plan are against the contract (default %(default)s)",
    )
    what.add_argument(
        "--limit",
        type=_positive(float),
        default=30.0,
        metavar="S",
        help="a robot waits so long for a plan (default %(default)g)",
    )
    p.add_argument("--json", action="store_true", help="the result as one JSON object")
    return p


def main(arguments: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    args = parser().parse_args(arguments)
    try:
        where = brain_address(
            args.local_server_ip,
            args.local_server_port,
            tls=args.tls,
            token=args.local_server_token,
        )
    except ValueError as error:
        print(f"robot-client: {error}", file=sys.stderr)
        return EXIT_USAGE
    try:
        memory = None if args.pid is None else Memory(args.pid)
    except OSError as error:
        print(f"robot-client: --pid {args.pid}: {error}", file=sys.stderr)
        return EXIT_USAGE
    try:
        tally = asyncio.run(_simulate(args, where, memory))
        held = None if memory is None else memory.as_json()
    except (Unreachable, Refused, OSError) as error:
        # OSError: the process to watch has ended, or no brain announces itself
        print(f"robot-client: {error}", file=sys.stderr)
        return EXIT_NO_BRAIN
    except KeyboardInterrupt:
        return EXIT_NOT_GOOD
    _show(tally, held, as_json=args.json)
    return EXIT_OK if tally.good else EXIT_NOT_GOOD


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def number(words: str) -> float:
        value = kind(words)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{words} isn't above zero")
        return value

    number.__name__ = "number"  # argparse says "invalid number value"
    return number


async def _simulate(args: argparse.Namespace, where: BrainAddress, memory: Memory | None) -> Tally:
    socket = await Locator(where, lambda words: print(words, file=sys.stderr))()
    base_url = f"http{socket.removeprefix('ws').removesuffix('/ws')}"
    options = _options(args, base_url, where.token)
    return await simulate(options, memory=memory, on_progress=_progress())


def _options(args: argparse.Namespace, base_url: str, token: str | None) -> Options:
    return Options(
        base_url=base_url,
        token=token,
        plans=args.plans,
        hours=1.0 if args.hours is None and args.plans is None else args.hours,
        robots=args.robots,
        seed=args.seed,
        skills=ALL_SKILLS if args.all_skills else OFFERED_SKILLS,
        max_actions=args.max_actions,
        plan_limit_s=args.limit,
    )


def _progress() -> Callable[[Tally], None]:
    end = "\r" if sys.stderr.isatty() else "\n"

    def show(tally: Tally) -> None:
        print(tally.progress(), end=end, file=sys.stderr, flush=True)

    return show


def _show(tally: Tally, held: Mapping[str, float] | None, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**tally.as_json(), **({"memory": held} if held else {})}, indent=2))
        return
    for line in tally.lines():
        print(line)
    if held is not None:
        words = ", ".join(f"{name.removesuffix('_mb')} {value}" for name, value in held.items())
        print(f"memory    {words} MB")
