"""The command, as a process of its own, against a scripted brain: at real-time pace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_tests.command import client, only
from client_tests.scripted import ByEnergy, Visit, scripted, tone
from robot_client.cli import main
from robot_client.wav import read_wav, write_wav

RATE = 16_000


def question(path: Path, rate: int = 44_100, channels: int = 2) -> Path:
    """400 ms of a tone in the middle of 800 ms."""
    speech = (np.sin(np.arange(int(rate * 0.4)) * 2 * np.pi * 300 / rate) * 9000).astype(np.int16)
    pad = np.zeros(int(rate * 0.2), np.int16)
    write_wav(path, rate, *[np.concatenate([pad, speech, pad])] * channels)
    return path


async def listen(visit: Visit, ears: ByEnergy, turn: int, heard: str) -> None:
    assert await ears.change()
    await visit.send("speech_started", turn=turn)
    assert not await ears.change()
    await visit.send("speech_stopped", turn=turn)
    await visit.send("transcript_user", text=heard, turn=turn)


async def speak(visit: Visit, turn: int, reply_id: int, said: str, ms: float) -> None:
    await visit.send("reply_started", turn=turn, reply_id=reply_id)
    await visit.audio(reply_id, tone(ms))
    await visit.send("transcript_assistant", text=said, reply_id=reply_id)
    timings = {"endpoint": 300, "stt": 1}
    await visit.send("reply_done", reply_id=reply_id, reason="completed", timings_ms=timings)


def test_a_question_a_tool_and_a_spoken_result(tmp_path: Path, run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        session = await visit.until("session")
        assert session["playback_marks"] is True
        assert session["echo_cancellation"] is False
        assert [tool["name"] for tool in session["tools"]] == ["wink"]
        await visit.ready()
        ears = ByEnergy(visit)
        await listen(visit, ears, 1, "What is your name?")
        await speak(visit, 1, 1, "Robo.", 300)
        await listen(visit, ears, 2, "Wink!")
        await visit.send("reply_started", turn=2, reply_id=2)
        await visit.send("tool_call", name="wink", args='{"eye": "l"}', call_id="c", reply_id=2)
        await visit.send("reply_done", reply_id=2, reason="completed", timings_ms={})
        assert (await visit.until("tool_result"))["output"] == {"status": "ok"}
        await speak(visit, 2, 3, "I winked.", 200)
        await visit.until_gone()

    async def main() -> None:
        tools = tmp_path / "tools.json"
        tools.write_text('[{"name": "wink", "description": "one eye"}]')
        async with scripted(brain_says) as brain:
            code, out, err = await client(
                "--local-server-port", brain.port, "--wav", question(tmp_path / "a.wav"),
                "--wav", question(tmp_path / "b.wav", 22_050, 1), "--tools", tools,
                "--out", tmp_path / "reply.wav", "--robot-id", "reachy 1",
            )  # fmt: skip
            (visit,) = brain.visits
        assert code == 0, err
        assert visit.path == "/ws?robot_id=reachy%201"
        for words in ("heard   What is your name?", "said    Robo.", "said    I winked.",
                      'called  wink {"eye": "l"} -> {"status": "ok"}', "a.wav: heard 'What",
                      "voice to voice", "endpoint 300"):  # fmt: skip
            assert words in out
        marks = [m for m in visit.messages if m["type"] == "played"]
        assert [(m["reply_id"], m["ms"]) for m in marks] == [(1, 200), (1, 300), (3, 200)]
        reply, rate = read_wav(tmp_path / "reply.wav")
        assert rate == RATE
        assert np.count_nonzero(reply) == pytest.approx(RATE * 0.5, rel=0.01)
        assert (tmp_path / "reply.both.wav").exists()
        # The microphone's sound came at real-time pace in 20 ms frames and never fell silent.
        frames = [np.frombuffer(f, "<i2") for f in visit.frames if isinstance(f, bytes)]
        assert {len(frame) for frame in frames} == {320}
        assert all(np.any(frame) for frame in frames)
        assert (len(frames) + 1) * 320 == len(reply)

    run(main())


def test_an_interruption_and_its_figures(tmp_path: Path, run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        session = await visit.until("session")
        assert session["echo_cancellation"] is True
        await visit.ready()
        ears = ByEnergy(visit)
        await listen(visit, ears, 1, "Tell me a story.")
        await visit.send("reply_started", turn=1, reply_id=1)
        await visit.audio(1, tone(900))
        await visit.audio(1, tone(900), 1)
        assert await ears.change()
        await visit.send("speech_started", turn=2)
        await visit.send("transcript_assistant", text="Once upon", reply_id=1)
        await visit.send("reply_done", reply_id=1, reason="interrupted", timings_ms={})
        mark = await visit.until("played")
        while mark["ms"] % 200 == 0:
            mark = await visit.until("played")
        assert not await ears.change()
        await visit.send("speech_stopped", turn=2)
        await visit.send("transcript_user", text="Stop.", turn=2)
        await speak(visit, 2, 2, "Okay.", 100)
        await visit.until_gone()

    async def main() -> None:
        wav = question(tmp_path / "a.wav")
        async with scripted(brain_says) as brain:
            code, out, err = await client(
                "--local-server-port", brain.port, "--wav", wav, "--wav", wav,
                "--interrupt-after", 400, "--echo-cancellation", "--json",
            )  # fmt: skip
        assert code == 0, err
        *events, summary = [json.loads(line) for line in out.splitlines()]
        first, second = summary["questions"]
        assert (first["heard"], second["heard"]) == ("Tell me a story.", "Stop.")
        assert [r["reason"] for r in first["replies"]] == ["interrupted"]
        assert 290 < first["voice_to_voice_ms"] < 700
        assert second["started_s"] - first["speech_ended_s"] > 0.6
        (flushed,) = [e for e in events if e["event"] == "flushed"]
        # 400 ms and the question's 200 ms of silence were played, and the brain's 50 ms.
        assert 800 < flushed["dropped_ms"] < 1250
        assert {e["event"] for e in events} >= {"ready", "speech_started", "audio_delta"}

    run(main())


def test_nothing_heard_is_status_1(tmp_path: Path, run: Any) -> None:
    async def deaf(visit: Visit) -> None:
        await visit.ready()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(deaf) as brain:
            code, out, _err = await client(
                "--local-server-port", brain.port, "--wav", question(tmp_path / "a.wav"),
                "--patience", 0.2,
            )  # fmt: skip
        assert code == 1
        assert "a.wav: heard nothing; latency no sound came back" in out

    run(main())


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        (
            "error",
            {"code": "not_understood", "message": "say again", "fatal": False},
            "error   not_understood: say again",
        ),
        ("unattended", {"turn": 1}, "heard   nothing that is for the robot"),
    ],
)
def test_what_is_not_answered_is_status_1_without_waiting(
    tmp_path: Path, run: Any, kind: str, fields: dict[str, Any], told: str
) -> None:
    async def puzzled(visit: Visit) -> None:
        await visit.ready()
        ears = ByEnergy(visit)
        await ears.change()
        await visit.send("speech_started", turn=1)
        await ears.change()
        await visit.send("speech_stopped", turn=1)
        await visit.send(kind, **fields)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(puzzled) as brain:
            code, out, _err = await client(
                "--local-server-port", brain.port, "--wav", question(tmp_path / "a.wav"),
                "--patience", 25,
            )  # fmt: skip
        assert code == 1
        assert told in out

    run(main())


def test_typed_words_and_a_recording(tmp_path: Path, run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.ready()
        assert (await visit.until("text"))["text"] == "hello"
        await speak(visit, 1, 1, "Hi!", 60)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_says) as brain:
            code, out, err = await client(
                "--local-server-port", brain.port, "--text", "hello", "--record", tmp_path
            )
        assert code == 0, err
        microphone, _rate = read_wav(only(tmp_path) / "mic.wav")
        assert np.any(microphone[:4_000])  # the room
        speaker, _rate = read_wav(only(tmp_path) / "speaker.wav")
        assert np.count_nonzero(speaker) == pytest.approx(RATE * 0.06, rel=0.02)
        assert "said    Hi!" in out
        assert "text to voice" in out

    run(main())


def test_a_refusal_and_an_absent_brain_are_status_69(run: Any) -> None:
    async def refuses(visit: Visit) -> None:
        await visit.socket.close(4401, "wrong token")

    async def main() -> None:
        async with scripted(refuses) as brain:
            code, _out, err = await client("--local-server-port", brain.port, "--text", "hello")
            assert code == 69
            assert "refuses the token" in err
        code, _out, err = await client(
            "--local-server-port", brain.port, "--text", "hello", "--wait", 0.3
        )
        assert code == 69
        assert f"no brain at ws://127.0.0.1:{brain.port}/ws" in err

    run(main())


def test_bad_files_are_status_2(tmp_path: Path, run: Any) -> None:
    (tmp_path / "not.wav").write_text("hello")
    (tmp_path / "bad.json").write_text("{}")

    async def main() -> None:
        for arguments, words in (
            (["--wav", tmp_path / "not.wav"], "not a RIFF/WAVE file"),
            (["--wav", tmp_path / "none.wav"], "none.wav"),
            (["--text", "hi", "--tools", tmp_path / "bad.json"], "bad.json: not a JSON list"),
            (["--out", tmp_path / "x.wav"], "--out needs something to ask"),
        ):
            code, _out, err = await client(*arguments)
            assert code == 2
            assert words in err

    run(main())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--text", "\udcff"], "--text '\\udcff' can't be sent"),
        (["--text", "long " * 300_000], "the brain takes 1048576"),
        (["--text", "hi", "--robot-id", "\udcff"], "no text (UTF-8)"),
        (["--text", "hi", "--instructions", "\udcff"], "the session (tools, instructions, voice)"),
        (["--text", "hi", "--tools", "nan.json"], "not JSON compliant"),
        (["--text", "hi", "--wait", "nan"], "'nan' isn't a number from 0 up"),
        (["--text", "hi", "--patience", "-1"], "'-1' isn't a number from 0 up"),
        (["--text", "hi", "--interrupt-after", "inf"], "'inf' isn't a number from 0 up"),
        (["--text", "hi", "--noise", "nan"], "'nan' isn't a level in dB"),
        (["--text", "hi", "--out", "."], "--out . is a folder"),
    ],
)
def test_bad_arguments_are_status_2(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "nan.json").write_text('[{"name": "n", "parameters": {"maximum": NaN}}]')
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert words in capsys.readouterr().err


def test_a_voice_that_cannot_be_kept_is_said(tmp_path: Path, run: Any) -> None:
    async def brain_says(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        await visit.until("text")
        await speak(visit, 1, 1, "Hello.", 60)
        await visit.until_gone()

    async def talk() -> None:
        (tmp_path / "file").touch()
        async with scripted(brain_says) as brain:
            code, out, err = await client(
                "--local-server-port", brain.port, "--text", "hi",
                "--out", tmp_path / "file" / "reply.wav",
            )  # fmt: skip
        assert code == 2
        assert "said    Hello." in out
        assert err.startswith("robot-client: --out: [Errno")

    run(talk())


def test_no_sound_library_is_said_plainly(tmp_path: Path, run: Any) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    code, _out, err = run(client(extra={"PYTHONPATH": str(tmp_path)}))
    assert code == 2
    assert "library not found; install PortAudio (apt install libportaudio2), or type with" in err
    (tmp_path / "sounddevice.py").write_text("raise ImportError('no module')")
    code, _out, err = run(client(extra={"PYTHONPATH": str(tmp_path)}))
    assert code == 2
    assert "--chat" in err
    assert "--wav" in err
