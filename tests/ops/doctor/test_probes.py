"""How the doctor reads a machine: real files, real sockets, real processes; systemd's and
nvidia-smi's words as they print them."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brain.engines.recipes import POCKET
from brain.engines.tts.orpheus.hints import STARTED_ANEW, late
from brain.models import catalog, pins
from brain.models.pins import Pin, PinnedFile
from brain.ops.doctor import (
    check_models,
    examine,
    libraries,
    local_brain,
    machine,
    models,
    preflight,
    service,
)
from brain.ops.doctor.facts import Incident, Models
from brain.settings import Settings
from tests.ops.doctor import a_machine

SHOWN = """LoadState=loaded
ActiveState=failed
SubState=failed
Result=watchdog
ExecMainStatus=6
NRestarts=4
StatusText=serving
ExecMainStartTimestampMonotonic=61000000
"""


def line(text: Any, *, by: str = "brain", priority: str = "6", at: int = 0) -> dict[str, Any]:
    return {
        "MESSAGE": text, "SYSLOG_IDENTIFIER": by, "PRIORITY": priority,
        "__REALTIME_TIMESTAMP": str(at * 1_000_000),
    }  # fmt: skip


# -- systemd -----------------------------------------------------------------------------------


def test_a_unit_is_read_from_what_systemctl_shows() -> None:
    unit = service.unit_of(SHOWN, booted_at=1000.0)
    assert unit is not None
    assert (unit.active, unit.result, unit.exit_status, unit.restarts) == (
        "failed", "watchdog", 6, 4,
    )  # fmt: skip
    assert unit.since == 1061.0
    never = service.unit_of(SHOWN.replace("61000000", "0"))
    assert never is not None
    assert never.since is None
    assert service.unit_of("LoadState=not-found\nActiveState=inactive\n") is None
    assert service.unit_of("") is None


def test_a_machine_without_systemd_is_not_asked(tmp_path: Path) -> None:
    assert service.look(tmp_path) == service.Service(managed=False)


def test_bad_ends_are_found_in_the_journal() -> None:
    entries = [
        line("brain.app: listening"),
        line("brain.service: Watchdog timeout (limit 30s)!", by="systemd", at=99),
        line("Fatal Python error: Aborted", priority="3"),
        line("brain.service: Main process exited, code=killed, status=6/ABRT", by="systemd"),
        line("brain.service: Failed with result 'watchdog'.", by="systemd", at=100),
        line("brain.speech: heard 'a birthday'"),
        line("brain: can't listen on 0.0.0.0 port 8100: Address already in use"),
        line("brain.speech: heard 'a birthday'"),
        line("brain.dialogue: 'a birthday'", priority="7"),
        line("brain.service: Main process exited, code=exited, status=1/FAILURE", by="systemd"),
        line("brain.service: Failed with result 'exit-code'.", by="systemd", at=200),
        line("brain.service: Deactivated successfully.", by="systemd", at=250),
        line("brain.service: Main process exited, code=killed, status=15/TERM", by="systemd"),
        line("brain.service: Failed with result 'signal'.", by="systemd", at=260),
        line("brain.service: Start request repeated too quickly.", by="systemd", at=300),
        line("brain.service: Failed with result 'exit-code'.", by="systemd", at=300),
        # What a robot's log line says must not look like a crash.
        line("Failed with result 'oom-kill'."),
        line([66, 255]),
        line(None, by="systemd"),
    ]
    found = service.incidents(entries)
    assert [(one.at, one.what, one.said) for one in found] == [
        (100, "watchdog, 6/ABRT, Fatal Python error: Aborted", ""),
        (200, "exit-code, 1/FAILURE",
         "brain: can't listen on 0.0.0.0 port 8100: Address already in use"),
        (300, "worn out: too many starts",
         "brain: can't listen on 0.0.0.0 port 8100: Address already in use"),
    ]  # fmt: skip


def test_the_last_error_is_never_speech() -> None:
    entries = [
        line("brain.app: it broke", priority="3", at=1_800_000_000),
        line("brain.speech: heard 'my secret'", priority="3"),
        line("Failed to start brain.service.", priority="3", by="systemd"),
        line("brain.app: all is well"),
    ]
    # It may be mended long since: when it was is told, too.
    assert service.last_error(entries) == "2027-01-15 08:00:00Z, brain.app: it broke"
    assert service.last_error([]) == ""


def test_why_orpheus_was_loaded_anew_is_in_the_journal_as_it_logs_it() -> None:
    why = late(8, 60, idle=True)
    logged = f"brain.engines.tts.orpheus.synthesizer: {STARTED_ANEW}{why}"
    entries = [
        line(logged, priority="4", at=100),
        line(f"brain.speech: heard '{STARTED_ANEW}'", priority="4"),
        line("brain.engines.ladder: tts: orpheus failed (1): " + why, priority="4"),
        line(STARTED_ANEW, by="systemd"),
    ]
    assert service.orpheus_anew(entries) == (Incident(100, why),)


# -- the machine -------------------------------------------------------------------------------


def test_a_jetson_shares_its_memory(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 15600000 kB\nMemAvailable: 9000000 kB\n")
    (tmp_path / "proc/device-tree/model").write_text("NVIDIA Jetson Orin NX\0")
    (tmp_path / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 1\n")
    found = machine.look({"STATE_DIR": tmp_path / "not/yet"}, tmp_path)
    assert (found.l4t, round(found.memory_gb or 0, 1)) == ("36.4.3", 16.0)
    assert found.gpu is not None
    assert (found.gpu.name, found.gpu.shared) == ("NVIDIA Jetson Orin NX", True)
    assert found.disks[0].folder.endswith("not/yet")
    assert found.disks[0].free_gb > 0


@pytest.mark.parametrize(
    ("table", "total"),
    [
        ("NVIDIA GeForce RTX 3090, 550.90.07, 24576, 24000\n", 25.8),
        ("Orin (nvgpu), 540.4.0, [N/A], [N/A]\n", None),
    ],
)
def test_a_gpu_is_read_from_nvidia_smi(table: str, total: float | None) -> None:
    gpu = machine.gpus_of(table)
    assert gpu is not None
    assert (gpu.total_gb and round(gpu.total_gb, 1)) == total
    assert machine.gpus_of("NVIDIA-SMI has failed") is None


# -- libraries ---------------------------------------------------------------------------------


def needed(profile: str = "laptop", **values: str) -> set[str]:
    return set(examine.needed_libraries(a_machine.settings(profile, **values)))


def test_what_is_elsewhere_needs_no_library_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"llama.cpp", "ctranslate2", "faster-whisper", "piper"}
    assert needed() == {*own, "onnxruntime"}
    fleet = {"LLM_BACKEND": "openai", "STT_BACKEND": "openai", "TTS_BACKEND": "openai"}
    # What is there may have to stand in, and is tried; what isn't was left out.
    assert needed(**fleet) == {*own, "onnxruntime", "openai"}
    monkeypatch.setattr(libraries, "installed", lambda name: name == "piper")
    assert needed(**fleet) == {"piper", "onnxruntime", "openai"}
    assert needed("rtx3090ti") >= {"vllm", "llama.cpp", "onnxruntime"}


def test_a_library_that_ends_its_process_ends_no_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {
        "killed": "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
        "missing": "import no_such_module",
        "gpu": "print('a banner'); print(True)",
        "cpu": "print(False)",
    }
    trials = {name: libraries.Trial("no-such-package", code) for name, code in codes.items()}
    monkeypatch.setattr(libraries, "TRIALS", trials)
    killed, missing, gpu, cpu = libraries.tried(codes)
    assert killed.trouble == "it ends the process (SIGILL)"
    assert missing.trouble == "ModuleNotFoundError: No module named 'no_such_module'"
    assert (gpu.gpu, cpu.gpu, gpu.trouble) == (True, False, "")


# -- what answers at the brain's address -------------------------------------------------------


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (404, b"{}"),
        (200, b"[1]"),
        (500, b'"x"'),
        (200, b'{"engines": {"llm": 1}, "profile": "pocket"}'),
        (200, b"[" * 200_000),
    ],
)
def test_another_program_is_no_brain(status: int, body: bytes) -> None:
    with answering(status, body) as port:
        found = local_brain.look(Settings(server_port=port))
    assert found.is_a == "other"
    assert found.reason


def test_a_brain_that_is_asked_too_often_is_no_other_program() -> None:
    with answering(429, b'{"error": "too_many_requests"}') as port:
        found = local_brain.look(Settings(server_port=port))
    assert (found.is_a, "REQUESTS_PER_S" in found.reason) == ("busy", True)


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"\0" * 70_000],
)
def test_neither_is_one_that_speaks_no_http(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        threading.Thread(target=answer, daemon=True).start()
        found = local_brain.look(Settings(server_port=listener.getsockname()[1]))
    assert (found.is_a, bool(found.reason)) == ("other", True)


def test_a_host_that_is_no_address_ends_no_doctor() -> None:
    for host in ("a b", "[::", "x/y?#", "fe80::1%eth0", "\u00e4" * 80):
        assert local_brain.look(Settings(server_host=host), patience_s=0.5).is_a != "brain"


def test_nobody_and_somebody_who_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(server_port=listener.getsockname()[1])
        mute = local_brain.look(settings, patience_s=0.2)
    assert (mute.is_a, "timed out" in mute.reason) == ("other", True)
    nobody = local_brain.look(settings)
    assert (nobody.is_a, nobody.reason) == ("none", "nobody listens there")


def test_the_address_is_one_that_can_be_reached_from_here() -> None:
    assert local_brain.address(Settings()) == "http://127.0.0.1:8100"
    assert local_brain.address(Settings(server_host="::")) == "http://[::1]:8100"
    assert local_brain.address(Settings(server_host="10.0.0.7")) == "http://10.0.0.7:8100"


# -- models ------------------------------------------------------------------------------------


def test_models_are_found_read_and_weighed(tmp_path: Path) -> None:
    whole, own = tmp_path / "Qwen3-1.7B-Q8_0.gguf", tmp_path / "own.gguf"
    whole.write_bytes(b"right")
    own.write_bytes(b"0" * 1000)
    digest = "d9fb5a63a3d1ba5eaa4a0b5f3a9e8ff9ad9cbf7ad8e5b6a6d1c8a2b9f7c0e1d2"
    pins.write(tmp_path, {"qwen3-1.7b-q8_0": Pin("r", "c", {
        whole.name: PinnedFile(whole.name, 5, digest)})})  # fmt: skip
    settings = Settings(
        brain_profile="laptop", models_dir=str(tmp_path), llm_backend="llamacpp",
        llm_model_path=whole.name, stt_model_size="base.en", tts_backend="piper",
        piper_voice=str(own),
    )  # fmt: skip
    quick = models.look(settings, hashed=False)
    assert quick.states["qwen3-1.7b-q8_0"] == "there"
    mind, ears, voice = quick.used
    assert (mind.model, mind.there, mind.on_gpu) == ("qwen3-1.7b-q8_0", True, True)
    assert (ears.model, ears.there) == ("whisper-base.en", False)
    assert (voice.model, voice.there) == ("", True)
    assert models.look(settings, hashed=True).states["qwen3-1.7b-q8_0"] == "changed"
    (tmp_path / "pins.json").write_text("{")
    assert "pins.json" in models.look(settings, hashed=False).trouble


def test_a_file_that_is_no_gguf_is_known_for_none(tmp_path: Path) -> None:
    """The brain talks without its eyes, so nothing else tells that they are missing."""
    page, mind = tmp_path / "mmproj.gguf", POCKET / "mind.gguf"
    page.write_bytes(b"<html>not found</html>")
    settings = Settings(llm_backend="llamacpp", llm_model_path=str(mind), llm_mmproj_path=str(page))
    whole, broken, *_ = models.used_models(settings, catalog.load())
    assert (whole.readable, broken.readable) == (True, False)
    known = a_machine.facts(models=Models("/m", (whole, broken)))
    told = [one.found for one in check_models.check(settings, known) if one.severity == "error"]
    assert ["LLM_MMPROJ_PATH" in one and "GGUF" in one for one in told] == [True]


def test_what_a_mind_sees_with_is_looked_for(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "llm_backend": "llamacpp", "models_dir": str(tmp_path),
        "llm_model_path": "Qwen2.5-VL-3B-Instruct-Q4_K_M.gguf",
    }  # fmt: skip
    known = catalog.load()
    eyes = "mmproj-Qwen2.5-VL-3B-Instruct-Q8_0.gguf"
    (tmp_path / eyes).write_bytes(bytes(1000))
    mind, found, *_ = models.used_models(Settings(**values, llm_mmproj_path=eyes), known)
    assert (found.setting, found.there) == ("LLM_MMPROJ_PATH", True)
    assert found.model == mind.model == "qwen2.5-vl-3b-q4_k_m"
    _, gone, *_ = models.used_models(Settings(**values, llm_mmproj_path="own.gguf"), known)
    assert (gone.setting, gone.there, gone.model) == ("LLM_MMPROJ_PATH", False, "")


def test_every_profile_uses_the_models_that_it_wants() -> None:
    known = catalog.load()
    from brain.settings.layers import profile_layer
    from brain.settings.load import resolve

    for profile in ("laptop", "orin-nx", "rtx3090", "pocket"):
        settings = resolve([profile_layer(profile)], profile=profile)
        used = {one.model for one in models.used_models(settings, known)}
        assert used == set(known.profiles[profile].wants), profile


@pytest.mark.parametrize(
    ("backend", "names"),
    [("llamacpp", ["orpheus-3b-q4_k_m", "snac"]), ("vllm", ["snac"]), ("server", ["snac"])],
)
def test_the_files_of_orpheus_are_looked_at_where_it_is_to_speak(
    tmp_path: Path, backend: str, names: list[str]
) -> None:
    given = {"brain_profile": "rtx3090", "models_dir": str(tmp_path), "orpheus_backend": backend}
    chosen = Settings(**given, performance_mode=True)  # type: ignore[arg-type]
    looked = models.look(chosen, hashed=False)
    orpheus = [one for one in looked.used if one.setting.startswith("ORPHEUS")]
    assert [one.model for one in orpheus] == names
    assert all(one.extra and not one.there for one in orpheus)
    assert {looked.states[name] for name in names} == {"missing"}
    (tmp_path / "orpheus").mkdir()
    (tmp_path / "orpheus" / "decoder_model.onnx").write_bytes(b"x")
    again = models.look(chosen, hashed=False)
    assert [one.there for one in again.used if one.model == "snac"] == [True]
    assert again.states["snac"] == "unknown", "nothing is pinned to compare it with"
    for changes in ({"performance_mode": False}, {"tts_backend": "piper"}):
        silent = models.look(chosen.model_copy(update=changes), hashed=False)
        assert not {one.model for one in silent.used} & set(names)


def test_a_preflights_findings_are_taken_and_nonsense_is_not() -> None:
    one = {"name": "uvm", "severity": "error", "found": "none", "todo": "modprobe"}
    assert preflight.findings_of(json.dumps({"severity": "error", "findings": [one]})) == (one,)
    for text in ("", "{}", "[]", '{"findings": [{}]}', '{"findings": 1}'):
        assert preflight.findings_of(text) == ()


def test_what_this_user_may_not_see_ends_no_doctor(tmp_path: Path) -> None:
    """As somebody else than root, in a process of its own: the appliance's folders are closed."""
    closed = tmp_path / "closed"
    (closed / "models").mkdir(parents=True)
    (closed / "brain.env").write_text("BRAIN_PROFILE=laptop\n")
    closed.chmod(0)
    script = (
        "import encodings.utf_8_sig, os, sys\n"  # (before Python's own files are closed, too)
        "from pathlib import Path\n"
        "from brain.models.place import models_dir\n"
        "from brain.ops.doctor import examine, machine\n"
        "from brain.ops.bundle.redact import secrets_of\n"
        "from brain.settings import load\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "closed = Path(sys.argv[1])\n"
        "settings = load(lenient=True, environ=os.environ)\n"
        "secrets_of(settings, os.environ)\n"
        "print(models_dir('', system=closed / 'models').name, examine._env_changed(),\n"
        "      len(machine.look({'S': closed / 'models'}).disks), bool(settings.problems))\n"
    )
    environ = {**os.environ, "BRAIN_CONFIG_DIR": str(closed), "CREDENTIALS_DIRECTORY": str(closed)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(closed)],
        check=False, capture_output=True, text=True, env=environ, timeout=60,
    )  # fmt: skip
    closed.chmod(0o700)
    assert done.stdout == "models None 0 True\n", done.stderr


@pytest.mark.parametrize("named", ["smart-turn", "smart-turn/smart-turn-v3.2-cpu.onnx"])
def test_the_model_of_the_end_of_turns_is_known_by_both_its_names(
    tmp_path: Path, named: str
) -> None:
    chosen = {
        "models_dir": str(tmp_path), "endpointing_model": named, "stt_model_size": "pocket"
    }  # fmt: skip
    assert not models.used_models(Settings(**chosen), catalog.load())  # type: ignore[arg-type]
    settings = Settings(endpointing="adaptive", **chosen)  # type: ignore[arg-type]
    [used] = models.used_models(settings, catalog.load())
    assert (used.setting, used.model, used.there) == ("ENDPOINTING_MODEL", "smart-turn", False)
    assert used.path == str(tmp_path / "smart-turn" / "smart-turn-v3.2-cpu.onnx")
