"""What the base client costs a small robot: the bound is the issue's, for a Pi 5."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from client_tests.command import environment
from client_tests.scripted import Visit, scripted

MEMORY_MB = 60
# What it needs; a server's, another part's, or what only one way of using the client needs is left
# where it lies. What that costs in time is in `python -m benchmarks.robot_side`.
NEEDED = {"numpy", "robot_client", "soxr", "websockets"}

PROGRAM = """
import json, sys
before = set(sys.modules)
import robot_client.cli, robot_client.connection, robot_client.conversation, robot_client.playback
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(new - sys.stdlib_module_names)))
"""


def test_the_base_client_imports_nothing_that_it_does_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert set(json.loads(done.stdout)) == NEEDED


def test_a_client_that_is_connected_is_small(run: Any) -> None:
    async def talks(visit: Visit) -> None:
        await visit.ready()
        await visit.until("text")
        for kind, fields in (
            ("reply_started", {"turn": 1, "reply_id": 1}),
            ("transcript_assistant", {"text": "Hi.", "reply_id": 1}),
            ("reply_done", {"reply_id": 1, "reason": "completed", "timings_ms": {}}),
        ):
            await visit.send(kind, **fields)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(talks) as brain:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "robot_client.cli", "--chat", "--speaker", "none",
                "--local-server-port", str(brain.port), env=environment(),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"hello\n")
            while not (await process.stdout.readline()).startswith(b"said"):
                continue
            status = Path(f"/proc/{process.pid}/status").read_text()  # noqa: ASYNC240
            peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            assert int(peak.split()[1]) / 1024 < MEMORY_MB, peak
            process.stdin.close()
            assert await process.wait() == 0

    run(main())
