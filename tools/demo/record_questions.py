"""Makes the recordings that the demo asks: `python -m tools.demo.record_questions`.

Each is 16 kHz mono with 0.15 s of silence around it and a peak of 0.35, as somebody a metre from
the robot. They are in the repository, so nobody needs this unless the questions change.
"""

from __future__ import annotations

import numpy as np

from robot_client.pcm import resample, to_pcm
from robot_client.wav import write_wav
from tools.demo.questions import QUESTIONS, DemoQuestion
from tools.pocket.speech import Speaker, sample_rate, say

RATE = 16_000
PEAK = 0.35
AROUND_S = 0.15


def record(question: DemoQuestion) -> None:
    """Write one question's file."""
    sound = say(question.text, Speaker(question.voice, question.rate, question.pitch))
    loudest = float(np.abs(sound).max())
    pcm = resample(to_pcm((sound * (PEAK / loudest)).astype(np.float32)), sample_rate(), RATE)
    around = np.zeros(int(RATE * AROUND_S), np.int16)
    write_wav(question.path, RATE, np.concatenate([around, pcm, around]))
    print(f"{question.path.name}: {len(pcm) / RATE:.2f} s  {question.text}")


def main() -> None:
    """Write all of them."""
    for question in QUESTIONS:
        record(question)


if __name__ == "__main__":
    main()
