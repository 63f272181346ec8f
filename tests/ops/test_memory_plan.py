"""The memory plan: parts, sums and verdicts by the settings, without loading anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brain.cli import main
from brain.engines.recipes import POCKET
from brain.models import catalog
from brain.models.catalog import Hardware
from brain.ops.doctor.facts import Gpu, Machine
from brain.ops.memory.parts import plan
from brain.ops.memory.plan import MemoryPlan
from brain.ops.memory.plans import hardware_of
from brain.ops.memory.show import as_document, as_lines
from brain.settings.layers import Assignment, flags_layer, profile_layer, profile_names
from brain.settings.load import resolve

KNOWN = catalog.load()
CARD = Hardware("a desktop", 32.0, gpu_gb=25.8, bandwidth_gb_s=936.0)


def planned(profile: str, machine: Hardware | None = None, **values: Any) -> MemoryPlan:
    flags = [Assignment("BRAIN_PROFILE", profile, "--profile")]
    flags += [Assignment(name, str(value), "--set") for name, value in values.items()]
    settings = resolve([profile_layer(profile), flags_layer(flags)], profile=profile)
    assert settings.problems == ()
    board = machine or KNOWN.profiles[profile].machine
    assert board is not None
    return plan(settings, KNOWN, board)


def sizes(made: MemoryPlan) -> dict[str, float | None]:
    """GB of each part, to the hundredth."""
    return {p.name: None if p.gb is None else round(p.gb, 2) for p in made.parts}


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_fits_its_machine_with_every_part_known(profile: str) -> None:
    made = planned(profile)
    assert (made.verdict, made.refused) == ("ok", "")
    assert all(part.gb for part in made.parts)
    assert (made.speed is None) == (profile == "pocket")


def test_the_seeds_two_ways_fit_the_3090_ti() -> None:
    quiet, loud = planned("rtx3090ti"), planned("rtx3090ti", PERFORMANCE_MODE=1)
    assert loud.verdict == "ok"
    assert "Orpheus: weights" in sizes(loud)
    assert not [name for name in sizes(quiet) if name.startswith("Orpheus")]
    shares = [sum(part.gb or 0.0 for part in made.parts if "share" in part.source)
              for made in (quiet, loud)]  # fmt: skip
    assert shares == [pytest.approx(0.35 * 25.8), pytest.approx(0.70 * 25.8)]


def test_the_orins_memory_is_one_and_shared() -> None:
    made = planned("orin-nx")
    [pool] = made.pools
    assert 8.0 < pool.needed_gb < 10.0, "shared/facts: about 9 GiB"
    assert sizes(made)["mind: weights"] == 4.9
    assert sizes(made)["mind: context"] == 0.54, "512 MiB, as in shared/facts"
    assert "lies in" in as_lines(made)[2]
    assert "shared" in as_lines(made)[3]


def test_overrides_change_the_plan() -> None:
    base = sizes(planned("orin-nx"))
    double = planned("orin-nx", LLM_CONTEXT=8192)
    assert sizes(double)["mind: context"] == pytest.approx(
        2 * (base["mind: context"] or 0), abs=0.02
    )
    other = sizes(planned("orin-nx", LLM_MODEL_PATH="Qwen3-4B-Q4_K_M.gguf"))
    assert other["mind: weights"] == 2.5
    assert sizes(planned("orin-nx", STT_COMPUTE_TYPE="float16"))["ears"] == 1.2
    assert "mouth" not in sizes(planned("orin-nx", TTS_BACKEND="espeak"))
    far = sizes(planned("orin-nx", LLM_BACKEND="openai"))
    assert not [name for name in far if name.startswith("mind")]
    ollama = planned("orin-nx", LLM_BACKEND="ollama")
    assert (sizes(ollama)["mind"], ollama.verdict) == (None, "warning")
    away = planned("orin-nx", LLM_BACKEND="ollama", OLLAMA_URL="http://10.0.0.9:11434")
    assert "mind" not in sizes(away)


def test_too_much_is_told_with_how_much_and_what_to_do() -> None:
    made = planned("orin-nx", LLM_CONTEXT=65536)
    assert made.verdict == "error"
    assert "GB too much: choose smaller models" in as_lines(made)[-2]
    scarce = planned("orin-nx", LLM_CONTEXT=57344)
    assert scarce.verdict == "warning"
    assert "hardly any is left" in as_lines(scarce)[-2]


def test_a_file_that_is_here_is_read_instead_of_the_catalogue(tmp_path: Path) -> None:
    model = tmp_path / "own.gguf"
    model.write_bytes((POCKET / "mind.gguf").read_bytes())
    made = planned("rtx3090", LLM_MODEL_PATH=model, LLM_CONTEXT=1048576)
    parts = {part.name: part for part in made.parts}
    assert parts["mind: weights"].gb == model.stat().st_size / 1e9
    assert parts["mind: context"].gb == 1048576 * 3072 / 1e9
    assert {parts[f"mind: {name}"].source for name in ("weights", "context")} == {"file"}


def test_what_nobody_knows_is_said_to_be_unknown_and_no_sum_hides_it() -> None:
    made = planned("rtx3090", LLM_MODEL_PATH="/no/such/own.gguf")
    assert sizes(made)["mind: weights"] is None
    assert made.verdict == "warning"
    assert made.speed is None
    told = "\n".join(as_lines(made))
    assert "unknown" in told
    assert "and what isn't known (mind: weights, mind: context)" in told


def test_layers_left_on_the_cpu_lie_in_its_memory(tmp_path: Path) -> None:
    model = tmp_path / "own.gguf"
    model.write_bytes((POCKET / "mind.gguf").read_bytes())
    made = planned("rtx3090", LLM_MODEL_PATH=model, LLM_GPU_LAYERS=3)
    split = [(p.place, p.gb) for p in made.parts if p.name == "mind: weights"]
    whole = model.stat().st_size / 1e9
    assert split == [("gpu", pytest.approx(whole * 3 / 7)), ("ram", pytest.approx(whole * 4 / 7))]
    assert made.speed is None, "the slower memory decides"
    none = planned("rtx3090", LLM_MODEL_PATH=model, LLM_GPU_LAYERS=0)
    assert {p.place for p in none.parts if p.name.startswith("mind")} == {"ram"}


def test_without_a_gpu_llama_cpp_takes_the_cpu_and_nothing_else_does() -> None:
    bare = Hardware("this machine", 16.0)
    made = planned("rtx3090", bare, STT_DEVICE="cpu")
    assert [pool.name for pool in made.pools] == ["memory"]
    ears = planned("rtx3090", bare)
    assert ears.verdict == "error"
    assert "there is no GPU" in "\n".join(as_lines(ears))


def test_orpheus_by_what_runs_it() -> None:
    base = {"PERFORMANCE_MODE": 1, "TTS_BACKEND": "orpheus"}
    local = sizes(planned("rtx3090", **base))
    assert local["Orpheus: weights"] == 2.0
    assert local["Orpheus: context"] == 0.94
    server = sizes(planned("rtx3090", **base, ORPHEUS_BACKEND="server"))
    assert [name for name in server if name.startswith("Orpheus")] == ["Orpheus: decoder"]


def test_a_share_that_the_weights_do_not_fit_into_is_refused() -> None:
    made = planned("rtx3090ti", VLLM_GPU_MEMORY_UTILIZATION=0.2)
    assert made.verdict == "error"
    assert "is 5.2 GB of this GPU" in made.refused
    assert "6.1 GB of weights" in made.refused


def test_more_than_the_cap_is_refused_on_any_machine() -> None:
    flags = [Assignment("PERFORMANCE_MODE", "1", "--set"),
             Assignment("GPU_UTILIZATION_CAP", "0.6", "--set")]  # fmt: skip
    settings = resolve([profile_layer("rtx3090ti"), flags_layer(flags)], profile="rtx3090ti")
    made = plan(settings, KNOWN, CARD)
    assert made.verdict == "error"
    assert as_lines(made)[-1].startswith("error: VLLM_GPU_MEMORY_UTILIZATION=0.35")


def test_the_speed_is_bandwidth_over_what_is_read_for_a_token() -> None:
    made = planned("orin-nx")
    assert made.speed is not None
    assert made.speed.read_gb == pytest.approx(4.9 + 0.537 / 2, abs=0.01)
    assert made.speed.tokens_s == pytest.approx(102.4 / made.speed.read_gb)


def test_what_is_no_model_has_no_speed(tmp_path: Path) -> None:
    """An empty file, as a full disk leaves one; a page instead of the model; a folder."""
    empty, page = tmp_path / "empty.gguf", tmp_path / "page.gguf"
    empty.write_bytes(b"")
    page.write_bytes(b"<html>not found</html>")
    for path in (empty, page, tmp_path):
        assert planned("laptop", LLM_MODEL_PATH=path).speed is None


def test_this_machine_as_a_plan_sees_it() -> None:
    bare = Machine("Linux", 0.0, 16.0)
    assert hardware_of(bare) == Hardware("this machine", 16.0)
    desktop = hardware_of(Machine("Linux", 0.0, 32.0, gpu=Gpu("RTX 3090", "5", 25.8, 20.0)))
    assert (desktop.gpu_gb, desktop.shared) == (25.8, False)
    orin = hardware_of(Machine("Linux", 0.0, 16.0, gpu=Gpu("Orin", "L4T", 16.0, 9.0, True)))
    assert (orin.gpu_gb, orin.shared) == (0.0, True)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BRAIN_CONFIG_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_the_command_prints_it(nowhere: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--plan-only", "--profile", "orin-nx"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("profile orin-nx, on Jetson Orin NX, 16 GB\n")
    assert "memory, shared with the GPU: 8.7 GB needed of 16.0 GB; 7.3 GB are left" in told
    assert "\nthis machine" in told
    too_much = ["doctor", "--plan-only", "--profile", "orin-nx", "--set", "LLM_CONTEXT=65536"]
    assert main(too_much) == 2
    refused = ["doctor", "--plan-only", "--profile", "orin-nx", "--set", "LLM_CONTEXT=5"]
    assert main(refused) == 2


def test_the_command_for_scripts(nowhere: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--plan-only", "--json", "--profile", "rtx3090"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["profile"], told["verdict"]) == ("rtx3090", "ok")
    assert {part["lies_in"] for part in told["parts"]} == {"GPU", "RAM"}
    nominal, here = told["machines"]
    assert nominal["about"].endswith("RTX 3090")
    assert here["about"].startswith("this machine")
    needed = {pool["name"]: pool["needed_gb"] for pool in nominal["pools"]}
    assert needed["gpu"] == pytest.approx(
        sum(part["gb"] for part in told["parts"] if part["place"] == "gpu")
    )
    assert as_document([planned("pocket")])["speed"] is None
