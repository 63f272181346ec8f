"""`tune.sh` changes what it must, once, and nothing when it only shows. Boards are stand-ins."""

from __future__ import annotations

from pathlib import Path

from tests.deploy.jetson_root import Jetson, findings, run

_SCRIPT = "jetpack/tune.sh"


def _untuned(root: Path) -> Jetson:
    board = Jetson(root, mode="25W", gpu_mhz=408, zram=True, target="graphical.target")
    board.build()
    return board


def test_a_board_is_tuned_and_then_passes_the_preflight(tmp_path: Path) -> None:
    board = _untuned(tmp_path)
    done = run(_SCRIPT, "--root", tmp_path)
    assert done.returncode == 0, done.stderr
    assert board.asked() == [
        "nvpmodel -m 4",
        "reboot? no",
        "systemctl set-default multi-user.target",
        "systemctl disable nvzramconfig.service",
        "swapoff /dev/zram0",
        "swapoff /dev/zram1",
    ]
    assert "reboot now" in done.stdout
    (tmp_path / "sys/class/devfreq/17000000.gpu/max_freq").write_text("1173000000")
    assert findings("jetpack/preflight.sh", "--root", tmp_path)[0] == 0


def test_a_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    board = _untuned(tmp_path)
    run(_SCRIPT, "--root", tmp_path)
    asked = board.asked()
    done = run(_SCRIPT, "--root", tmp_path)
    assert done.returncode == 0
    assert board.asked() == asked
    assert done.stdout.count("already") == 3
    assert "reboot" not in done.stdout


def test_a_dry_run_says_all_and_changes_nothing(tmp_path: Path) -> None:
    board = _untuned(tmp_path)
    done = run(_SCRIPT, "--root", tmp_path, "--dry-run")
    assert done.returncode == 0
    assert board.asked() == []
    for change in ("nvpmodel -m 4", "set-default multi-user.target", "swapoff /dev/zram1"):
        assert f"{change}\n" in done.stdout


def test_the_mode_goes_by_its_name_whatever_its_id(tmp_path: Path) -> None:
    board = Jetson(tmp_path, modes=("40W", "25W", "MAXN_SUPER"), mode="25W")
    board.build()
    assert run(_SCRIPT, "--root", tmp_path, "--power-mode", "MAXN_SUPER").returncode == 0
    assert board.asked() == ["nvpmodel -m 2", "reboot? no"]


def test_a_mode_that_the_board_lacks_is_refused_with_those_it_has(tmp_path: Path) -> None:
    board = Jetson(tmp_path, modes=("MAXN", "10W", "15W", "25W"), mode="25W", zram=True)
    board.build()
    done = run(_SCRIPT, "--root", tmp_path)
    assert done.returncode == 1
    assert "no power mode 40W, but MAXN, 10W, 15W, 25W" in done.stderr
    # The rest is done all the same.
    assert "swapoff /dev/zram0" in board.asked()


def test_a_mode_that_needs_a_boot_says_so(tmp_path: Path) -> None:
    _untuned(tmp_path)
    (tmp_path / "needs-reboot").touch()
    done = run(_SCRIPT, "--root", tmp_path)
    assert done.returncode == 0
    assert "40W comes with the next boot" in done.stdout


def test_zram_that_cannot_be_emptied_goes_with_the_next_boot(tmp_path: Path) -> None:
    _untuned(tmp_path)
    (tmp_path / "memory-is-full").touch()
    done = run(_SCRIPT, "--root", tmp_path)
    assert done.returncode == 0
    assert "/dev/zram1 goes with the next boot" in done.stdout


def test_desktop_and_zram_can_be_kept(tmp_path: Path) -> None:
    board = _untuned(tmp_path)
    run(_SCRIPT, "--root", tmp_path, "--keep-desktop", "--keep-zram")
    assert board.asked() == ["nvpmodel -m 4", "reboot? no"]


def test_a_program_missing_from_the_board_is_never_looked_for_elsewhere(tmp_path: Path) -> None:
    _untuned(tmp_path)
    (tmp_path / "usr/bin/systemctl").unlink()
    done = run(_SCRIPT, "--root", tmp_path)
    assert done.returncode == 1
    assert "systemctl isn't on this board" in done.stderr
