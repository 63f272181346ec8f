"""`robot-client` with microphone and speaker, at a terminal (with a stand-in for a card)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_tests.command import STAND_IN, client, only, terminal
from client_tests.scripted import Visit, scripted, tone
from robot_client.cli import main
from robot_client.push_to_talk import key_named
from robot_client.wav import read_wav

RATE = 16_000


async def heard(visit: Visit, samples: int) -> None:
    """Read on until so much sound has come since now."""
    until = len(visit.sound) + samples * 2
    while len(visit.sound) < until:
        await visit.receive()


def test_talking_with_a_meter_and_a_recording(tmp_path: Path, run: Any) -> None:
    played = tmp_path / "played"

    async def brain_says(visit: Visit) -> None:
        assert (await visit.until("session"))["playback_marks"] is True
        await visit.ready()
        await heard(visit, RATE // 4)
        await visit.send("speech_started", turn=1)
        await heard(visit, RATE // 4)
        await visit.send("transcript_user", text="hello", turn=1)
        await visit.send("reply_started", turn=1, reply_id=1)
        await visit.audio(1, tone(400))
        await visit.send("transcript_assistant", text="Hi there.", reply_id=1)
        await visit.send("reply_done", reply_id=1, reason="completed", timings_ms={})
        while (await visit.until("played"))["ms"] < 400:
            continue
        await heard(visit, RATE // 4)
        await visit.send("pong", t=1)
        await visit.until_gone()

    async def main() -> None:
        async with (
            scripted(brain_says) as brain,
            terminal(
                "--local-server-port", brain.port, "--record", tmp_path / "rec",
                "--microphone", "array", extra={"STAND_IN_SPEAKER": str(played)},
            ) as there,
        ):  # fmt: skip
            await there.until("talk to the robot; Ctrl-C ends")
            await there.until("mic  -23 dB .* peak  -20 dB  listens")
            await there.until("hears you")
            await there.until("heard   hello")
            await there.until("said    Hi there")
            await there.until("speaks")
            await there.until("listens")
            there.type("\x03")
            assert await there.ended() == 0
            (visit,) = brain.visits
        # The meter comes through no line, and is taken away in the end.
        words = there.lines
        assert words[-1] in ("", "^C")
        assert [line[:8] for line in words[2:-1]] == ["ready   ", "heard   ", "said    "]
        assert "Traceback" not in there.seen

        sent = np.frombuffer(visit.sound, "<i2")
        folder = only(tmp_path / "rec")
        microphone, _ = read_wav(folder / "mic.wav")
        speaker, _ = read_wav(folder / "speaker.wav")
        # What was recorded is what was sent, but for the ends.
        at = int(np.flatnonzero(microphone)[0])
        head = slice(2_000, 6_000)
        near = [np.array_equal(microphone[at:][head], sent[k:][head]) for k in range(-400, 400)]
        assert any(near) or np.abs(sent[head]).max() > 3_000
        voice = np.frombuffer(played.read_bytes(), "<i2")
        assert np.count_nonzero(voice) == pytest.approx(RATE * 0.4, rel=0.02)
        assert np.count_nonzero(speaker) == np.count_nonzero(voice)
        lines = [json.loads(x) for x in (folder / "timeline.jsonl").read_text().splitlines()]
        (came,) = [line["t"] for line in lines if line["event"] == "audio_delta"]
        first = int(np.flatnonzero(speaker)[0]) / RATE
        assert came - 0.05 <= first <= came + 0.5

    run(main())


def test_push_to_talk(tmp_path: Path, run: Any) -> None:
    let_go = asyncio.Event()

    async def brain_says(visit: Visit) -> None:
        assert (await visit.until("session"))["turn_detection"] is None
        await visit.ready()
        await visit.until("clear")
        await heard(visit, RATE // 5)
        let_go.set()
        await visit.until("end_utterance")
        assert len(visit.sound) >= RATE // 5 * 2
        said = len(visit.sound)
        await visit.send("reply_started", turn=1, reply_id=1)
        await visit.audio(1, tone(1000))
        # The key is pressed while the robot speaks: it stops, and nothing was sent in between.
        await visit.until("cancel")
        await visit.until("clear")
        assert len(visit.sound) == said
        assert [m["ms"] for m in visit.messages if m["type"] == "played"][-1] < 1000
        await heard(visit, RATE // 5)
        let_go.set()
        await visit.until("clear")  # Escape: forget it
        said = len(visit.sound)
        await visit.send("pong", t=1)
        await visit.until_gone()
        assert len(visit.sound) == said
        assert "end_utterance" not in [m["type"] for m in visit.messages[-3:]]

    async def main() -> None:
        async with (
            scripted(brain_says) as brain,
            terminal(
                "--local-server-port", brain.port, "--push-to-talk", "--speaker", "none",
                "--record", tmp_path,
            ) as there,
        ):  # fmt: skip
            await there.until("space begins what you say, space again ends it; c cancels, q ends")
            await there.until("ready")
            await there.until("listens")
            there.type(" ")
            await there.until("ON AIR")
            await let_go.wait()
            let_go.clear()
            there.type(" ")
            await there.until("speaks")
            there.type(" ")
            await there.until("ON AIR")
            await let_go.wait()
            there.type("\x1b")
            await there.until("robot-client: forgotten")
            await there.until("listens|thinks")
            there.type("q")
            assert await there.ended() == 0
            (visit,) = brain.visits
        folder = only(tmp_path)
        microphone, _ = read_wav(folder / "mic.wav")
        # What nobody was to hear isn't recorded either.
        assert np.count_nonzero(microphone) == pytest.approx(len(visit.sound) / 2, abs=RATE // 8)
        kinds = re.findall(r'"event": "(talk_\w+)"', (folder / "timeline.jsonl").read_text())
        assert kinds == ["talk_began", "talk_ended"] * 2

    run(main())


def test_a_key_without_a_brain_and_one_that_is_lost(run: Any) -> None:
    async def vanishes(visit: Visit) -> None:
        await visit.ready()
        await visit.until("clear")
        await visit.socket.close(1001)

    async def refuses(visit: Visit) -> None:
        await visit.socket.close(4429, "full, retry_after_s=30")

    async def main() -> None:
        async with (
            scripted(vanishes, refuses) as brain,
            terminal("--local-server-port", brain.port, "--push-to-talk", "x") as there,
        ):
            await there.until("listens")
            there.type("x")
            await there.until("lost    the brain is going down")
            there.type("x")
            await there.until("the brain was lost: say it again when it is back")
            there.type("x")
            await there.until("there is no brain to talk to now")
            await there.until("no brain")
            there.type("q")
            assert await there.ended() == 0
            assert there.seen.count("lost    ") == 1

    run(main())


def test_a_refusal_is_status_78_and_its_reason(run: Any) -> None:
    async def refuses(visit: Visit) -> None:
        await visit.socket.close(4401, "wrong token")

    async def main() -> None:
        async with scripted(refuses) as brain:
            code, out, err = await client("--local-server-port", brain.port)
        assert code == 78
        assert "robot-client: " in err
        assert "token" in err.splitlines()[-1]
        assert "\x1b" not in out + err  # no terminal, no meter

    run(main())


def test_no_brain_is_waited_for_and_sigterm_is_a_good_end(run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.ready()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_says) as brain:
            port = brain.port
        async with terminal("--local-server-port", port, "--no-meter", "--wait", "0.1") as there:
            await there.until("lost    no brain")
            there.process.send_signal(signal.SIGTERM)
            assert await there.ended(5) == 0
            assert "mic " not in there.seen

    run(main())


def test_a_name_server_that_hangs_does_not_hold_up_the_end(tmp_path: Path, run: Any) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import socket, time\nsocket.getaddrinfo = lambda *a, **k: time.sleep(60)\n"
    )
    path = f"{STAND_IN}{os.pathsep}{tmp_path}"

    async def main() -> None:
        async with terminal(
            "--local-server-ip", "brain.example", "--record", tmp_path / "rec",
            extra={"PYTHONPATH": path},
        ) as there:  # fmt: skip
            await there.until("no brain")
            there.type("\x03")
            assert await there.ended(5) == 0

    run(main())
    timeline = (only(tmp_path / "rec") / "timeline.jsonl").read_text()
    assert json.loads(timeline.splitlines()[-1])["event"] == "ended"


def test_a_device_that_is_pulled_out_ends_it_with_status_2(run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.ready()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_says) as brain:
            address = ("--local-server-port", brain.port)
            ended = await asyncio.gather(
                client(*address, extra={"STAND_IN_MICROPHONE": "dies"}),
                client(*address, extra={"STAND_IN_SPEAKER": "dies"}),
            )
        for (code, _out, err), words in zip(ended, ("gives", "takes"), strict=True):
            assert code == 2
            assert f"Card: Duplex {words} no sound any more; is it still plugged in?" in err

    run(main())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--push-to-talk", "q"], "the key 'q' is taken: it ends"),
        (["--push-to-talk", "shift"], "'shift' is no key"),
        (["--chat", "--text", "x"], "--chat asks what is typed"),
        (["--chat", "--push-to-talk"], "--push-to-talk is for the microphone"),
        (["--push-to-talk", "--silence-ms", "300"], "a key does"),
        (["--microphone", "none"], "needs a microphone"),
        (["--out", "x.wav"], "--out needs something to ask"),
        (["--local-server-ip", "http://x/y"], "has the path /y"),
        (["--local-server-port", "0"], "0 is no port"),
        (["--local-server-port", "x"], "invalid int value: 'x'"),
    ],
)
def test_what_does_not_go_together_is_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(arguments)
    except SystemExit as end:  # argparse's own way
        status = int(str(end.code))
    assert status == 2
    assert words in capsys.readouterr().err


def test_no_terminal_no_key(run: Any) -> None:
    code, _out, err = run(client("--push-to-talk"))
    assert (code, "no terminal to read keys from" in err) == (2, True), err


def test_the_brains_address_may_come_from_the_environment(run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        request = visit.socket.request
        assert request is not None
        assert request.headers["Authorization"] == "Bearer secret"
        await visit.ready()
        await visit.until("text")
        await visit.socket.close(4400, "no")

    async def main() -> None:
        async with scripted(brain_says) as brain:
            names = {
                "LOCAL_SERVER_IP": "localhost",
                "LOCAL_SERVER_PORT": str(brain.port),
                "LOCAL_SERVER_TOKEN": "secret",
                "ROBOT_ID": "r 2",
            }
            code, _out, _err = await client("--text", "x", extra=names)
            assert code == 69
            assert brain.visits[0].path == "/ws?robot_id=r%202"

    run(main())


@pytest.mark.parametrize(("name", "key"), [("space", " "), ("Enter", "\n"), ("x", "x")])
def test_keys_have_names(name: str, key: str) -> None:
    assert key_named(name) == key
