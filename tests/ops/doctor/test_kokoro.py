"""What the doctor and `brain profile` say of a brain that is to speak with Kokoro."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brain.engines.tts.kokoro import KokoroOptions, KokoroSynthesizer
from brain.models import catalog
from brain.ops import profiles
from brain.ops.doctor import examine, libraries, models
from brain.ops.doctor.facts import Library, Models, Service
from brain.settings import Settings
from tests.engines.tts.tiny_kokoro import write_network, write_voices
from tests.ops.doctor.a_machine import engine, engines, facts, only, running, settings

CHOSEN = settings("rtx3090", TTS_BACKEND="kokoro", KOKORO_DEVICE="cuda")
PULL = "brain models pull kokoro"


def test_its_files_are_where_the_catalogue_puts_them(tmp_path: Path) -> None:
    known = catalog.load()
    wanted = known.models["kokoro"]
    chosen = Settings(tts_backend="kokoro", models_dir=str(tmp_path))
    absent = models.used_models(chosen, known)
    assert [(one.setting, one.model, one.there) for one in absent[-2:]] == [
        ("KOKORO_MODEL_PATH", "kokoro", False), ("KOKORO_VOICES_PATH", "kokoro", False),
    ]  # fmt: skip
    (tmp_path / wanted.folder).mkdir()
    voices, network = (tmp_path / wanted.place(file) for file in wanted.files)
    write_voices(voices)
    write_network(network)
    there = models.used_models(chosen, known)[-2:]
    assert [(one.there, one.on_gpu) for one in there] == [(True, False)] * 2
    mouth = KokoroSynthesizer(KokoroOptions(*(Path(one.path) for one in there)))
    assert mouth.voices[0] == chosen.kokoro_voice


def test_what_is_missing_is_fetched_by_its_name(tmp_path: Path) -> None:
    """No profile wants it, so that the pull of a profile doesn't bring it."""
    chosen = Settings(tts_backend="kokoro", stt_model_size="pocket", models_dir=str(tmp_path))
    used = models.used_models(chosen, catalog.load())
    told = profiles.lacks(chosen)[0]
    assert told.startswith("not there yet: kokoro; ")
    assert told.endswith(PULL)
    reason = f"There is no file x.onnx: it is one of Kokoro's two files; {PULL} fetches them."
    house = facts(
        running=running(engines=engines(tts=engine("piper", "p", "cpu", reason=reason))),
        models=Models("/m", used),
    )
    found = examine.findings(chosen, house)
    assert [one.todo for one in found if one.name == "models" and "KOKORO" in one.found] == [
        PULL
    ] * 2
    assert only(found, "mouth").todo == f"{PULL}; it is tried again by itself"


def test_a_gpu_that_is_asked_for_and_not_found_is_told() -> None:
    alone = replace(facts(), libraries=(Library("kokoro", "1", gpu=False),), service=Service(False))
    found = only(examine.findings(CHOSEN, alone), "kokoro")
    assert found.severity == "error"
    assert found.found.startswith("finds no GPU, though KOKORO_DEVICE=cuda")
    assert "onnxruntime-gpu" in found.todo
    on_cpu = facts(running=running(engines=engines(tts=engine("kokoro", "kokoro-v1.0", "cpu"))))
    found = only(examine.findings(CHOSEN, on_cpu), "mouth")
    assert found.severity == "error"
    assert "onnxruntime-gpu" in found.todo


def test_its_library_is_tried_where_it_is_chosen() -> None:
    assert "kokoro" not in examine.needed_libraries(settings("rtx3090"))
    assert "kokoro" in examine.needed_libraries(CHOSEN)
    (found,) = libraries.tried(["kokoro"])
    assert (found.trouble, found.gpu) == ("", False)
    assert found.version
