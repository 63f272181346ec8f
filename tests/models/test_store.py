"""The store: what it finds, what it lets go, and that its list can be trusted."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from brain.models import pins
from brain.models.catalog import Model
from brain.models.errors import ModelsError
from brain.models.pins import Pin, PinnedFile
from brain.models.place import located, located_ears, models_dir
from brain.models.store import PARTIAL, Finding, Quiet, Store

MODEL = Model("m", "", "house/m", ("a.json", "a.gguf"), "MIT", 1.0, "deep/folder")
CONTENT = {"deep/folder/a.json": b"{}", "deep/folder/a.gguf": b"weights" * 100}


def pinned(content: bytes, source: str = "a") -> PinnedFile:
    return PinnedFile(source, len(content), hashlib.sha256(content).hexdigest())


def filled(folder: Path) -> Store:
    made = Store(folder)
    with made.held():
        partials = {}
        for number, (place, content) in enumerate(CONTENT.items()):
            partials[place] = made.partial(str(number))
            partials[place].parent.mkdir(exist_ok=True)
            partials[place].write_bytes(content)
        pin = Pin("house/m", "c" * 40, {place: pinned(c) for place, c in CONTENT.items()})
        made.put("m", pin, partials)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With one model that is whole."""
    return filled(tmp_path / "models")


def test_what_is_put_is_there_and_verified(store: Store) -> None:
    assert store.state(MODEL, store.pins()) == "there"
    found = store.verify(["m"], Quiet())
    assert found == [Finding("m", place, "there") for place in CONTENT]


def test_verify_sees_a_bit_that_fell_over(store: Store) -> None:
    path = store.path("deep/folder/a.gguf")
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)
    assert store.state(MODEL, store.pins()) == "there", "by its size alone"
    states = {finding.place: finding.state for finding in store.verify(["m"], Quiet())}
    assert states == {"deep/folder/a.json": "there", "deep/folder/a.gguf": "changed"}


def test_states(store: Store) -> None:
    store.path("deep/folder/a.gguf").write_bytes(b"short")
    assert store.state(MODEL, store.pins()) == "changed"
    assert store.state(MODEL, {}) == "unknown"
    store.path("deep/folder/a.gguf").unlink()
    assert store.state(MODEL, store.pins()) == "partly"
    assert store.state(MODEL, {}) == "missing"
    store.path("deep/folder/a.json").unlink()
    assert store.state(MODEL, store.pins()) == "missing"


def test_prune_takes_what_is_its_own_and_nothing_else(store: Store) -> None:
    own = store.path("deep/mine.gguf")
    own.write_bytes(b"of somebody")
    part = store.partial("abc.part")
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(b"half")
    assert store.superfluous(["m"]) == [part]
    assert store.prune(["m"]) == [part]
    assert store.state(MODEL, store.pins()) == "there"
    gone = store.prune([])
    assert sorted(gone) == sorted(store.path(place) for place in CONTENT)
    assert own.read_bytes() == b"of somebody"
    assert not store.path("deep/folder").exists()
    assert store.pins() == {}


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"version": 2, "models": {}}',
        '{"version": 1, "models": {"m": {"repository": "r"}}}',
    ],
)
def test_a_list_that_is_none_is_told_and_kept(store: Store, text: str) -> None:
    (store.folder / pins.FILE).write_text(text)
    with pytest.raises(ModelsError, match=r"pins\.json"):
        store.pins()
    assert (store.folder / pins.FILE).read_text() == text


@pytest.mark.parametrize("place", ["/etc/passwd", "../outside", "a/../../b"])
def test_a_list_names_nothing_outside_the_store(store: Store, place: str) -> None:
    file = {"source": "a", "size": 1, "sha256": "0" * 64}
    entry = {"repository": "r", "revision": "", "files": {place: file}}
    document = {"version": 1, "models": {"m": entry}}
    (store.folder / pins.FILE).write_text(json.dumps(document))
    with pytest.raises(ModelsError, match="outside the store"):
        store.pins()


def test_a_cut_between_pin_and_name_leaves_all_that_is_needed(store: Store) -> None:
    path = store.folder / "not-there.part"
    pin = Pin("house/n", "", {"n.gguf": pinned(b"n")})
    with pytest.raises(ModelsError, match="can't be put"):
        store.put("n", pin, {"n.gguf": path})
    assert list(store.pins()) == ["m"], "what isn't on the disk isn't pinned"


def test_the_folder_of_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models_dir("/m", system=tmp_path) == Path("/m")
    assert models_dir("", system=tmp_path) == tmp_path
    own = tmp_path / ".local" / "share" / "brain" / "models"
    assert models_dir("", system=tmp_path / "none") == own
    assert PARTIAL.startswith("."), "it is out of sight"


def test_a_name_is_looked_for_here_then_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert located("a.gguf", folder) == folder / "a.gguf"
    assert located("/x/a.gguf", folder) == Path("/x/a.gguf")
    (here / "a.gguf").touch()
    assert located("a.gguf", folder) == Path("a.gguf")
    assert located_ears("base.en", folder) == "base.en"
    (folder / "whisper" / "base.en").mkdir(parents=True)
    assert located_ears("base.en", folder) == "base.en", "not whole"
    (folder / "whisper" / "base.en" / "model.bin").touch()
    assert located_ears("base.en", folder) == str(folder / "whisper" / "base.en")
    assert located_ears("Systran/base.en", folder) == "Systran/base.en"


@pytest.mark.parametrize(("mode", "others"), [(0o755, 0o5), (0o700, 0)])
def test_whoever_may_read_the_folder_may_read_what_comes_into_it(
    tmp_path: Path, mode: int, others: int
) -> None:
    """Not so by the umask of root, who fetches what the user brain is to load."""
    folder = tmp_path / "models"
    folder.mkdir()
    folder.chmod(mode)
    if os.geteuid() == 0:
        os.chown(folder, 1234, 4321)
    before = os.umask(0o077)
    try:
        made = filled(folder)
    finally:
        os.umask(before)
    for path in (made.path("deep"), made.path("deep/folder")):
        assert path.stat().st_mode & 0o7 == others, path
    for path in (*map(made.path, CONTENT), folder / pins.FILE):
        assert path.stat().st_mode & 0o7 == others & 0o4, path
        assert path.stat().st_uid == folder.stat().st_uid, path
        assert path.stat().st_mode & 0o600 == 0o600
