"""`python -m benchmarks.orpheus_sound [DECODER]`: what it costs Orpheus's sound to be streamed.

DECODER is SNAC's at 24 kHz as ONNX, without its noise: that of `tools/snac/make.sh` by default, as
wide as the real one, with random weights. Random codes go through the voice as a model would write
them, and once through the decoder as a whole. Told are whether the streamed sound is, sample for
sample, that of a slow windowed reference; how far windows are from the whole, as signal to
difference in dB; and how much processor time a window takes (a frame is 85.3 ms of sound).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.engines.tts.orpheus.frames import FRAME_TOKENS, FrameAssembler
from brain.engines.tts.orpheus.snac import SnacDecoder
from tests.engines.tts.orpheus.scripted_voice import (
    InlineDecoder,
    ScriptedSource,
    said,
    speech,
    voice,
)
from tests.engines.tts.orpheus.slow_reference import slow_sound, whole_sound

WINDOWS = 10


@dataclass(frozen=True)
class Result:
    """`signal_to_difference_db`: of the streamed sound from the whole, by the most frames that are
    decoded at once. `window_ms`: processor time, medians, of a window of so many frames."""

    decoder: str
    frames: int
    as_slow_reference: bool
    signal_to_difference_db: dict[int, float]
    window_ms: dict[int, float]


async def streamed(decoder: Path, ids: list[int], at_once: int) -> NDArray[np.int16]:
    """int16 at 24 kHz: what the voice makes of `ids` that come a frame at a time, or `at_once`."""
    step = FRAME_TOKENS * at_once
    deltas = [ids[start : start + step] for start in range(0, len(ids), step)]
    mouth = voice(
        ScriptedSource([*deltas]), InlineDecoder(decoder), at_once=at_once, idle_s=600, total_s=600
    )
    return await said(mouth)


def window_ms(decoder: SnacDecoder, ids: list[int], frames: int) -> float:
    """Processor time of the decoding of so many frames, on one thread: median, ms."""
    window = list(FrameAssembler().feed(ids[: frames * FRAME_TOKENS]))
    times = []
    for _ in range(WINDOWS):
        began = time.thread_time()
        decoder.decode(window)
        times.append(1e3 * (time.thread_time() - began))
    return round(statistics.median(times), 1)


def measure(decoder: Path, frames: int) -> Result:
    """All of it."""
    ids = speech(frames)
    whole = whole_sound(ids, decoder)
    loss: dict[int, float] = {}
    equal = False
    for at_once in (1, 8):
        heard = asyncio.run(streamed(decoder, ids, at_once))
        if at_once == 1:
            equal = bool(np.array_equal(heard, slow_sound(ids, decoder)))
        difference = heard / 32768 - whole
        loss[at_once] = round(float(10 * np.log10(np.mean(whole**2) / np.mean(difference**2))), 1)
    loaded = SnacDecoder(decoder)
    costs = {count: window_ms(loaded, ids, count) for count in (4, 11)}
    return Result(str(decoder), frames, equal, loss, costs)


def main() -> None:
    """Prints JSON; fails if the streamed sound isn't that of the slow reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("decoder", type=Path, nargs="?", default=Path("build/snac/decoder.onnx"))
    parser.add_argument("--frames", type=int, default=120, help="of 85.3 ms (default: %(default)s)")
    given = parser.parse_args()
    if not given.decoder.is_file():
        parser.error(f"there is no {given.decoder}: tools/snac/make.sh makes one")
    result = measure(given.decoder, given.frames)
    print(json.dumps(asdict(result), indent=2))
    if not result.as_slow_reference:
        raise SystemExit("the streamed sound isn't that of the slow reference")


if __name__ == "__main__":
    main()
