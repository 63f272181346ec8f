"""`robot-client --chat`, as a process of its own: in a pipe, and at a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_tests.command import client, environment, only, terminal
from client_tests.scripted import Visit, scripted, tone
from robot_client.wav import read_wav


async def answer(visit: Visit, number: int, said: str, ms: float = 60) -> None:
    await visit.send("reply_started", turn=number, reply_id=number)
    await visit.audio(number, tone(ms))
    await visit.send("transcript_assistant", text=said, reply_id=number)
    await visit.send("reply_done", reply_id=number, reason="completed", timings_ms={})


async def echoes(visit: Visit) -> None:
    """Answers each line when it has come, and notes when a line comes before that."""
    await visit.until("session")
    await visit.ready()
    number = 0
    while True:
        message = await visit.receive()
        if isinstance(message, dict) and message["type"] in ("text", "say"):
            number += 1
            await answer(visit, number, f"{message['type']} {message['text']}")


def test_each_line_of_a_pipe_is_answered_before_the_next(run: Any) -> None:
    async def main() -> None:
        async with scripted(echoes) as brain:
            code, out, err = await client(
                "--chat", "--speaker", "none", "--local-server-port", brain.port,
                stdin="Hello Ünal\r\n\n/say  Good day. \n/nonsense\n/quit\nnever sent\n".encode(),
            )  # fmt: skip
            (visit,) = brain.visits
        assert code == 0, err
        said = [line for line in out.splitlines() if line.startswith("said")]
        assert said == ["said    text Hello Ünal", "said    say Good day."]
        assert "'/nonsense' isn't a command; /say WORDS" in err
        assert "\x1b" not in out + err
        kinds = [m["type"] for m in visit.messages]
        # The end of the first reply was heard before the second line was sent.
        assert kinds.index("played") < kinds.index("say")
        assert [m["ms"] for m in visit.messages if m["type"] == "played"] == [60, 60]

    run(main())


def test_the_last_line_needs_no_end_and_a_recording_has_the_voice(tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        async with scripted(echoes) as brain:
            code, out, err = await client(
                "--chat", "--speaker", "none", "--local-server-port", brain.port, "--json",
                "--record", tmp_path, stdin=b"hello",
            )  # fmt: skip
        assert code == 0, err
        events = [json.loads(line) for line in out.splitlines()]
        assert events[-1]["event"] == "reply_done"
        folder = only(tmp_path)
        lines = [json.loads(x) for x in (folder / "timeline.jsonl").read_text().splitlines()]
        kinds = [line["event"] for line in lines]
        assert (kinds[0], kinds[-1]) == ("started", "ended")
        (came,) = [line["t"] for line in lines if line["event"] == "audio_delta"]
        voice, rate = read_wav(folder / "speaker.wav")
        first = int(np.flatnonzero(voice)[0]) / rate
        assert came - 0.03 <= first <= came + 0.5
        assert np.count_nonzero(voice) == pytest.approx(960, rel=0.02)

    run(main())


def test_a_reader_that_has_had_enough_is_no_accident(run: Any) -> None:
    async def main() -> None:
        async with scripted(echoes) as brain:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "robot_client.cli", "--chat", "--speaker", "none",
                "--local-server-port", str(brain.port), env=environment(),
                stdin=asyncio.subprocess.PIPE, stdout=(pipe := os.pipe())[1],
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            for end in pipe:
                os.close(end)
            _out, err = await process.communicate(b"hello\n")
            assert (process.returncode, err) == (0, b"")

    run(main())


def test_a_line_without_end_is_refused_and_the_next_is_answered(run: Any) -> None:
    async def main() -> None:
        async with scripted(echoes) as brain:
            code, out, err = await client(
                "--chat", "--speaker", "none", "--local-server-port", brain.port,
                stdin=b"x" * (20 << 20) + b"\n\xff\x00\x1b[2J\nhello\n",
            )  # fmt: skip
        assert code == 1
        assert "the brain takes 1048576" in err
        assert "said    text hello" in out
        assert "\x1b" not in out + err

    run(main())


def test_words_that_a_terminal_cannot_show_are_no_end(run: Any) -> None:
    async def main() -> None:
        async with scripted(echoes) as brain:
            code, out, err = await client(
                "--chat", "--speaker", "none", "--local-server-port", brain.port,
                stdin="日本\n".encode(), extra={"PYTHONIOENCODING": "latin-1:strict"},
            )  # fmt: skip
        assert (code, err) == (0, "")
        assert "said    text ??" in out

    run(main())


def test_a_process_without_standard_streams(run: Any) -> None:
    """As an init script may start it."""

    async def main() -> None:
        async with scripted(echoes) as brain:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", '"$0" -m robot_client.cli "$@" <&- >&- 2>&-', sys.executable,
                "--chat", "--speaker", "none", "--local-server-port", str(brain.port),
                env=environment(),
            )  # fmt: skip
            assert await process.wait() == 0

    run(main())


def test_what_is_not_answered_is_status_1(run: Any) -> None:
    async def refuses(visit: Visit) -> None:
        await visit.ready()
        await visit.until("text")
        await visit.send("error", code="llm_busy", message="later", fatal=False)
        await visit.until("text")
        await visit.socket.close(1001)

    async def main() -> None:
        async with scripted(refuses, echoes) as brain:
            code, out, err = await client(
                "--chat", "--speaker", "none", "--local-server-port", brain.port,
                stdin=b"one\ntwo\nthree\n",
            )  # fmt: skip
        assert code == 1
        assert "no answer came" in err
        assert out.count("lost    ") == 1
        assert "said    text three" in out  # the next brain's

    run(main())


def test_no_brain_for_a_pipe_is_status_69(run: Any) -> None:
    async def main() -> None:
        async with scripted(echoes) as brain:
            port = brain.port
        code, out, err = await client(
            "--chat", "--speaker", "none", "--local-server-port", port, "--wait", 1, stdin=b"hello"
        )
        assert code == 69
        assert f"no brain was ready within 1 s; no brain at ws://127.0.0.1:{port}/ws" in err
        assert out.count("lost    ") == 1  # however often it was tried

    run(main())


def test_a_prompt_that_no_reply_garbles(run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.ready()
        assert (await visit.until("text"))["text"] == "hello you"
        await visit.send("transcript_assistant", text="I \x1b[2Jthink.", reply_id=1)
        assert (await visit.until("cancel"))["type"] == "cancel"
        await answer(visit, 2, "Well?")
        await visit.until_gone()

    async def main() -> None:
        async with (
            scripted(brain_says) as brain,
            terminal("--chat", "--local-server-port", brain.port) as there,
        ):
            await there.until("ready   scripted")
            there.type("hello yuo\x7f\x7fou\n/can")
            await there.until("I \ufffd.2Jthink")  # while a line is half typed
            there.type("cel\n")
            await there.until("Well")
            there.type("bye\x15\x04")
            assert await there.ended() == 0
            words = there.lines
            assert words[-1] == ""  # the prompt is taken away
            start = words.index("> hello you")
            assert words[start + 1 : -1] == [
                "said    I \ufffd[2Jthink.",
                "> /cancel",
                "said    Well?",
            ]

    run(main())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_well_and_at_once(run: Any, number: signal.Signals) -> None:
    async def main() -> None:
        async with (
            scripted(echoes) as brain,
            terminal("--chat", "--local-server-port", brain.port) as there,
        ):
            await there.until("ready   scripted")
            there.process.send_signal(number)
            assert await there.ended() == 0
            assert "Traceback" not in there.seen

    run(main())


def test_ctrl_c_at_the_terminal_and_a_line_without_a_brain(run: Any) -> None:
    async def main() -> None:
        async with scripted(echoes) as brain:
            port = brain.port
        async with terminal("--chat", "--local-server-port", port) as there:
            await there.until("lost    no brain")
            there.type("hello\n")
            await there.until("there is no brain now; this was not sent")
            there.type("/quit\n")
            assert await there.ended() == 1

    run(main())
