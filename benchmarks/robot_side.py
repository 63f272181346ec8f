"""`python -m benchmarks.robot_side`: what the robot's side costs a robot, beside a bare socket.

A scripted brain in a process of its own speaks without end, in deltas of 100 ms at real time. Three
robots, one after another, send it a stereo microphone at real time and take its sound: the floor (a
websocket that does nothing with either), `Conversation` with a device's pulls of 20 ms, and the
Reachy Mini's `HandlerCore` with an app that takes what it emits. Measured are processor time per
second of conversation and, for replies after a pause, the time from the brain's sending the first
sound to the speaker's getting it. The base client's import is timed beside that of what it can't do
without, numpy and websockets.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from robot_client.address import brain_address
from robot_client.connection import Connection
from robot_client.conversation import Conversation
from robot_client.microphone import Microphone
from robot_client.pacing import every_frame
from robot_client.pcm import to_bytes
from robot_client.playback import Playback
from robot_client.reachy.core import HandlerCore
from robot_client.reachy.server import LocalServer
from robot_client.tools import ToolBox

SPEECH_S, PAUSE_S = 2.0, 0.6  # a reply, and the silence after it
DELTA_S = 0.1
RATE = 24_000
IMPORTS = {
    "floor": "numpy, websockets.asyncio.client",
    "client": "robot_client.cli, robot_client.conversation, robot_client.playback",
}
STEREO = np.random.default_rng(0).standard_normal((320, 2)).astype(np.float32) * 0.1


@dataclass
class Robot:
    """When the speaker got the first sound of each reply, `time.monotonic()` seconds."""

    first_sound: list[float] = field(default_factory=list)
    quiet: bool = True

    def speaker(self, sound: np.ndarray) -> None:
        loud = bool(np.any(sound))
        if loud and self.quiet:
            self.first_sound.append(time.monotonic())
        self.quiet = not loud


async def scripted_brain() -> None:
    """Print the port, then when each reply's first sound is sent (all on one machine's clock)."""
    tone = (np.sin(np.arange(int(RATE * DELTA_S)) / 9) * 9000).astype("<i2").tobytes()
    delta = base64.b64encode(tone).decode()

    async def speak(socket: ServerConnection) -> None:
        silent = asyncio.create_task(_ignore(socket))
        await socket.send(json.dumps({"type": "ready", "output_sample_rate": RATE}))
        with contextlib.suppress(Exception):  # the robot hangs up when it has had enough
            for reply_id in range(1, 1000):
                await socket.send(json.dumps({"type": "reply_started", "reply_id": reply_id}))
                print(time.monotonic(), flush=True)
                for seq in range(round(SPEECH_S / DELTA_S)):
                    await socket.send(
                        json.dumps({"type": "audio_delta", "data": delta, "sample_rate": RATE,
                                    "reply_id": reply_id, "seq": seq})
                    )  # fmt: skip
                    await asyncio.sleep(DELTA_S)
                done = {"type": "reply_done", "reply_id": reply_id, "reason": "completed"}
                await socket.send(json.dumps(done))
                await asyncio.sleep(PAUSE_S)
        silent.cancel()

    async with serve(speak, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


async def _ignore(socket: ServerConnection) -> None:
    async for _frame in socket:
        pass


async def floor(port: int, seconds: float) -> Robot:
    """A socket that sends ready-made PCM and looks at nothing but the type."""
    robot = Robot()
    pcm = b"\0\0" * 320
    async with connect(f"ws://127.0.0.1:{port}/ws", compression=None) as socket:

        async def listen() -> None:
            async for frame in socket:
                robot.speaker(np.array([b'"audio_delta"' in str(frame).encode()]))

        frames = asyncio.Queue[bytes]()

        async def send() -> None:
            while True:
                await socket.send(await frames.get())

        tasks = [asyncio.create_task(listen()), asyncio.create_task(send())]
        await _for(seconds, lambda: frames.put_nowait(pcm))
        for task in tasks:
            task.cancel()
    return robot


async def conversation(port: int, seconds: float) -> Robot:
    """The client of any robot: a device that pulls 20 ms."""
    robot = Robot()
    microphone = Microphone(16_000)
    async with Connection(f"ws://127.0.0.1:{port}/ws") as connection:
        talk = Conversation(connection, partial(Playback, 16_000), ToolBox())
        running = asyncio.create_task(talk.run())

        def tick() -> None:
            connection.send_audio(to_bytes(microphone.feed(16_000, STEREO)))
            robot.speaker(talk.playback.pull(320))

        await _for(seconds, tick)
        await connection.close()
        await running
    return robot


async def handler(port: int, seconds: float) -> Robot:
    """The Reachy Mini's, without its app: every 20 ms a frame in, and what is emitted out."""
    robot = Robot()
    face = SimpleNamespace(output_queue=asyncio.Queue(), _clear_queue=None)
    media = SimpleNamespace(get_output_audio_samplerate=lambda: 16_000)
    manager = SimpleNamespace(set_listening=lambda _on: None, is_idle=lambda: False)
    wobbler = SimpleNamespace(feed=lambda _sound: None, reset=lambda: None)
    deps = SimpleNamespace(
        reachy_mini=SimpleNamespace(media=media), movement_manager=manager, head_wobbler=wobbler
    )
    app = SimpleNamespace(tool_specs=list, instructions=lambda: "Be brief.", voice=lambda: "cedar")
    server = LocalServer(brain_address("127.0.0.1", port))
    core = HandlerCore(face, deps, server, app, wrap=dict, show_image=lambda image: image)
    running = asyncio.create_task(core.start_up())
    heard = asyncio.Queue[Any]()

    async def play() -> None:
        while True:
            item = await core.emit()
            robot.speaker(item[1] if isinstance(item, tuple) else np.zeros(1))

    async def listen() -> None:
        while True:
            await core.receive((16_000, await heard.get()))

    app_loops = [asyncio.create_task(play()), asyncio.create_task(listen())]
    await _for(seconds, lambda: heard.put_nowait(STEREO))
    await core.shutdown()
    for task in app_loops:
        task.cancel()
    await asyncio.wait([running, *app_loops])
    return robot


