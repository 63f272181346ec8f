"""The voices that ears are checked with: held out, many, and really espeak-ng's."""

from __future__ import annotations

import numpy as np
import pytest

from brain.ops import check_data, check_ears, check_voices


def test_held_out_speakers_differ_and_are_always_the_same() -> None:
    speech = check_data.read().ears["speech"]
    speakers = [check_ears.held_out(speech, index) for index in range(40)]
    assert speakers == [check_ears.held_out(speech, index) for index in range(40)]
    assert len(set(speakers)) > 30
    for speaker in speakers:
        assert speaker.voice.split("+")[1] in speech["variants"]
        assert speaker.rate in speech["rates"]
        assert speaker.pitch in speech["pitches"]


def test_espeak_speaks_as_each_of_them() -> None:
    def spoken(rate: int, pitch: int, voice: str = "en-us+m4") -> check_ears.Sound:
        return check_voices.speak("One, two, three.", check_ears.Speaker(voice, rate, pitch))

    usual = spoken(160, 50)
    # espeak-ng's own noise goes on from call to call: alike, but not to the sample.
    assert len(spoken(160, 50)) == pytest.approx(len(usual), rel=0.01)
    assert len(spoken(120, 50)) > 1.1 * len(usual)
    low, high = (check_voices.speak("Ah.", check_ears.Speaker("en-us", 120, p)) for p in (50, 90))
    assert pitch_of(high) > 1.3 * pitch_of(low)
    assert len(spoken(160, 50, "en-gb+klatt3")) != pytest.approx(len(usual), rel=0.01)
    assert 0.05 < np.abs(usual).max() <= 1.0


def pitch_of(sound: check_ears.Sound) -> float:
    """Hz of the strongest period of a voice of 70 to 220 Hz, from 0.1 s of a vowel."""
    vowel = sound[800:2400] - sound[800:2400].mean()
    likeness = np.correlate(vowel, vowel, "full")[len(vowel) - 1 :]
    return 16000 / (73 + int(np.argmax(likeness[73:228])))
