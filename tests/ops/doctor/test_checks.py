"""What the doctor makes of facts: each fault by itself, in an otherwise healthy house."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from brain.engines.tts.orpheus.hints import late
from brain.ops.doctor import examine
from brain.ops.doctor.facts import (
    Disk,
    Facts,
    Incident,
    Library,
    Machine,
    Models,
    RunningBrain,
    Service,
    Unit,
)
from brain.ops.doctor.findings import Finding, as_lines, exit_status
from brain.settings import Problem
from tests.ops.doctor.a_machine import (
    CARD,
    NOW,
    engine,
    engines,
    facts,
    only,
    planned,
    running,
    settings,
    used,
)

HEALTHY = facts()
UNIT = Unit("active", "running", "success", since=NOW)


def test_a_healthy_house_has_neither_warnings_nor_errors() -> None:
    found = examine.findings(settings(), HEALTHY)
    assert [one for one in found if one.severity in ("warning", "error")] == []
    assert exit_status(found) == 0
    assert only(found, "profile").found == "orin-nx (/etc/brain/brain.env:1)"
    assert only(found, "network").found == "robots reach it at 192.168.1.20, port 8100"
    assert only(found, "mind").found == "llamacpp, llama.gguf, on the GPU"


def service(**changed: Any) -> Facts:
    return facts(service=Service(True, replace(UNIT, **changed), log_readable=True))


def crashed(hours_ago: float, what: str) -> Facts:
    ended = (Incident(NOW - hours_ago * 3600, what),)
    return facts(service=Service(True, UNIT, log_readable=True, incidents=ended))


def machine(**changed: Any) -> Facts:
    return facts(machine=replace(HEALTHY.machine, **changed))


NOBODY = RunningBrain("http://127.0.0.1:8100", "none", "nobody listens there")
FELL = engine("whisper", "pocket", "cpu", reason="STT_DEVICE=cuda, but there is no CUDA device.")
HOARSE = engine("espeak", "espeak-ng en", "cpu", wanted="piper", reason="There is no voice.")
LOST = Problem("error", "BRAIN_TOKEN_FILE", "BRAIN_TOKEN_FILE=/x: can't be read", "e:1", "nobody")
SICK_DISK = (Disk("STATE_DIR", "/var/lib/brain", 50.0, read_only=True),)


@pytest.mark.parametrize(
    ("spoilt", "severity", "name", "says"),
    [
        # A forced GPU engine on the CPU: by what the brain that runs says of itself, …
        (facts(running=running(engines=engines(llm=engine("llamacpp", "l", "cpu")))),
         "error", "mind", "on the CPU, though LLM_GPU_LAYERS=-1 (profile orin-nx)"),
        (facts(running=running(engines=engines(stt=FELL))), "error", "ears", "no CUDA device"),
        # … and, before one runs, by what the libraries find.
        (facts(libraries=(Library("llama.cpp", "1", gpu=False),)),
         "error", "llama.cpp", "finds no GPU, though LLM_GPU_LAYERS=-1"),
        (facts(libraries=(Library("ctranslate2", "1", gpu=False),)),
         "error", "ctranslate2", "finds no GPU, though STT_DEVICE=cuda"),
        (facts(libraries=(Library("piper", "", trouble="it ends the process (SIGILL)"),)),
         "error", "piper", "SIGILL"),
        (facts(running=running(engines=engines(tts=HOARSE))), "warning", "mouth", "no voice"),
        (facts(running=running(engines=engines(stt=engine("", "", "", reason="All gone.")))),
         "error", "ears", "nothing serves: All gone."),
        (facts(running=running(engines=engines(llm=engine("x", "pocket", "cpu", loading=True)))),
         "note", "mind", "is loading"),
        # The service and its past.
        (service(active="failed", sub="failed", result="exit-code", exit_status=78),
         "error", "service", "failed"),
        (service(active="activating", sub="auto-restart", result="exit-code", exit_status=1),
         "error", "service", "it ended (exit-code 1)"),
        (facts(libraries=(Library("piper", trouble="x.so: cannot open shared object file"),)),
         "error", "piper", "x.so"),
        (service(active="inactive", sub="dead"), "error", "service", "inactive"),
        (facts(service=Service(False)), "note", "service", "no systemd"),
        (facts(service=Service(True)), "note", "service", "isn't installed"),
        (facts(running=NOBODY), "error", "port", "nobody listens"),
        (facts(running=NOBODY, service=Service(False)), "warning", "port", "nobody listens"),
        (facts(running=replace(NOBODY, is_a="busy", reason="too often")),
         "warning", "port", "too often"),
        (facts(running=replace(NOBODY, is_a="other", reason="it is a web server")),
         "error", "port", "web server"),
        (crashed(1, "watchdog, 6/ABRT"), "warning", "crashes", "1 in the last 24 hours"),
        (crashed(1, "signal, 9/KILL"), "warning", "crashes", "9/KILL"),
        (crashed(30, "oom-kill, 9/KILL"), "note", "crashes", "none in 24 hours"),
        (facts(service=Service(True, UNIT)), "note", "crashes", "can't be read"),
        (facts(service=Service(True, UNIT, log_readable=True, reboots=2)),
         "warning", "restarts", "2 time(s)"),
        (facts(running=running(history={"reason": "disk full"})), "warning", "history", "full"),
        (facts(running=running(access={"token": True, "locked": True})),
         "error", "token", "lets nobody in"),
        (facts(running=running(access={"token": False, "local_only": True})),
         "error", "tls", "this machine alone"),
        (facts(running=running(access={"token": False})), "note", "token", "anybody"),
        (facts(running=NOBODY, service=Service(False), access_problems=(LOST,)),
         "error", "settings", "BRAIN_TOKEN_FILE"),
        (facts(addresses=()), "warning", "network", "in no network"),
        # Settings that aren't in force yet.
        (facts(env_changed=NOW + 5), "warning", "settings", "changed after the brain"),
        # The machine.
        (facts(plan=planned(8.5)), "error", "memory", "8.7 GB needed of 8.5 GB; 0.2 GB too much"),
        (facts(plan=planned(9.5)), "warning", "memory", "hardly any"),
        (facts(plan=planned(gpu_gb=4.0)), "error", "gpu-memory", "needed of 4.0 GB"),
        (facts(plan=planned(LLM_MODEL_PATH="own.gguf")), "note", "memory", "what isn't known"),
        (facts(plan=planned(gpu_gb=25.8), running=NOBODY, service=Service(False),
               machine=Machine("Linux", NOW, 16.0, gpu=replace(CARD, free_gb=5.0))),
         "warning", "gpu-memory", "6.7 GB of the GPU's memory are needed, and 5.0 GB are free"),
        (machine(now=60.0), "warning", "clock", "1970-01-01 00:01:00Z"),
        (machine(clock_synchronized=False), "note", "clock", "set by nobody"),
        (machine(disks=(Disk("STATE_DIR", "/s", 0.1),)), "error", "disk", "0.1 GB free"),
        (machine(disks=(Disk("STATE_DIR", "/s", 1.0),)), "warning", "disk", "1.0 GB free"),
        (machine(disks=SICK_DISK), "error", "disk", "can't be written"),
        (facts(preflight=({"name": "l4t", "severity": "error", "found": "36.4.7", "todo": "u"},)),
         "error", "l4t", "36.4.7"),
        # Models.
        (facts(running=NOBODY, service=Service(False), models=Models("/m", used(there=False))),
         "error", "models", "there is no /m/llama"),
        (facts(models=Models("/m", used(), {"llama-3-8b-q4_k_m": "changed"})),
         "error", "models", "damaged"),
        (facts(models=Models("/m", used(), {"llama-3-8b-q4_k_m": "unknown"})),
         "note", "models", "nothing is known"),
        (facts(models=Models("/m", trouble="pins.json can't be read")), "error", "models", "pins"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_what_to_do(
    spoilt: Facts, severity: str, name: str, says: str
) -> None:
    found = [one for one in examine.findings(settings(), spoilt) if says in one.found]
    assert [(one.severity, one.name) for one in found] == [(severity, name)]
    if severity in ("warning", "error"):
        assert found[0].todo or name == "models"
    assert exit_status(found) == {"note": 0, "warning": 1, "error": 2}[severity]


@pytest.mark.parametrize(
    ("sound", "severity", "says"),
    [
        ({}, "ok", "r1: sound arrives, -32.0 dBFS (peak -9.0)"),
        ({"dead": True, "level_dbfs": None, "peak_dbfs": None}, "error", "not even noise"),
        ({"clipped": 0.2}, "warning", "20% of it clipped"),
        ({"level_dbfs": -71.0}, "warning", "very quiet"),
        ({"silent_for_s": 60.0}, "note", "no sound for 60.0 s"),
        ({"silent_for_s": None, "seconds": 0.0}, "note", "no sound has ever come"),
    ],
)
def test_a_microphone(sound: dict[str, Any], severity: str, says: str) -> None:
    told = {
        "seconds": 30.0, "silent_for_s": 0.1, "level_dbfs": -32.0, "peak_dbfs": -9.0,
        "clipped": 0.0, "dead": False, **sound,
    }  # fmt: skip
    spoilt = facts(running=running(sessions={"robots": {"r1": told}}))
    found = only(examine.findings(settings(), spoilt), "microphone")
    assert (found.severity, says in found.found) == (severity, True), found


def test_robots_are_not_named_without_the_token() -> None:
    spoilt = facts(running=replace(running(), sessions=None))
    found = only(examine.findings(settings(), spoilt), "microphones")
    assert (found.severity, "token" in found.found) == ("note", True)


def test_no_one_forced_a_gpu_by_leaving_a_default() -> None:
    """A laptop with its own GGUF: LLM_GPU_LAYERS is -1 by default, and no GPU is no fault."""
    own = settings("pocket", LLM_MODEL_PATH="own.gguf", STT_MODEL_SIZE="base.en")
    on_cpu = engines(
        llm=engine("llamacpp", "own.gguf", "cpu"), stt=engine("whisper", "base.en", "cpu")
    )
    spoilt = facts(
        running=running(engines=on_cpu, profile="pocket"),
        libraries=(Library("llama.cpp", "1", gpu=False), Library("ctranslate2", "1", gpu=False)),
    )
    found = examine.findings(own, spoilt)
    assert [one for one in found if one.severity in ("warning", "error")] == []


def test_settings_are_told_with_their_places_and_no_secret() -> None:
    own = settings("orin-nx", BRAIN_TOKEN="hunter2", LLM_CONTEXT="2048", STT_DEVICE="gpu")
    found = [one for one in examine.findings(own, HEALTHY) if one.name == "settings"]
    told = "\n".join(one.found for one in found)
    assert "LLM_CONTEXT=2048 (/etc/brain/brain.env:3)" in told
    assert "BRAIN_TOKEN=******** (/etc/brain/brain.env:2)" in told
    assert "hunter2" not in told
    assert [one.severity for one in found] == ["ok", "error"]
    assert "STT_DEVICE='gpu'" in found[1].found


def test_eyes_without_their_model_are_told() -> None:
    own = settings("pocket", LLM_MMPROJ_PATH="mmproj.gguf")
    told = {one.found: one.severity for one in examine.findings(own, HEALTHY)}
    assert told["LLM_MMPROJ_PATH is set, and the embedded model can't see"] == "warning"
    own = settings("pocket", LLM_MMPROJ_PATH="mmproj.gguf", LLM_MODEL_PATH="qwen-vl.gguf")
    assert not [one for one in examine.findings(own, HEALTHY) if "can't see" in one.found]


def test_endpointing_that_comes_to_nothing_is_told() -> None:
    vain = settings("pocket", ENDPOINTING_MODEL="smart-turn")
    told = {one.found: one.severity for one in examine.findings(vain, HEALTHY)}
    assert told["ENDPOINTING_MODEL is set, and ENDPOINTING=fixed asks no model"] == "warning"
    deaf = settings("pocket", ENDPOINTING="adaptive", TENTATIVE_SILENCE_MS="0")
    [told_of] = [one for one in examine.findings(deaf, HEALTHY) if "ENDPOINTING=" in one.found
                 and one.severity == "error"]  # fmt: skip
    assert "TENTATIVE_SILENCE_MS=0 hears nothing" in told_of.found
    good = settings("pocket", ENDPOINTING="adaptive", ENDPOINTING_MODEL="smart-turn")
    assert not [one for one in examine.findings(good, HEALTHY)
                if one.severity != "ok" and "ENDPOINTING" in one.found]  # fmt: skip


def test_a_missing_end_of_turn_model_is_a_warning() -> None:
    gone = engine("", "", "", reason="There is no model of the end of turns in /m.onnx.")
    found = examine.findings(settings(), facts(running=running(engines=engines(eot=gone))))
    told = only(found, "end of turn")
    assert told.severity == "warning"
    assert "/m.onnx" in told.found


def test_another_profile_runs_than_the_one_that_is_set() -> None:
    found = examine.findings(settings("laptop"), HEALTHY)
    [told] = [one for one in found if one.severity == "warning" and one.name == "profile"]
    assert told.found == "the brain that runs has the profile orin-nx"
    assert told.todo == "sudo systemctl restart brain"
    # Somebody typed `brain serve --profile …`; that is no mistake.
    found = examine.findings(settings("laptop"), facts(service=Service(False)))
    [told] = [one for one in found if one.severity == "warning" and one.name == "profile"]
    assert told.todo.startswith("ask with --profile orin-nx")


def test_what_is_down_is_not_said_to_be_ready() -> None:
    """systemd keeps the last status of a unit."""
    for active, sub in (("inactive", "dead"), ("activating", "auto-restart"), ("failed", "failed")):
        unit = replace(UNIT, active=active, sub=sub, status="ready; llm llamacpp (pocket)")
        house = facts(running=NOBODY, service=Service(True, unit, log_readable=True))
        assert "ready" not in only(examine.findings(settings(), house), "service").found


def test_a_model_that_is_missing_is_to_be_pulled_and_no_more() -> None:
    lost = engine("llamacpp", "pocket", "cpu", reason="There is no x.gguf: brain models pull …")
    house = facts(running=running(engines=engines(llm=lost)))
    told = only(examine.findings(settings("laptop"), house), "mind")
    assert told.todo == "brain models pull --profile laptop; it is tried again by itself"


def test_what_nobody_knows_is_no_fault() -> None:
    bare = facts(
        running=NOBODY,
        service=Service(False),
        machine=Machine("?", NOW),
        models=Models("/m"),
        libraries=(),
        versions={},
        env_changed=None,
    )
    assert exit_status(examine.findings(settings("pocket"), bare)) == 1  # nobody listens


def test_others_words_stay_on_one_line_and_move_no_cursor() -> None:
    told = as_lines([Finding("error", "log", "one\ntwo\x1b[2J\x07", "do\r\nit")])
    assert told == ["error    log one two[2J", "             -> do it"]


@pytest.mark.parametrize(
    ("ending", "todo"),
    [
        ("signal, 9/KILL", "killed from outside"),
        ("signal, 4/ILL", "another CPU"),
        ("exit-code, 78/CONFIG", "can't be used"),
        ("exit-code, 178/x", "journalctl -u brain"),
        ("watchdog, 6/ABRT", "hung"),
        ("oom-kill, 9/KILL", "out of memory"),
    ],
)
def test_each_ending_has_its_own_advice(ending: str, todo: str) -> None:
    found = only(examine.findings(settings(), crashed(1, ending)), "crashes")
    assert todo in found.todo


@pytest.mark.parametrize(("hours_ago", "severity"), [(1, "warning"), (30, "note")])
def test_why_orpheus_was_loaded_anew_is_told_with_what_to_change(
    hours_ago: float, severity: str
) -> None:
    why = Incident(NOW - hours_ago * 3600, late(8, 60, idle=True))
    tired = facts(service=Service(True, UNIT, log_readable=True, orpheus_anew=(why,)))
    found = only(examine.findings(settings(), tired), "orpheus")
    assert found.severity == severity
    assert "raise ORPHEUS_IDLE_TIMEOUT_S and ORPHEUS_TOTAL_TIMEOUT_S" in found.found
    assert not [one for one in examine.findings(settings(), HEALTHY) if one.name == "orpheus"]


def test_a_model_that_the_profile_does_not_want_by_itself_is_pulled_by_its_name() -> None:
    decoder = {"setting": "ORPHEUS_DECODER_PATH", "value": "d.onnx", "path": "/m/d.onnx"}
    snac = used(**decoder, model="snac", there=False, extra=True)
    # (That Piper serves well is no sign that it is there.)
    found = only(examine.findings(settings(), facts(models=Models("/m", snac))), "models")
    assert (found.severity, found.todo) == ("error", "brain models pull snac")
    assert "ORPHEUS_DECODER_PATH=d.onnx" in found.found
    cut = Models("/m", (replace(snac[0], there=True),), {"snac": "partly"})
    found = only(examine.findings(settings(), facts(models=cut)), "models")
    assert (found.found, found.todo) == ("snac isn't whole", "brain models pull snac")


def test_a_model_that_serves_is_there_wherever_it_came_from() -> None:
    """A Whisper model by name may lie in the hub's own cache rather than in MODELS_DIR."""
    absent = facts(models=Models("/m", used(there=False)))
    found = examine.findings(settings(), absent)
    assert [one for one in found if one.severity == "error"] == []


def test_vllm_comes_with_an_extra_of_its_own() -> None:
    missing = facts(libraries=(Library("vllm", trouble="No module named 'vllm'"),))
    assert "extra vllm" in only(examine.findings(settings("rtx3090ti"), missing), "vllm").todo


@pytest.mark.parametrize(
    ("reason", "todo"),
    [
        ("/var/lib/brain/history.sqlite3: disk full", "make room on the disk"),
        ("redis://10.0.0.7:6379/0: it doesn't answer", "Redis runs there"),
        ("rediss://10.0.0.7:6379/0: invalid password", "HISTORY_STORE has its address"),
    ],
)
def test_where_conversations_are_not_kept_it_says_what_to_do_there(reason: str, todo: str) -> None:
    told = running(history={"reason": reason})
    found = examine.findings(settings(), facts(running=told))
    assert [todo in one.todo for one in found if one.name == "history"] == [True]