async def _for(seconds: float, tick: Callable[[], object]) -> None:
    end = time.monotonic() + seconds

    def more() -> bool:
        tick()
        return time.monotonic() < end

    await every_frame(more)


def measure(robot: Callable[[int, float], Awaitable[Robot]], seconds: float) -> dict[str, float]:
    """Processor time per second, and latencies in ms, of one robot."""
    command = [sys.executable, "-m", "benchmarks.robot_side", "--brain"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as brain:
        assert brain.stdout is not None
        port = int(brain.stdout.readline())
        before, since = time.process_time(), time.monotonic()
        done = asyncio.run(robot(port, seconds))  # type: ignore[arg-type]
        used, passed = time.process_time() - before, time.monotonic() - since
        brain.terminate()
        sent = [float(line) for line in brain.stdout]
    waits = [
        min(at - start for at in done.first_sound if at >= start) * 1000
        for start in sent
        if any(start <= at < start + 1 for at in done.first_sound)
    ]
    return {
        "cpu_percent": round(100 * used / passed, 2),
        "first_sound_ms_median": round(statistics.median(waits), 2),
        "first_sound_ms_max": round(max(waits), 2),
        "replies": len(waits),
    }


def import_s(modules: str) -> float:
    """Processor time of importing them in a Python of its own, s: the least of five."""
    program = (
        f"import time; t = time.process_time(); import {modules}; print(time.process_time() - t)"
    )
    command = [sys.executable, "-c", program]
    return min(float(subprocess.check_output(command)) for _ in range(5))


def main() -> int:
    """Measure all and print them, and the ratios to the floor, as JSON."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--seconds", type=float, default=30.0, help="of each robot")
    p.add_argument("--brain", action="store_true", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.brain:
        asyncio.run(scripted_brain())
        return 0
    robots = {"floor": floor, "conversation": conversation, "handler": handler}
    figures = {}
    for name, robot in robots.items():
        print(f"{name}: {args.seconds:g} s", file=sys.stderr)
        figures[name] = measure(robot, args.seconds)
    base = figures["floor"]["cpu_percent"]
    ratios = {name: round(figures[name]["cpu_percent"] / base, 2) for name in figures}
    imports = {name: round(import_s(modules), 3) for name, modules in IMPORTS.items()}
    print(json.dumps({**figures, "cpu_to_floor": ratios, "import_s": imports}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
