"""Models from a stick: another store, or just files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from brain.models import pins
from brain.models.bring import Bring, Brought
from brain.models.catalog import Catalog, Model
from brain.models.errors import ModelsError
from brain.models.hub import Hub
from brain.models.pull import Pull
from brain.models.store import PARTIAL, Quiet, Store
from tests.models.local_hub import LocalHub, commit, serving

MIND = Model("mind", "", "house/mind", ("mind.gguf",), "MIT", 1.0)
EARS = Model(
    "ears", "", "house/ears", ("config.json", "vocabulary.*", "model.bin"), "MIT", 1.0, "e"
)
VOICE = Model("voice", "", "house/voice", ("a/v.onnx.json", "a/v.onnx"), "MIT", 1.0, "piper")
KNOWN = Catalog({m.id: m for m in (MIND, EARS, VOICE)}, {})
FILES = {
    "house/mind": {"mind.gguf": b"mind" * 1000},
    "house/ears": {"config.json": b"{}", "vocabulary.txt": b"a", "model.bin": b"ears" * 1000},
    "house/voice": {"a/v.onnx.json": b"{}", "a/v.onnx": b"voice" * 1000},
}


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was filled from a hub."""
    folder = tmp_path_factory.mktemp("fetched")
    with serving(LocalHub()) as hub:
        for name, files in FILES.items():
            hub.put(name, commit(5), files)
        source = Hub("", hub.url)
        assert not Pull(Store(folder), source, Quiet()).run(list(KNOWN.models.values())).failed
    return folder


@pytest.fixture
def stick(fetched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fetched, tmp_path / "stick"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def bring(store: Store, folder: Path, *models: Model, free: int = 1 << 40) -> Brought:
    one = Bring(store, folder, KNOWN, Quiet(), lambda _: free)
    return one.run(models or list(KNOWN.models.values()))


def test_a_store_is_taken_with_its_pins(store: Store, stick: Path) -> None:
    assert bring(store, stick) == Brought(came=["mind", "ears", "voice"])
    assert store.pins() == pins.read(stick)
    findings = store.verify(["mind", "ears", "voice"], Quiet())
    assert len(findings) == 6
    assert {finding.state for finding in findings} == {"there"}
    assert not list((store.folder / PARTIAL).glob("*"))
    assert bring(store, stick) == Brought(there=["mind", "ears", "voice"])


def test_a_damaged_stick_brings_what_is_whole(store: Store, stick: Path) -> None:
    damaged = bytearray((stick / "mind.gguf").read_bytes())
    damaged[5] ^= 1
    (stick / "mind.gguf").write_bytes(damaged)
    (stick / "e" / "vocabulary.txt").unlink()
    result = bring(store, stick)
    assert result.came == ["voice"]
    assert "isn't what is pinned" in result.failed["mind"]
    assert "lacks e/vocabulary.txt" in result.failed["ears"]
    assert not store.path("mind.gguf").exists()
    assert list(store.pins()) == ["voice"]


def test_files_alone_are_taken_as_they_are_and_pinned_so(store: Store, stick: Path) -> None:
    (stick / pins.FILE).unlink()
    (stick / "piper" / "v.onnx").rename(stick / "v.onnx")
    (stick / "piper" / "v.onnx.json").rename(stick / "v.onnx.json")
    result = bring(store, stick)
    assert result == Brought(came=["mind", "ears", "voice"], unproven=["mind", "ears", "voice"])
    assert store.path("piper/v.onnx").is_file()
    assert store.path("e/vocabulary.txt").is_file()
    assert store.pins()["mind"].revision == ""


def test_own_pins_go_before_the_sticks(store: Store, stick: Path) -> None:
    bring(store, stick, MIND)
    (stick / "mind.gguf").write_bytes(b"another")
    (stick / pins.FILE).unlink()
    store.path("mind.gguf").unlink()
    assert "isn't what is pinned" in bring(store, stick, MIND).failed["mind"]


def test_somebody_elses_file_is_not_overwritten(store: Store, stick: Path) -> None:
    store.folder.mkdir()
    store.path("mind.gguf").write_bytes(b"my own")
    for bare in (False, True):
        if bare:
            (stick / pins.FILE).unlink()
        assert "move it away" in bring(store, stick, MIND).failed["mind"]
        assert store.path("mind.gguf").read_bytes() == b"my own"


def test_a_damaged_file_is_mended_from_the_stick(store: Store, stick: Path) -> None:
    bring(store, stick)
    store.path("mind.gguf").write_bytes(b"damaged")
    assert bring(store, stick).came == ["mind"]
    assert store.path("mind.gguf").read_bytes() == FILES["house/mind"]["mind.gguf"]


def test_a_folder_without_models_brings_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert bring(store, tmp_path / "empty") == Brought()
    for folder, said in ((tmp_path / "none", "no folder"), (store.folder, "itself")):
        with pytest.raises(ModelsError, match=said):
            bring(store, folder)


def test_a_disk_too_small(store: Store, stick: Path) -> None:
    assert "MODELS_DIR" in bring(store, stick, MIND, free=1000).failed["mind"]
    assert not store.path("mind.gguf").exists()


@pytest.mark.parametrize(("mode", "came"), [(0o640, []), (0o644, ["mind"])])
def test_a_link_on_a_stick_makes_no_closed_file_public(
    store: Store, tmp_path: Path, mode: int, came: list[str]
) -> None:
    closed, stick = tmp_path / "shadow", tmp_path / "a stick"
    closed.write_text("root's alone")
    closed.chmod(mode)
    stick.mkdir()
    (stick / "mind.gguf").symlink_to(closed)
    result = bring(store, stick)
    assert result.came == came
    if not came:
        assert "isn't for everybody to read" in result.failed["mind"]
        assert not list(store.folder.rglob("*mind*"))
