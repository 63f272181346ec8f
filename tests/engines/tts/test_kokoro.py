"""The Kokoro adapter: the real kokoro-onnx with espeak's real phonemes, on tones for a network."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from kokoro_onnx.tokenizer import Tokenizer
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    Emotion,
    EngineFailed,
    EngineUnavailable,
    Synthesizer,
    Ticket,
)
from brain.engines.recipes.mouths import check_synthesizer
from brain.engines.tts.kokoro import KokoroOptions, KokoroSynthesizer
from tests.engines.tts import tiny_kokoro
from tests.engines.tts.tiny_kokoro import RATE, VOICES, loudness, pitches

SENTENCE = "Hello, I am glad that you came by today."


class Mouth:
    """The adapter on an event loop that lives as long as the module's tests."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.files = tiny_kokoro.write_kokoro(folder)
        self.synthesizer = KokoroSynthesizer(KokoroOptions(*self.files))
        self.vocabulary = Tokenizer().vocab

    def blocks(self, text: str, voice: str | None = None, mood: str = "") -> list[Audio]:
        async def collect() -> list[Audio]:
            how = {"voice": voice, "emotion": Emotion(mood)}
            stream = self.synthesizer.stream(text, ticket=Ticket("tester"), **how)
            return [block async for block in stream]

        return self.loop.run_until_complete(collect())

    def say(self, text: str, voice: str | None = None, mood: str = "") -> NDArray[np.int16]:
        blocks = self.blocks(text, voice, mood)
        return np.concatenate([block.samples for block in blocks]) if blocks else np.zeros(0)

    def close(self) -> None:
        self.loop.run_until_complete(self.synthesizer.close())
        self.loop.close()


@pytest.fixture(scope="module")
def mouth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mouth]:
    made = Mouth(tmp_path_factory.mktemp("kokoro"))
    yield made
    made.close()


def phonemes(text: str, language: str = "en-us") -> str:
    return str(Tokenizer().phonemize(text, language))


def peak(sound: NDArray[np.int16]) -> float:
    return float(np.abs(sound.astype(np.int32)).max()) / 32_768


def tones(sound: NDArray[np.int16], count: int, pitch: float) -> list[int]:
    """The tokens that were said, by the pitch of each tone."""
    voiced = np.flatnonzero(sound)
    # (It is trimmed to frames, so the first tone begins a little later.)
    spoken = sound[voiced[0] :].astype(np.float64)
    found = []
    for start in range(0, count * tiny_kokoro.TONE, tiny_kokoro.TONE):
        tone = spoken[start + 100 : start + tiny_kokoro.TONE - 100]
        power = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 1 << 16))
        hertz = float(np.argmax(power)) * RATE / (1 << 16) / pitch
        found.append(int(np.argmin(np.abs(pitches() - hertz))))
    return found


def test_is_a_synthesizer(mouth: Mouth) -> None:
    port: Synthesizer = mouth.synthesizer
    assert port.voices == ("af_heart", "am_low", "bf_high", "ef_tenor")
    assert (port.info.name, port.info.model, port.info.device) == ("kokoro", "kokoro-v1.0", "cpu")


def test_what_it_says_are_the_phonemes_of_the_text(mouth: Mouth) -> None:
    said = phonemes("Hello.")
    expected = [0, *(mouth.vocabulary[p] for p in said), 0]
    assert tones(mouth.say("Hello."), len(expected), 1.0) == expected


