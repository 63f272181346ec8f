"""Silero for real: speech is speech, noise is not, and streams don't hear one another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from brain.engines.ports import EngineUnavailable, Ticket, VoiceDetector
from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer
from brain.engines.vad.silero import SileroDetector

FRAME = 512


def spoken(text: str) -> NDArray[np.float32]:
    """`text` by espeak-ng, float32 at 16 kHz."""

    async def main() -> NDArray[np.float32]:
        mouth = await EspeakSynthesizer.load(EspeakOptions())
        blocks = [block.samples async for block in mouth.stream(text, ticket=Ticket("a"))]
        await mouth.close()
        sound = np.concatenate(blocks).astype(np.float32) / 32768
        return np.asarray(soxr.resample(sound, 22050, 16000), dtype=np.float32)

    return asyncio.run(main())


def heard(detector: VoiceDetector, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    stream = detector.new_stream()
    count = len(sound) // FRAME
    return np.array(
        [
            detector.probabilities([stream], sound[None, i * FRAME : (i + 1) * FRAME])[0]
            for i in range(count)
        ]
    )


def test_it_tells_speech_from_what_is_none() -> None:
    detector = SileroDetector()
    quiet = np.zeros(16000, np.float32)
    speech = spoken("Hello robot, please turn around and dance for me.")
    probabilities = heard(detector, np.concatenate([quiet, speech, quiet]))
    during = probabilities[33 : 33 + len(speech) // FRAME - 4]
    assert np.mean(during > 0.5) > 0.7
    assert np.max(probabilities[:30]) < 0.2
    assert np.max(probabilities[-15:]) < 0.2
    noise = np.random.default_rng(0).standard_normal(32000).astype(np.float32) * 0.02
    assert np.mean(heard(detector, noise) > 0.5) < 0.1


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    rubbish = tmp_path / "vad.onnx"
    rubbish.write_bytes(b"rubbish")
    with pytest.raises(EngineUnavailable, match=r"vad\.onnx"):
        SileroDetector(rubbish)


def test_torch_is_not_imported() -> None:
    code = (
        "import sys; from brain.engines.vad.silero import SileroDetector; SileroDetector();"
        "print('torch' in sys.modules or 'silero_vad' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
