"""What a field tech types, at a real brain: doctor, selftest, support-bundle, profile show."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from brain.cli import main
from brain.ops import logs
from brain.ops.bundle.pack import presentable
from brain.ops.doctor import examine
from tests.e2e.pocket import Brain, a_pocket_brain
from tests.e2e.sockets import a_robot

TOKEN = "a-token-of-the-house"


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    folder = tmp_path_factory.mktemp("brain")
    (folder / "brain.env").write_text(f"BRAIN_TOKEN={TOKEN}\nLOG_SPEECH=1\n")
    with a_pocket_brain(folder) as running:
        running.until_ready()
        with (folder / "override.env").open("w") as file:
            file.write(f"SERVER_PORT={running.port}\nSTATE_DIR={folder}\n")
            file.write("SERVER_HOST=127.0.0.1\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BRAIN_CONFIG_DIR", str(folder))
            patch.setattr(logs, "configure", lambda *_, **__: None)  # it is the whole process's
            patch.chdir(folder)
            yield running


def test_doctor_finds_a_healthy_brain(brain: Brain, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor", "--json"])
    told = json.loads(capsys.readouterr().out)
    wrong = [one for one in told["findings"] if one["severity"] in ("warning", "error")]
    assert (wrong, status, told["severity"]) == ([], 0, "ok")
    named = {one["name"]: one["found"] for one in told["findings"]}
    assert named["mind"] == "llamacpp, pocket, on the CPU"
    assert named["ears"] == "whisper, pocket, on the CPU"
    assert named["port"].endswith(f":{brain.port} answers")
    assert named["microphones"] == "no robot is connected"
    assert named["profile"] == "pocket (default)"
    assert told["settings"]["SERVER_PORT"]["origin"].endswith("override.env:1")
    assert told["versions"]["llama-cpp-python"]
    assert TOKEN not in json.dumps(told)


def test_doctor_hears_of_each_robots_microphone(
    brain: Brain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "needed_libraries", lambda _: ())  # they were tried above
    noise = np.random.default_rng(0).normal(0, 300, 8_000).astype(np.int16)

    async def visit() -> int:
        shown = {"additional_headers": {"Authorization": f"Bearer {TOKEN}"}}
        async with (
            a_robot(brain.address, "?robot_id=well", **shown) as well,
            a_robot(brain.address, "?robot_id=muted", **shown) as muted,
        ):
            for robot, sound in ((well, noise), (muted, np.zeros_like(noise))):
                await robot.speak(sound)
                await robot.send(type="ping", t=1)
                await robot.next("pong")
            return await asyncio.to_thread(main, ["doctor", "--quick", "--json"])

    assert asyncio.run(visit()) == 2
    told = json.loads(capsys.readouterr().out)["findings"]
    heard = {one["found"].split(":")[0]: one for one in told if one["name"] == "microphone"}
    assert heard["well"]["severity"] == "ok"
    assert heard["well"]["found"].startswith("well: sound arrives, -40.")
    assert heard["muted"]["severity"] == "error"
    assert "only silence comes" in heard["muted"]["found"]


def test_a_forced_gpu_engine_on_the_cpu_is_an_error(
    brain: Brain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the brain that runs says of its engines, against settings that want a GPU."""
    monkeypatch.setattr(examine, "needed_libraries", lambda _: ())
    wanted = ["LLM_GPU_LAYERS=-1", "LLM_MODEL_PATH=own.gguf", "STT_DEVICE=cuda"]
    status = main(["doctor", "--quick", "--json", *(f"--set={one}" for one in wanted)])
    told = json.loads(capsys.readouterr().out)["findings"]
    errors = {one["name"]: one["found"] for one in told if one["severity"] == "error"}
    assert status == 2
    assert errors == {
        "mind": "llamacpp, pocket, on the CPU, though LLM_GPU_LAYERS=-1 (--set)",
        "ears": "whisper, pocket, on the CPU, though STT_DEVICE=cuda (--set)",
    }


def test_selftest_is_heard_and_answered(brain: Brain, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["selftest", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert status < 2, told["findings"]  # (a busy machine may be slow: that is a warning)
    assert told["outcome"]["heard"] == "What is your name?"
    assert "Robo" in told["outcome"]["said"]
    assert told["outcome"]["first_sound_ms"] > 400
    # What LOG_SPEECH logs of it is known for what it is.
    lines = brain.log.read_text().splitlines()
    assert any("What is your name?" in line for line in lines)
    shown = presentable({"MESSAGE": line} for line in lines)
    assert shown.lines
    assert [line for line in shown.lines if "your name" in line or "Robo." in line] == []
    # Nothing of it is kept.
    assert brain.get("/health")[1]["converse_sessions"]["robots"] == {}


def test_profile_show_tells_what_runs(brain: Brain, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "show", "--profile", "laptop"]) == 0
    told = capsys.readouterr().out
    assert "In force: laptop, by --profile." in told
    assert "The brain that runs has pocket" in told


def test_a_bundle_of_a_running_brain(
    brain: Brain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "needed_libraries", lambda _: ())  # they were tried above
    file = tmp_path / "bundle.tar.gz"
    assert main(["support-bundle", "--quick", "--out", str(file)]) == 0
    with tarfile.open(file) as archive:
        texts = {}
        for member in archive.getmembers():
            content = archive.extractfile(member)
            assert content is not None
            texts[member.name.rpartition("/")[2]] = content.read().decode()
    assert json.loads(texts["ready.json"])["engines"]["llm"]["model"] == "pocket"
    assert json.loads(texts["health.json"])["status"] == "ok"
    assert [name for name, text in texts.items() if TOKEN in text] == []