@pytest.mark.parametrize("text", ["Yes.", "I can see you.", SENTENCE])
def test_its_length_is_that_of_its_phonemes_and_a_pause(mouth: Mouth, text: str) -> None:
    seconds = (len(phonemes(text)) + 2) * tiny_kokoro.TONE / RATE + 0.25
    blocks = mouth.blocks(text)
    assert sum(block.seconds for block in blocks) == pytest.approx(seconds, abs=0.15)
    assert {block.sample_rate for block in blocks} == {RATE}
    assert all(0 < len(block.samples) <= RATE // 10 for block in blocks)


def test_a_style_is_that_of_the_length(mouth: Mouth) -> None:
    for text in ("Yes.", "I can see you.", SENTENCE):
        assert peak(mouth.say(text)) == pytest.approx(
            float(loudness(len(phonemes(text)))), abs=1e-3
        )


@pytest.mark.parametrize(
    ("voice", "language"), [("af_heart", "en-us"), ("bf_high", "en-gb"), ("ef_tenor", "es")]
)
def test_a_voice_has_its_sound_and_its_language(mouth: Mouth, voice: str, language: str) -> None:
    said = phonemes("Go home.", language)
    assert said != phonemes("Go home.", "fr-fr")
    expected = [0, *(mouth.vocabulary[p] for p in said), 0]
    assert tones(mouth.say("Go home.", voice), len(expected), VOICES[voice]) == expected


def test_an_unknown_voice_is_the_default_one(mouth: Mouth) -> None:
    usual = mouth.say(SENTENCE)
    assert np.array_equal(mouth.say(SENTENCE, "nobody"), usual)
    assert not np.array_equal(mouth.say(SENTENCE, "am_low"), usual)


def test_a_mood_changes_the_pace(mouth: Mouth) -> None:
    slow, usual, fast = (len(mouth.say(SENTENCE, mood=m)) for m in ("sleepy", "", "excited"))
    assert fast < usual < slow


def test_the_silence_around_it_is_what_the_text_asks_for(mouth: Mouth) -> None:
    """The network's own 0.3 s before it would be heard by everybody who waits for an answer."""
    pauses = {}
    for text in ("Yes.", "Yes,", "Yes"):
        spoken = np.flatnonzero(np.abs(mouth.say(text).astype(np.int32)) > 50)
        assert spoken[0] < 0.06 * RATE
        pauses[text] = (len(mouth.say(text)) - spoken[-1]) / RATE
    assert pauses["Yes."] - pauses["Yes"] == pytest.approx(0.25, abs=0.03)
    assert pauses["Yes,"] - pauses["Yes"] == pytest.approx(0.1, abs=0.03)


def test_pieces_join_without_a_click(mouth: Mouth) -> None:
    sound = mouth.say(f"{SENTENCE} " * 6).astype(np.float64) / 32_768
    spoken = np.flatnonzero(sound)
    pauses = np.flatnonzero(np.diff(spoken) > 0.05 * RATE)
    assert len(pauses) > 1
    edges = [0, -1, *spoken[pauses], *spoken[pauses + 1]]
    assert np.abs(sound[edges]).max() < 0.05


def test_parentheses_are_pauses_and_no_change_of_language_is_spoken(mouth: Mouth) -> None:
    assert "(hi)" in phonemes("नमस्ते")
    assert mouth.synthesizer._phonemes("नमस्ते", "en-us") == ["nəmˈʌsteː"]  # noqa: RUF001
    assert mouth.synthesizer._phonemes("(Go) home (now).", "en-us") == [phonemes("Go, home, now.")]


def test_what_is_spelled_out_is_cut_into_runs(mouth: Mouth) -> None:
    runs = mouth.synthesizer._phonemes("1" * 160 + " " + "W" * 160, "en-us")
    assert len(runs) > 1
    assert all(0 < len(run) <= 240 for run in runs)
    spelled = phonemes("1" * 160 + " " + "W" * 160)
    assert "".join(runs).replace(" ", "") == spelled.replace(" ", "")


def test_sound_begins_before_the_whole_text_is_said(tmp_path: Path) -> None:
    """Piece by piece: the second one is not begun when the first is heard."""

    async def main() -> None:
        mouth = KokoroSynthesizer(KokoroOptions(*tiny_kokoro.write_kokoro(tmp_path)))
        runs: list[int] = []
        network = mouth._network
        right = network.run

        def counted(outputs: object, feeds: dict[str, NDArray[np.int64]]) -> object:
            runs.append(feeds["tokens"].shape[1])
            return right(None, feeds)

        network.run = counted  # type: ignore[method-assign, assignment]
        stream = mouth.stream(f"{SENTENCE} " * 100, ticket=Ticket("a"))
        await anext(stream)
        assert runs[0] < 60
        await stream.aclose()
        assert len(runs) < 100
        await mouth.close()

    asyncio.run(main())


def test_cancel_and_close_end_a_run_of_the_network(tmp_path: Path) -> None:
    """Not between two blocks but inside the one long call that comes before any block."""

    async def main() -> None:
        files = tiny_kokoro.write_kokoro(tmp_path, slow=300)  # for many seconds
        mouth = KokoroSynthesizer(KokoroOptions(*files))
        token = CancelToken()
        asked = asyncio.ensure_future(anext(mouth.stream("Yes.", ticket=Ticket("a", cancel=token))))
        while mouth._network._running is None:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
        await asyncio.to_thread(token.cancel)
        with pytest.raises(Cancelled):
            await asked
        asked = asyncio.ensure_future(anext(mouth.stream("Yes.", ticket=Ticket("b"))))
        while mouth._network._running is None:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
        await mouth.close()
        with pytest.raises(EngineUnavailable, match="closed"):
            await asked

    asyncio.run(main())


def test_closing_lets_go_of_everything(tmp_path: Path) -> None:
    async def main() -> None:
        mouth = KokoroSynthesizer(KokoroOptions(*tiny_kokoro.write_kokoro(tmp_path)))
        network = weakref.ref(mouth._network._session)
        assert [b async for b in mouth.stream("Yes.", ticket=Ticket("tester"))]
        assert network() is not None
        await mouth.close()
        gc.collect()
        assert network() is None
        assert mouth._file.fid is None

    asyncio.run(main())


def test_nobody_s_words_are_logged(mouth: Mouth) -> None:
    """At its LOG_LEVEL, which is also ours, kokoro-onnx tells every phoneme."""
    files = ", ".join(f"Path({str(file)!r})" for file in mouth.files)
    script = (
        "import asyncio, logging\n"
        "from pathlib import Path\n"
        "from brain.engines.ports import Ticket\n"
        "from brain.engines.tts.kokoro import KokoroOptions, KokoroSynthesizer\n"
        "from brain.ops import logs\n"
        "logs.configure('debug')\n"
        "async def main():\n"
        f"    mouth = KokoroSynthesizer(KokoroOptions({files}))\n"
        "    text = 'My secret is hidden, नमस्ते.'\n"
        "    print(len([b async for b in mouth.stream(text, ticket=Ticket('a'))]))\n"
        "    await mouth.close()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "LOG_LEVEL": "debug"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert int(done.stdout) > 10
    assert done.stderr == ""


def test_an_error_tells_no_words(mouth: Mouth, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("No phonemes of 'my secret' are in the model vocabulary")

    for place in ("create", "tokenizer"):
        with monkeypatch.context() as patch:
            if place == "create":
                patch.setattr(mouth.synthesizer._kokoro, "create", broken)
            else:
                patch.setattr(mouth.synthesizer._kokoro.tokenizer, "phonemize", broken)
            with pytest.raises(EngineFailed, match="ValueError") as caught:
                mouth.say("My secret.")
            assert "secret" not in str(caught.value)
            assert caught.value.__cause__ is None
    assert len(mouth.say("Yes."))


def test_both_names_of_the_tokens_serve(tmp_path: Path) -> None:
    async def main() -> int:
        network = tiny_kokoro.write_network(tmp_path / "model.onnx", tokens="input_ids")
        voices = tiny_kokoro.write_voices(tmp_path / "voices.bin")
        mouth = KokoroSynthesizer(KokoroOptions(network, voices, "am_low"))
        assert mouth.voices[0] == "am_low"
        blocks = [b async for b in mouth.stream("Yes.", ticket=Ticket("a"))]
        await mouth.close()
        return len(blocks)

    assert asyncio.run(main())


def test_what_is_no_kokoro_is_named(tmp_path: Path) -> None:
    network, voices = tiny_kokoro.write_kokoro(tmp_path / "whole")

    def refused(model: Path, file: Path, match: str) -> None:
        with pytest.raises(EngineUnavailable, match=match):
            KokoroSynthesizer(KokoroOptions(model, file))

    absent, broken = tmp_path / "absent", tmp_path / "broken"
    refused(absent, voices, "absent: KOKORO_MODEL_PATH .* brain models pull kokoro")
    refused(network, absent, "absent: KOKORO_VOICES_PATH .* brain models pull kokoro")
    for content in (b"", b"not a network", b"PK\x03\x04 no archive"):
        broken.write_bytes(content)
        refused(broken, voices, "broken is not a voice that loads")
        refused(network, broken, "broken")
    with broken.open("wb") as file:
        np.save(file, np.zeros(3, np.float32))
    refused(network, broken, "has to be an npz")
    with broken.open("wb") as file:
        np.savez(file)
    refused(network, broken, "has to be an npz")
    for shape in ((0, 1, 256), (510, 1, 255), (3,), ()):
        with broken.open("wb") as file:
            np.savez(file, af_heart=np.zeros(shape, np.float32))
        refused(network, broken, "'af_heart' in .*broken can't be read")
    piper = Path(__file__).parents[3] / "brain" / "pocket" / "voice.onnx"
    refused(piper, voices, "not Kokoro's network: it takes input, input_lengths, scales")


def test_why_there_are_no_phonemes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> str:
        raise OSError("failed to map segment from shared object")

    files = tiny_kokoro.write_kokoro(tmp_path)
    monkeypatch.setattr(Tokenizer, "phonemize", refused)
    with pytest.raises(EngineUnavailable, match="failed to map segment"):
        KokoroSynthesizer(KokoroOptions(*files))


def test_a_voice_that_is_damaged_fails_alone(tmp_path: Path) -> None:
    async def main() -> None:
        network, voices = tiny_kokoro.write_kokoro(tmp_path)
        with voices.open("wb") as file:
            np.savez(file, af_heart=tiny_kokoro.styles(1.0), am_low=np.zeros((4, 7), np.float32))
        mouth = KokoroSynthesizer(KokoroOptions(network, voices))
        with pytest.raises(EngineFailed, match="am_low"):
            await anext(mouth.stream("Yes.", voice="am_low", ticket=Ticket("a")))
        assert await anext(mouth.stream("Yes.", ticket=Ticket("a")))
        await mouth.close()

    asyncio.run(main())


def test_what_is_no_number_is_not_spoken(tmp_path: Path) -> None:
    """And the check of a loaded engine then finds that it makes no sound."""

    async def main() -> None:
        network, voices = tiny_kokoro.write_kokoro(tmp_path)
        with voices.open("wb") as file:
            np.savez(file, af_heart=np.full((510, 1, 256), np.nan, np.float32))
        mouth = KokoroSynthesizer(KokoroOptions(network, voices))
        with pytest.raises(EngineFailed, match="made no sound"):
            await check_synthesizer(mouth)
        await mouth.close()

    asyncio.run(main())


def test_what_was_asked_for_and_is_not_there_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "brain")
    assert "CUDAExecutionProvider" not in onnxruntime.get_available_providers()
    files = tiny_kokoro.write_kokoro(tmp_path)
    mouth = KokoroSynthesizer(KokoroOptions(*files, "zf_gone", "cuda"))
    assert mouth.info.device == "cpu"
    assert mouth.voices[0] == "af_heart"
    asyncio.run(mouth.close())
    assert "no KOKORO_VOICE zf_gone: af_heart speaks" in caplog.text
    assert "KOKORO_DEVICE=cuda" in caplog.text


def test_a_thread_each_serves_several_kokoros(tmp_path: Path) -> None:
    """kokoro-onnx's phonemes come from one espeak-ng for the process, which takes turns."""
    files = tiny_kokoro.write_kokoro(tmp_path)
    found: list[list[str]] = []

    def work() -> None:
        mouth = KokoroSynthesizer(KokoroOptions(*files))
        found.append([run for _ in range(60) for run in mouth._phonemes(SENTENCE, "en-us")])
        asyncio.run(mouth.close())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[phonemes(SENTENCE)] * 60] * 4
