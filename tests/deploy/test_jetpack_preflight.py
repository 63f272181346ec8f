"""The preflight finds what is wrong with a board, and says what to do. Boards are stand-ins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.jetson_root import Jetson, findings, run

_SCRIPT = "jetpack/preflight.sh"


def _check(board: Jetson) -> tuple[int, dict[str, dict[str, str]]]:
    return findings(_SCRIPT, "--root", board.build())


@pytest.mark.parametrize(
    ("l4t", "jetpack", "cuda"),
    [
        ("36.3", "6.0", "12.2"),
        ("36.4.0", "6.1", "12.6"),
        ("36.4.3", "6.2", "12.6"),
        ("36.4.4", "6.2.1", "12.6"),
        ("36.5.0", "6.2.2", "12.6"),
        ("36.5.2", "6.2.3", "12.6"),
    ],
)
def test_every_good_l4t_passes(l4t: str, jetpack: str, cuda: str, tmp_path: Path) -> None:
    status, found = _check(Jetson(tmp_path, l4t=l4t, cuda=cuda))
    assert status == 0, found
    assert f"JetPack {jetpack}" in found["l4t"]["found"]
    assert ("recommended" in found["l4t"]["found"]) == (l4t != "36.5.2")


def test_36_4_7_is_refused_with_what_to_do(tmp_path: Path) -> None:
    status, found = _check(Jetson(tmp_path, l4t="36.4.7"))
    assert status == 2
    assert found["l4t"]["severity"] == "error"
    assert "r36.5" in found["l4t"]["todo"]
    assert "reboot" in found["l4t"]["todo"]


def test_half_an_upgrade_to_36_4_7_is_refused_too(tmp_path: Path) -> None:
    package = "Package: {}\nStatus: {} ok {}\nArchitecture: arm64\nVersion: 36.4.7-2025\n\n"
    gone = package.format("nvidia-l4t-camera", "deinstall", "config-files")
    board = Jetson(
        tmp_path,
        l4t="36.4.4",
        packages=package.format("nvidia-l4t-kernel", "install", "installed") + gone,
    )
    status, found = _check(board)
    assert status == 2
    assert "nvidia-l4t-kernel" in found["l4t"]["found"]
    assert "camera" not in found["l4t"]["found"]


@pytest.mark.parametrize(
    ("l4t", "status", "says"), [("35.4.1", 2, "JetPack 6"), ("36.6.1", 1, "isn't known")]
)
def test_other_l4ts_are_told_apart(l4t: str, status: int, says: str, tmp_path: Path) -> None:
    got, found = _check(Jetson(tmp_path, l4t=l4t))
    assert got == status
    assert says in found["l4t"]["found"]


def test_a_machine_that_is_no_jetson_is_told_so(tmp_path: Path) -> None:
    status, found = findings(_SCRIPT, "--root", tmp_path)
    assert status == 2
    assert "deploy/desktop" in found["board"]["todo"]
    assert len(found) >= 10


_SPOILT: list[tuple[str, Callable[[Jetson], None], int, str, str]] = [
    ("power", lambda b: setattr(b, "mode", "25W"), 1, "25W", "--power-mode 40W"),
    ("gpu-clock", lambda b: setattr(b, "gpu_mhz", 624), 1, "624 MHz", "36.5"),
    ("memory", lambda b: setattr(b, "available", 6.0), 1, "6.0 GiB", "desktop"),
    ("fragmentation", lambda b: setattr(b, "fragmented", True), 1, "2 MiB", "compact_memory"),
    ("swap", lambda b: setattr(b, "zram", True), 1, "/dev/zram0 /dev/zram1", "tune.sh"),
    ("disk", lambda b: setattr(b, "free_disk", 12), 1, "12.0 GiB", "NVMe"),
    ("disk", lambda b: setattr(b, "free_disk", 3), 2, "3.0 GiB", "free some"),
    ("clock", lambda b: setattr(b, "made", "Thu Jan 1 00:00:00 UTC 2105"), 1, "before", "RTC"),
    ("headless", lambda b: setattr(b, "target", "graphical.target"), 1, "graphical", "tune.sh"),
    ("cuda", lambda b: setattr(b, "cuda", "12.2"), 1, "12.2", "build-wheels.sh"),
]


@pytest.mark.parametrize(("name", "spoil", "status", "found", "todo"), _SPOILT)
def test_one_thing_wrong_is_the_one_thing_found(
    name: str, spoil: Callable[[Jetson], None], status: int, found: str, todo: str, tmp_path: Path
) -> None:
    board = Jetson(tmp_path)
    spoil(board)
    got, all_found = _check(board)
    assert got == status
    assert found in all_found[name]["found"]
    assert todo in all_found[name]["todo"]
    assert [n for n, finding in all_found.items() if finding["severity"] != "ok"] == [name]


def test_a_capped_gpu_is_right_in_a_small_power_mode(tmp_path: Path) -> None:
    _, found = _check(Jetson(tmp_path, mode="25W", gpu_mhz=408))
    assert found["gpu-clock"]["severity"] == "ok"
    assert found["power"]["severity"] == "warning"


def test_a_gpu_without_its_driver_is_an_error(tmp_path: Path) -> None:
    root = Jetson(tmp_path).build()
    (root / "dev/nvhost-ctrl-gpu").unlink()
    status, found = findings(_SCRIPT, "--root", root)
    assert (status, found["gpu"]["severity"]) == (2, "error")


def test_what_it_says_to_a_person(tmp_path: Path) -> None:
    done = run(_SCRIPT, "--root", Jetson(tmp_path, l4t="36.4.7").build())
    assert done.returncode == 2
    assert "error    l4t           L4T 36.4.7" in done.stdout
    assert "ok       headless" in done.stdout


def test_odd_characters_do_not_break_the_json(tmp_path: Path) -> None:
    root = Jetson(tmp_path).build()
    (root / "proc/device-tree/model").write_text('Orin "NX" \\ a\tb\x01\0')
    _, found = findings(_SCRIPT, "--root", root)
    assert found["board"]["found"] == 'Orin "NX" \\ a b'


def test_it_changes_nothing(tmp_path: Path) -> None:
    board = Jetson(tmp_path, mode="10W", zram=True, target="graphical.target")
    root = board.build()
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    run(_SCRIPT, "--root", root)
    assert board.asked() == []
    assert all(path.read_bytes() == text for path, text in before.items())


def test_an_unknown_option_is_wrong_usage() -> None:
    assert run(_SCRIPT, "--jason").returncode == 64
