"""The end-of-turn adapter, on a tiny network of Smart Turn's form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from brain.engines.endpointing.smart_turn import SAMPLES, SmartTurn, features
from brain.engines.ports import EngineFailed, EngineUnavailable, Ticket
from tests.engines.endpointing.tiny_smart_turn import write_network

RATE = 16_000


def noise(samples: int, level: float = 0.1) -> NDArray[np.float32]:
    return (np.random.default_rng(1).standard_normal(samples) * level).astype(np.float32)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("models") / "tiny.onnx")


def judged(file: Path, *sounds: NDArray[np.float32]) -> list[float]:
    async def main() -> list[float]:
        engine = await SmartTurn.load(file)
        try:
            return [await engine.probability(sound, ticket=Ticket("a")) for sound in sounds]
        finally:
            await engine.close()

    return asyncio.run(main())


def test_the_picture_is_whispers() -> None:
    """Of a sound of mean 0 and variance 1, as faster-whisper's own extractor makes it."""
    sound = noise(RATE) * np.sin(np.arange(RATE, dtype=np.float32) / 500) + np.float32(0.02)
    padded = np.pad(sound, (SAMPLES - RATE, 0))
    even = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    whispers = FeatureExtractor(chunk_length=8)(even, padding=0)[:, :800]
    assert features(sound).shape == (1, 80, 800)
    np.testing.assert_allclose(features(sound)[0], whispers, atol=1e-5)


def test_it_hears_the_last_8_seconds_with_silence_in_front_of_shorter_ones(network: Path) -> None:
    long = noise(12 * RATE)
    np.testing.assert_array_equal(features(long), features(long[-SAMPLES:]))
    short = noise(RATE)
    padded = np.concatenate([np.zeros(SAMPLES - RATE, np.float32), short])
    np.testing.assert_array_equal(features(short), features(padded))
    quiet_at_the_end = np.concatenate([short, np.zeros(RATE // 2, np.float32)])
    loud, quiet = judged(network, short, quiet_at_the_end)
    assert loud < 0.2
    assert quiet > 0.8


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(0, np.float32),
        np.zeros(1, np.float32),
        np.full(RATE, np.nan, np.float32),
        np.full(RATE, np.inf, np.float32),
        np.full(RATE, 3e38, np.float32),
        np.zeros(40 * RATE, np.float32),
    ],
    ids=["nothing", "a sample", "nan", "inf", "huge", "long"],
)
def test_any_sound_has_a_probability(network: Path, sound: NDArray[np.float32]) -> None:
    [probability] = judged(network, sound)
    assert 0.0 <= probability <= 1.0


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda file: None, "There is no model of the end of turns in"),
        (lambda file: file.mkdir(), "There is no model of the end of turns in"),
        (lambda file: file.write_bytes(b""), "is not a model of the end of turns that loads"),
        (lambda file: file.write_bytes(b"rubbish" * 99), "that loads"),
        (lambda file: write_network(file, shape=("b", 80, 3000)), r"takes input_features .*3000"),
        (lambda file: write_network(file, shape=("b", 128, 800)), "Smart Turn v3 takes"),
        (lambda file: write_network(file, shape=("b", 1, 800)), "Smart Turn v3 takes"),
        (lambda file: write_network(file, second_input=True), "more tensor"),
    ],
)
def test_what_is_no_such_model_says_so_as_it_is_loaded(
    tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    file = tmp_path / "model.onnx"
    make(file)
    with pytest.raises(EngineUnavailable, match=told):
        judged(file)


def test_a_file_that_is_cut_off_says_so(network: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(network.read_bytes()[:-200])
    with pytest.raises(EngineUnavailable, match="loads"):
        judged(cut)


@pytest.mark.parametrize("wrong", [{"sigmoid": False}, {"width": 2}, {"factor": float("nan")}])
def test_an_answer_that_is_no_probability_is_a_failure(
    tmp_path: Path, wrong: dict[str, float]
) -> None:
    file = write_network(tmp_path / "model.onnx", **wrong)  # type: ignore[arg-type]
    with pytest.raises(EngineFailed, match="one probability was expected"):
        judged(file, noise(RATE))
