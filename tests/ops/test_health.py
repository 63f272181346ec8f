"""What /health and /ready say of given settings and engines."""

from __future__ import annotations

import pytest

from brain.engines.gpu_memory import Filled
from brain.engines.ladder import EngineState
from brain.ops.health import HistoryState, gpu_budget, health, ready, selected_model
from brain.settings import Settings
from brain.settings.layers import Assignment, Layer, profile_layer
from brain.settings.load import resolve
from tests.seed_examples import HEALTH as HEALTH_EXAMPLE

VLLM = EngineState("llm", "vllm", "vllm", "Qwen/Qwen3-8B-AWQ")
POCKET_SERVES = EngineState(
    "llm", "vllm", "llamacpp", "pocket", reason="vLLM isn't installed: install the vllm extra."
)
LOADING = EngineState("llm", "vllm", "llamacpp", "pocket", loading=True)
EARS_LOADING = EngineState("stt", "whisper", "", "", loading=True)
EARS = EngineState("stt", "whisper", "whisper", "base.en")
ESPEAK = EngineState("tts", "auto", "espeak", "en-us")
VAD = EngineState("vad", "silero", "silero", "silero 16k")


def rtx3090ti() -> Settings:
    return resolve([profile_layer("rtx3090ti")], profile="rtx3090ti")


def test_health_is_the_seeds_example_on_the_seeds_profile() -> None:
    report = health(rtx3090ti(), [VAD, EARS_LOADING, VLLM, ESPEAK])
    assert report.status == 200
    assert {key: report.body[key] for key in HEALTH_EXAMPLE} == HEALTH_EXAMPLE
    known_later = {"llm_model", "model_available", "auto_pull_ollama_model", "orpheus_vram_free_gb"}
    assert set(report.body) == {*HEALTH_EXAMPLE, *known_later, "profile"}


@pytest.mark.parametrize("engines", [[], [POCKET_SERVES, EARS, ESPEAK], [LOADING, EARS, ESPEAK]])
def test_health_is_503_while_the_selected_mind_cannot_be_reached(
    engines: list[EngineState],
) -> None:
    report = health(rtx3090ti(), engines)
    assert report.status == 503
    assert report.body["status"] == "degraded"
    assert report.body["llm_engine_loaded"] is False
    assert report.body["model_available"] is False
    assert report.body["model"] == "Qwen/Qwen3-8B-AWQ"


def test_health_follows_the_ears_and_the_mouth() -> None:
    settings = rtx3090ti()
    assert health(settings, [VLLM, EARS]).body["ai"]["stt"]["loaded"] is True
    silent = health(settings, [VLLM, EARS, EngineState("tts", "off", "off")])
    assert silent.status == 200
    assert silent.body["ai"]["tts"] == {
        "backend_pref": "auto",
        "backend_active": "off",
        "loaded": False,
    }
    fallen = EngineState("stt", "whisper", "whisper", "pocket", reason="no base.en here")
    assert health(settings, [VLLM, fallen]).body["ai"]["stt"]["loaded"] is False


def test_health_of_ears_elsewhere_is_of_those() -> None:
    elsewhere = EngineState("stt", "openai", "openai", "whisper-1")
    for settings, state, model in (
        (Settings(stt_backend="openai"), elsewhere, "whisper-1"),
        (Settings(stt_backend="openai", stt_openai_model="large"), EARS_LOADING, "large"),
        (Settings(stt_backend="openai"), EARS_LOADING, ""),
    ):
        told = health(settings, [VLLM, state]).body["ai"]["stt"]
        assert (told["model_size"], told["device"], told["compute_type"]) == (model, "remote", "")


def test_health_of_ollama_and_of_performance_mode() -> None:
    settings = Settings(llm_backend="ollama", performance_mode=True)
    body = health(settings, [EngineState("llm", "ollama", "ollama", "qwen3:14b")]).body
    assert body["ollama"] is True
    assert body["model"] == "qwen3:14b"
    assert body["resource_profile"] == "performance"
    assert body["orpheus_enabled"] is True
    assert not health(settings, []).body["ollama"]
    gone = EngineState("llm", "ollama", "llamacpp", "pocket", reason="Nobody listens there.")
    assert health(settings, [gone]).body["ollama"] is False
    hushed = Settings(performance_mode=True, tts_backend="espeak")
    assert health(hushed, []).body["orpheus_enabled"] is False
    too_much = Settings(performance_mode=True, llm_backend="vllm", gpu_utilization_cap=0.5)
    assert health(too_much, []).body["orpheus_enabled"] is False


