"""How much models take: by their files, else by the catalogue, whose figures fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from brain.engines.recipes import POCKET
from brain.models import catalog, sizes
from brain.models.sizes import Size

KNOWN = catalog.load()
LLAMA = KNOWN.models["llama-3-8b-q4_k_m"]
SMALL = KNOWN.models["whisper-small.en"]
MINDS = [model for model in KNOWN.models.values() if model.cache_bytes]


def test_a_file_that_is_here_says_more_than_the_catalogue(tmp_path: Path) -> None:
    mind = POCKET / "mind.gguf"
    found = sizes.of_gguf(mind, LLAMA)
    assert (found.weights, found.cache) == (Size(mind.stat().st_size, "file"), Size(3072, "file"))
    absent = sizes.of_gguf(tmp_path / "absent.gguf", LLAMA)
    assert absent.weights == Size(4_900_000_000, "catalogue")
    assert absent.cache == Size(131_072, "catalogue")
    strange = tmp_path / "strange.gguf"
    strange.write_bytes(b"no header")
    assert sizes.of_gguf(strange, None).cache == Size(None, "unknown")
    assert sizes.of_gguf(tmp_path / "absent.gguf", None).weights == Size(None, "unknown")


@pytest.mark.parametrize(
    ("layers", "share"), [(0, 0.0), (-1, 1.0), (3, 3 / 7), (7, 1.0), (100, 1.0)]
)
def test_the_share_on_the_gpu(layers: int, share: float) -> None:
    assert sizes.of_gguf(POCKET / "mind.gguf", None).on_gpu(layers) == share


def test_of_an_unknown_number_of_layers_any_may_be_all() -> None:
    assert sizes.of_named(LLAMA).on_gpu(10) == 1.0
    assert sizes.of_named(LLAMA).on_gpu(0) == 0.0


@pytest.mark.parametrize(
    ("compute_type", "size"), [("int8", 430_000_000), ("float16", 1_200_000_000)]
)
def test_ears_by_their_number_format(tmp_path: Path, compute_type: str, size: int) -> None:
    assert sizes.of_ears(tmp_path / "absent", SMALL, compute_type) == Size(size, "catalogue")


def test_what_nobody_knows(tmp_path: Path) -> None:
    assert sizes.of_ears(tmp_path / "absent", None, "int8") == Size(None, "unknown")
    assert sizes.of_file(tmp_path / "absent", None) == Size(None, "unknown")
    (tmp_path / "own.onnx").write_bytes(b"0" * 1000)
    assert sizes.of_file(tmp_path / "own.onnx", None) == Size(1000, "file")


@pytest.mark.parametrize("model", MINDS, ids=lambda model: model.id)
def test_the_catalogues_parts_and_its_sum_fit_together(model: catalog.Model) -> None:
    parts = model.weights_gb + 4096 * model.cache_bytes / 1e9
    # (vLLM keeps what is left of its share for more context.)
    assert 0 < model.memory_gb - parts < (2.0 if model.folder.startswith("vllm") else 0.6)


def test_every_profile_has_a_machine_and_its_mind_a_size() -> None:
    for name, wants in KNOWN.profiles.items():
        assert wants.machine is not None, name
        assert not (wants.machine.shared and wants.machine.gpu_gb)
        for model in KNOWN.wanted(name)[:1]:
            assert model.weights_gb
            assert model.cache_bytes


def test_a_model_is_found_by_its_place_or_its_repository() -> None:
    assert KNOWN.at("whisper/small.en/model.bin") == SMALL
    assert KNOWN.at("Qwen/Qwen3-8B-AWQ") == KNOWN.models["qwen3-8b-awq"]
    assert KNOWN.at("nothing", "such") is None
