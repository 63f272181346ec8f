"""Fetching from a hub that cuts, corrupts, redirects and refuses (a local one, over real HTTP)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brain.models import pins
from brain.models.catalog import Model
from brain.models.errors import ModelsError
from brain.models.hub import Hub
from brain.models.pull import Outcome, Pull
from brain.models.store import PARTIAL, Quiet, Store
from tests.models.local_hub import LocalHub, Repository, commit, serving

MIND = bytes(range(256)) * 20_000  # 5 MB
LARGE_NAME = "mind.gguf"
MODEL = Model("mind", "A mind", "house/mind", ("config.json", LARGE_NAME), "MIT", 1.0, "minds")
OTHER = Model("voice", "A voice", "house/voice", ("a/b/voice.onnx",), "MIT", 0.1)


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with serving(LocalHub()) as local:
        files = {"config.json": b'{"a": 1}\n', LARGE_NAME: MIND, "README.md": b"not wanted"}
        local.put("house/mind", commit(1), files)
        local.put("house/voice", commit(7), {"a/b/voice.onnx": b"voice" * 1000})
        yield local


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def pull(
    hub: LocalHub, store: Store, *models: Model, token: str = "", update: bool = False,
    free: Callable[[Path], int] = lambda _: 1 << 40, stop: threading.Event | None = None,
) -> Outcome:  # fmt: skip
    source = Hub(token, hub.url)
    one = Pull(store, source, Quiet(), update, stop or threading.Event(), free)
    return one.run(models or (MODEL,))


def leftovers(store: Store) -> list[Path]:
    return list((store.folder / PARTIAL).glob("*"))


def assert_whole(store: Store) -> None:
    assert store.path("minds/mind.gguf").read_bytes() == MIND
    assert store.path("minds/config.json").read_bytes() == b'{"a": 1}\n'
    assert not store.path("minds/README.md").exists()
    assert not leftovers(store)


def test_what_came_is_pinned_and_then_needs_no_hub(hub: LocalHub, store: Store) -> None:
    assert pull(hub, store, MODEL, OTHER) == Outcome(came=["mind", "voice"])
    assert_whole(store)
    assert store.path("voice.onnx").is_file()
    pin = store.pins()["mind"]
    assert pin.revision == commit(1)
    assert list(pin.files) == ["minds/config.json", "minds/mind.gguf"]
    assert pin.files["minds/mind.gguf"].sha256 == hashlib.sha256(MIND).hexdigest()
    assert pin.files["minds/config.json"].size == 9
    hub.asked.clear()
    assert pull(hub, store, MODEL, OTHER) == Outcome(there=["mind", "voice"])
    assert not hub.asked


def test_the_token_is_for_the_hub_and_for_nobody_that_it_sends_one_to(
    hub: LocalHub, store: Store
) -> None:
    assert pull(hub, store, token="hf_hunter2").came == ["mind"]
    assert {a.token for a in hub.asked if a.host == "hub"} == {"hf_hunter2"}
    assert {a.token for a in hub.asked if a.host == "cdn"} == {""}
    assert hub.begins(LARGE_NAME), "it was redirected"
    assert "hunter2" not in (store.folder / pins.FILE).read_text()


def test_a_cut_is_followed_by_the_rest(hub: LocalHub, store: Store) -> None:
    hub.cuts[LARGE_NAME] = [2_000_000, 1_000_000]
    assert pull(hub, store).came == ["mind"]
    assert_whole(store)
    first, second, third = hub.begins(LARGE_NAME)
    assert first == 0
    assert 0 < second <= 2_000_000
    assert second < third <= 3_000_000


def test_a_pull_that_was_stopped_goes_on_where_it_was(hub: LocalHub, store: Store) -> None:
    class StopsAtHalf(Quiet):
        def file(self, name: str, size: int, done: int) -> Callable[[int], None]:
            have = [done]

            def more(count: int) -> None:
                have[0] += count
                if name.endswith(LARGE_NAME) and have[0] > 2_000_000:
                    stop.set()

            return more

    stop = threading.Event()
    hub.stalls[LARGE_NAME] = 4_000_000
    hub.go_on.set()
    outcome = Pull(store, Hub("", hub.url), StopsAtHalf(), stop=stop).run([MODEL])
    assert "What came so far is kept" in outcome.failed["mind"]
    assert not store.path("minds/mind.gguf").exists(), "nothing half has a name"
    assert not store.pins()
    hub.asked.clear()
    assert pull(hub, store).came == ["mind"]
    assert_whole(store)
    assert hub.begins(LARGE_NAME)[0] > 1_000_000


def test_a_server_without_ranges_begins_anew(hub: LocalHub, store: Store) -> None:
    hub.cuts[LARGE_NAME] = [2_000_000]
    hub.ranges = False
    assert pull(hub, store).came == ["mind"]
    assert_whole(store)


@pytest.mark.parametrize("name", [LARGE_NAME, "config.json"])
def test_what_came_spoiled_is_fetched_once_more(hub: LocalHub, store: Store, name: str) -> None:
    hub.spoils[name] = 1
    assert pull(hub, store).came == ["mind"]
    assert_whole(store)


@pytest.mark.parametrize("name", [LARGE_NAME, "config.json"])
def test_what_stays_spoiled_never_gets_its_name(hub: LocalHub, store: Store, name: str) -> None:
    hub.spoils[name] = 100
    outcome = pull(hub, store, MODEL, OTHER)
    assert outcome.came == ["voice"], "it doesn't keep the others from coming"
    assert "another content" in outcome.failed["mind"]
    assert not store.path(f"minds/{name}").exists()
    assert "mind" not in store.pins()
    hub.spoils.clear()
    assert pull(hub, store).came == ["mind"]
    assert_whole(store)


def test_a_damaged_or_lost_file_is_mended_from_the_pinned_commit(
    hub: LocalHub, store: Store
) -> None:
    pull(hub, store)
    hub.put("house/mind", commit(2), {"config.json": b"{}", LARGE_NAME: b"new"})
    damaged = bytearray(MIND)
    damaged[1_000_000] ^= 1
    store.path("minds/mind.gguf").write_bytes(damaged)
    store.path("minds/config.json").unlink()
    assert pull(hub, store).came == ["mind"]
    assert_whole(store)
    assert store.pins()["mind"].revision == commit(1)


def test_update_takes_what_the_hub_has_now(hub: LocalHub, store: Store) -> None:
    pull(hub, store)
    hub.put("house/mind", commit(2), {"config.json": b"{}", LARGE_NAME: b"new"})
    assert pull(hub, store).there == ["mind"], "pinned"
    assert pull(hub, store, update=True).came == ["mind"]
    assert store.path("minds/mind.gguf").read_bytes() == b"new"
    assert store.pins()["mind"].revision == commit(2)


@pytest.mark.parametrize(
    ("token", "said"), [("", "set HF_TOKEN"), ("hf_wrong", "HF_TOKEN has no access to house/mind")]
)
def test_a_gated_repository_says_what_it_wants(
    hub: LocalHub, store: Store, token: str, said: str
) -> None:
    held = hub.repositories["house/mind"]
    hub.repositories["house/mind"] = Repository(held.commits, gated_for="hf_right")
    outcome = pull(hub, store, MODEL, OTHER, token=token)
    assert outcome.came == ["voice"]
    assert said in outcome.failed["mind"]
    assert "https://huggingface.co/house/mind" in outcome.failed["mind"]
    assert pull(hub, store, token="hf_right").came == ["mind"]


def test_what_the_hub_lacks_is_said(hub: LocalHub, store: Store) -> None:
    nowhere = Model("n", "", "house/nowhere", ("a.gguf",), "MIT", 1.0)
    gone = Model("g", "", "house/mind", ("gone.gguf",), "MIT", 1.0)
    outcome = pull(hub, store, nowhere, gone)
    assert "no repository house/nowhere" in outcome.failed["n"]
    assert "has no gone.gguf" in outcome.failed["g"]
    assert not store.pins()


def test_a_refused_file_is_told_with_its_status(hub: LocalHub, store: Store) -> None:
    hub.status[LARGE_NAME] = 410
    assert "410" in pull(hub, store).failed["mind"]


def test_a_commit_that_is_gone_says_how_to_go_on(hub: LocalHub, store: Store) -> None:
    pull(hub, store)
    held = hub.repositories["house/mind"].commits
    held[commit(2)] = held.pop(commit(1))
    store.path("minds/mind.gguf").unlink()
    assert "--update" in pull(hub, store).failed["mind"]
    assert pull(hub, store, update=True).came == ["mind"]


def test_no_hub_at_all_says_both_ways_out(store: Store) -> None:
    outcome = pull(LocalHub(url="http://127.0.0.1:9"), store)
    assert "can't be reached" in outcome.failed["mind"]
    assert "brain models import" in outcome.failed["mind"]


def test_a_hub_that_stays_away_is_tried_a_few_times(hub: LocalHub, store: Store) -> None:
    class NoTime(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return False

    waits: list[float | None] = []
    hub.status[LARGE_NAME] = 503
    assert "503" in pull(hub, store, stop=NoTime()).failed["mind"]
    assert waits == [1.0, 4.0, 15.0]


def test_a_disk_too_small_is_seen_before_a_byte_comes(hub: LocalHub, store: Store) -> None:
    with pytest.raises(ModelsError, match=r"are to come.*are free.*MODELS_DIR"):
        pull(hub, store, free=lambda _: len(MIND))
    assert not hub.begins(LARGE_NAME)
    assert not store.pins()


def test_somebody_elses_file_is_not_overwritten(hub: LocalHub, store: Store) -> None:
    own = store.path("minds/mind.gguf")
    own.parent.mkdir(parents=True)
    own.write_bytes(b"my own")
    assert "move it away" in pull(hub, store).failed["mind"]
    assert own.read_bytes() == b"my own"
    own.write_bytes(MIND)
    assert pull(hub, store).came == ["mind"]
    assert hub.begins(LARGE_NAME) == [], "it was the right one"


def test_one_at_a_time(hub: LocalHub, store: Store) -> None:
    with store.held(), pytest.raises(ModelsError, match="Another `brain models`"):
        pull(hub, store)


def test_a_folder_of_others_says_what_to_do(hub: LocalHub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelsError, match="MODELS_DIR"):
        pull(hub, Store(tmp_path / "file" / "models"))


def test_models_that_share_a_file_come_side_by_side(hub: LocalHub, store: Store) -> None:
    """Whisper's sizes have one and the same vocabulary."""
    pair = [Model(n, "", f"house/{n}", ("same.bin",), "MIT", 1.0, n) for n in ("small", "large")]
    for model in pair:
        hub.put(model.repository, commit(4), {"same.bin": MIND})
    assert pull(hub, store, *pair) == Outcome(came=["small", "large"])
    assert {f.state for f in store.verify(["small", "large"], Quiet())} == {"there"}


def test_names_and_patterns(hub: LocalHub, store: Store) -> None:
    files = {
        "b.safetensors": b"2", "a.safetensors": b"1", "x/deep.safetensors": b"9",
        "tokenizer.json": b"t", "config.json": b"c", "README.md": b"r",
    }  # fmt: skip
    hub.put("house/many", commit(3), files)
    wants = ("*.safetensors", "*.json", "config.json")
    assert pull(hub, store, Model("many", "", "house/many", wants, "MIT", 1.0, "v")).came
    assert list(store.pins()["many"].files) == [
        "v/a.safetensors", "v/b.safetensors", "v/tokenizer.json", "v/config.json",
    ]  # fmt: skip