def test_a_pull_is_told_and_means_that_ollama_is_there() -> None:
    settings = Settings(llm_backend="ollama")
    pulling = EngineState("llm", "ollama", "llamacpp", "pocket", loading=True, progress="41 %")
    report = health(settings, [pulling])
    assert (report.status, report.body["ollama"]) == (503, True)
    assert report.body["model_available"] is False
    told = ready(settings, [VAD, EARS, pulling, ESPEAK], version="1").body
    assert told["engines"]["llm"]["progress"] == "41 %"


def test_the_model_of_an_openai_server_is_the_one_asked_for_or_the_one_found() -> None:
    found = EngineState("llm", "openai", "openai", "first-of-its-list")
    assert selected_model(Settings(llm_backend="openai"), found) == "first-of-its-list"
    assert selected_model(Settings(llm_backend="openai", openai_model="m"), found) == "m"
    gone = EngineState("llm", "openai", "llamacpp", "pocket", reason="Nobody listens there.")
    assert health(Settings(llm_backend="openai"), [gone]).body["llm_model"] == ""


def test_health_takes_others_counters_as_they_stand() -> None:
    counted = {"plan_admission": {"max_inflight": 1, "inflight": 0, "admitted": 3, "rejected": 1}}
    report = health(rtx3090ti(), [VLLM], counters=counted, orpheus_vram_free_gb=7.5)
    assert report.body["plan_admission"] == counted["plan_admission"]
    assert report.body["orpheus_vram_free_gb"] == 7.5


ORPHEUS = EngineState("tts", "orpheus", "orpheus", "orpheus-3b")
ESPEAK_INSTEAD = EngineState("tts", "orpheus", "espeak", "en-us", reason="no room")
TI: dict[str, object] = {"llm_backend": "vllm", "orpheus_gpu_memory_utilization": 0.35}
LOUD: dict[str, object] = {**TI, "performance_mode": True}


@pytest.mark.parametrize(
    ("changes", "engines", "budget", "enabled", "held"),
    [
        # The settings; what serves -> the shares that are configured, whether Orpheus may speak,
        # and the shares that are really held.
        (TI, [VLLM, ESPEAK], (0.35, 0.35), False, {"llm": 0.35}),
        (LOUD, [VLLM, ORPHEUS], (0.35, 0.35), True, {"llm": 0.35, "tts": 0.35}),
        (LOUD, [VLLM, ESPEAK_INSTEAD], (0.35, 0.35), True, {"llm": 0.35}),
        (LOUD, [POCKET_SERVES, ORPHEUS], (0.35, 0.35), True, {"tts": 0.35}),
        (LOUD, [POCKET_SERVES, ESPEAK_INSTEAD], (0.35, 0.35), True, {}),
        (LOUD, [], (0.35, 0.35), True, {}),
        ({**LOUD, "gpu_utilization_cap": 0.6}, [VLLM, ESPEAK_INSTEAD], (0.35, 0.35), False,
         {"llm": 0.35}),
        ({**LOUD, "tts_backend": "piper"}, [VLLM, ESPEAK], (0.35, 0.0), False, {"llm": 0.35}),
        ({**LOUD, "tts_backend": "off"}, [VLLM], (0.35, 0.0), False, {"llm": 0.35}),
        ({**LOUD, "orpheus_backend": "llamacpp"}, [VLLM, ORPHEUS], (0.35, 0.0), True,
         {"llm": 0.35}),
        ({**LOUD, "orpheus_backend": "server"}, [VLLM, ORPHEUS], (0.35, 0.0), True,
         {"llm": 0.35}),
        ({**LOUD, "llm_backend": "llamacpp"}, [POCKET_SERVES, ORPHEUS], (0.0, 0.0), True, {}),
        ({**LOUD, "llm_backend": "llamacpp", "orpheus_backend": "vllm"}, [POCKET_SERVES, ORPHEUS],
         (0.0, 0.35), True, {"tts": 0.35}),
        ({"llm_backend": "ollama", "tts_backend": "piper"}, [], (0.0, 0.0), False, {}),
    ],
)  # fmt: skip
def test_what_is_told_of_the_gpu_is_what_is_configured_and_what_runs(
    changes: dict[str, object],
    engines: list[EngineState],
    budget: tuple[float, float],
    enabled: bool,
    held: dict[str, float],
) -> None:
    settings = Settings.model_validate(changes)
    body = health(settings, engines).body
    assert body["gpu_budget"] == {
        "qwen_backend": settings.llm_backend,
        "qwen_utilization": budget[0],
        "orpheus_utilization": budget[1],
        "combined_utilization": sum(budget),
        "cap": settings.gpu_utilization_cap,
    }
    assert body["orpheus_enabled"] is enabled
    assert ready(settings, engines, version="1").body["gpu"]["shares"] == held


def test_budget_counts_only_what_reserves_a_share() -> None:
    assert gpu_budget(Settings())["combined_utilization"] == 0.8
    pocket = gpu_budget(Settings(llm_backend="llamacpp", tts_backend="piper"))
    assert (pocket["qwen_utilization"], pocket["combined_utilization"]) == (0.0, 0.0)
    assert pocket["qwen_backend"] == "llamacpp"


def test_ready_tells_of_the_gpus_memory_where_it_is_known() -> None:
    gib = 1 << 30
    told = ready(Settings(), [], version="1", gpu=Filled(24 * gib, 5 * gib)).body["gpu"]
    assert (told["total_gb"], told["free_gb"], told["cap"]) == (24.0, 5.0, 0.8)
    unknown = ready(Settings(), [], version="1").body["gpu"]
    assert (unknown["total_gb"], unknown["free_gb"]) == (None, None)


def test_a_models_folder_is_nobodys_business() -> None:
    settings = Settings(llm_backend="llamacpp", llm_model_path="/srv/models/a.gguf")
    assert selected_model(settings) == "a.gguf"


def test_ready_waits_for_what_is_loading_and_not_for_what_was_given_up_on() -> None:
    settings = rtx3090ti()
    loading = ready(settings, [VAD, EARS, LOADING, ESPEAK], version="1")
    assert (loading.status, loading.body["ready"], loading.body["loading"]) == (503, False, ["llm"])
    assert loading.body["degraded"] is False
    given_up = ready(settings, [VAD, EARS, POCKET_SERVES, ESPEAK], version="1")
    assert (given_up.status, given_up.body["ready"], given_up.body["degraded"]) == (200, True, True)
    assert given_up.body["engines"]["llm"] == {
        "name": "llamacpp",
        "model": "pocket",
        "device": "",
        "wanted": "vllm",
        "loading": False,
        "progress": "",
        "degraded": True,
        "reason": "vLLM isn't installed: install the vllm extra.",
        "endpoints": [],
    }
    whole = ready(settings, [VAD, EARS, VLLM, ESPEAK], version="1")
    assert (whole.status, whole.body["degraded"]) == (200, False)


def test_a_brain_without_ears_is_not_ready_whatever_the_reason() -> None:
    deaf = EngineState("stt", "whisper", reason="The model file is cut off.")
    report = ready(rtx3090ti(), [VAD, deaf, VLLM, ESPEAK], version="1")
    assert (report.status, report.body["missing"]) == (503, ["stt"])


def test_a_brain_whose_words_alone_end_turns_is_ready_and_says_why() -> None:
    reason = "There is no model of the end of turns in /models/turn.onnx."
    gone = EngineState("eot", "smart-turn", reason=reason)
    report = ready(rtx3090ti(), [VAD, EARS, VLLM, ESPEAK, gone], version="1")
    assert (report.status, report.body["missing"], report.body["degraded"]) == (200, [], True)
    assert report.body["engines"]["eot"]["reason"] == reason


def test_ready_ends_with_the_brain_and_has_not_begun_without_engines() -> None:
    settings = rtx3090ti()
    assert ready(settings, [VAD, EARS, VLLM, ESPEAK], version="1", stopping=True).status == 503
    assert ready(settings, [], version="1").status == 503


def test_ready_tells_of_bad_settings() -> None:
    bad = Layer((Assignment("STT_DEVICE", "gpu", "environment"),))
    settings = resolve([profile_layer("pocket"), bad], profile="pocket")
    [problem] = ready(settings, [VLLM], version="1").body["problems"]
    assert problem.startswith("STT_DEVICE='gpu' (environment)")
    assert problem.endswith("cpu (default) holds instead")


def test_conversations_that_would_be_lost_are_told_of_but_hold_up_nobody() -> None:
    engines = [VAD, EARS, VLLM, ESPEAK]
    lost = ready(
        rtx3090ti(), engines, version="1", history=HistoryState(store="sqlite", reason="disk full")
    )
    assert lost.status == 200
    assert lost.body["degraded"]
    assert lost.body["history"]["store"] == "memory"
    assert lost.body["history"]["reason"] == "disk full"
    kept = ready(rtx3090ti(), engines, version="1", history=HistoryState(store="sqlite")).body
    assert not kept["degraded"]
    assert kept["history"]["store"] == "sqlite"
    wanted_so = ready(rtx3090ti(), engines, version="1").body
    assert not wanted_so["degraded"]
    assert wanted_so["history"]["store"] == "memory"
