"""The desktop's preflight: driver, `/dev/nvidia-uvm`, wheels. All programs here are stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.jetson_root import findings

_SCRIPT = "desktop/preflight.sh"

_MODPROBE = """#!/bin/bash
# Stand-in for nvidia-modprobe: makes the device as a plain file.
root=$(cd "$(dirname "$0")/../.." && pwd)
echo "$*" >>"$root/modprobed"
touch "$root/dev/nvidia-uvm"
"""


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def _desktop(root: Path, gpu: str = "NVIDIA GeForce RTX 3090, 570.86.15, 24576") -> Path:
    """A healthy desktop, its wheels answered for by a stand-in Python."""
    _program(root / "usr/bin/nvidia-smi", f"#!/bin/bash\n[ -n '{gpu}' ] && echo '{gpu}'\n")
    _program(root / "usr/bin/nvidia-modprobe", _MODPROBE)
    (root / "dev").mkdir()
    (root / "dev/nvidia-uvm").touch()
    _wheels(root, llama="True", ctranslate2="1", cublas="True")
    return root


def _wheels(root: Path, *, llama: str, ctranslate2: str, cublas: str) -> None:
    _program(
        root / "venv/bin/python",
        "#!/bin/bash\n# Stand-in for the environment's Python.\ncase $2 in\n"
        f"*llama_cpp*) echo '{llama}' ;;\n*ctranslate2*) echo '{ctranslate2}' ;;\n"
        f"*cublas*) echo '{cublas}' ;;\nesac\n",
    )


def _check(root: Path, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    return findings(_SCRIPT, "--root", root, "--venv", root / "venv", *options)


def test_a_good_desktop_passes(tmp_path: Path) -> None:
    status, found = _check(_desktop(tmp_path))
    assert status == 0, found
    assert "RTX 3090, driver 570.86.15" in found["driver"]["found"]


@pytest.mark.parametrize(
    ("gpu", "says"),
    [
        ("NVIDIA GeForce RTX 3090, 525.60.11, 24576", "525.60.13 or later"),
        ("NVIDIA GeForce RTX 3090, 470.256.02, 24576", "525.60.13 or later"),
        ("NVIDIA GeForce RTX 3090, 96.43.23, 24576", "525.60.13 or later"),
        ("", "nvidia-smi fails"),
    ],
)
def test_a_driver_too_old_or_not_loaded_is_an_error(gpu: str, says: str, tmp_path: Path) -> None:
    status, found = _check(_desktop(tmp_path, gpu))
    assert status == 2
    assert says in found["driver"]["found"]


def test_no_driver_at_all(tmp_path: Path) -> None:
    (_desktop(tmp_path) / "usr/bin/nvidia-smi").unlink()
    status, found = _check(tmp_path)
    assert status == 2
    assert "apt install nvidia-driver" in found["driver"]["todo"]


def test_wheels_that_are_not_there_yet_are_not_asked(tmp_path: Path) -> None:
    status, found = _check(_desktop(tmp_path), "--venv", "none")
    assert (status, sorted(found)) == (0, ["driver", "gpu-memory", "uvm"])


def test_a_small_gpu_is_a_warning(tmp_path: Path) -> None:
    status, found = _check(_desktop(tmp_path, "NVIDIA GeForce RTX 3060, 570.86.15, 12288"))
    assert (status, found["gpu-memory"]["severity"]) == (1, "warning")


def test_uvm_is_made_only_with_fix(tmp_path: Path) -> None:
    (_desktop(tmp_path) / "dev/nvidia-uvm").unlink()
    assert _check(tmp_path)[0] == 2
    status, found = _check(tmp_path, "--fix", "--dry-run")
    assert status == 2
    assert "would run" in found["uvm"]["todo"]
    assert not (tmp_path / "modprobed").exists()
    status, found = _check(tmp_path, "--fix")
    assert status == 0, found
    assert (tmp_path / "modprobed").read_text() == "-u -c0\n"


@pytest.mark.parametrize(
    ("wheels", "name", "says"),
    [
        ({"llama": "False"}, "llama.cpp", "CPU alone"),
        ({"llama": "ImportError: libcudart"}, "llama.cpp", "ImportError: libcudart"),
        ({"ctranslate2": "0"}, "ctranslate2", "sees no GPU"),
        ({"cublas": "OSError: libcublas.so.12"}, "cublas", "libcublas.so.12"),
    ],
)
def test_wheels_that_would_fall_back_to_the_cpu_are_errors(
    wheels: dict[str, str], name: str, says: str, tmp_path: Path
) -> None:
    root = _desktop(tmp_path)
    _wheels(root, **{"llama": "True", "ctranslate2": "1", "cublas": "True"} | wheels)
    status, found = _check(root)
    assert status == 2
    assert says in found[name]["found"]


def _vllm(root: Path, *, torch: str = "True", headers: str = "True") -> Path:
    """A desktop for vLLM, of a driver that is new enough, with a compiler."""
    _desktop(root, "NVIDIA GeForce RTX 3090 Ti, 580.95.05, 24564")
    _program(root / "usr/bin/gcc", "#!/bin/bash\n")
    _program(
        root / "venv/bin/python",
        "#!/bin/bash\n# Stand-in for the environment's Python.\ncase $2 in\n"
        f"*torch*) echo '{torch}' ;;\n*Python.h*) echo '{headers}' ;;\nesac\n",
    )
    return root


def test_a_desktop_for_vllm_is_asked_what_vllm_needs(tmp_path: Path) -> None:
    status, found = _check(_vllm(tmp_path), "--vllm")
    assert (status, sorted(found)) == (
        0, ["compiler", "driver", "gpu-memory", "headers", "torch", "uvm"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "name", "says"),
    [
        ({"torch": "False"}, "torch", "sees no GPU"),
        ({"torch": "ModuleNotFoundError: torch"}, "torch", "does not load"),
        ({"headers": "False"}, "headers", "no Python.h"),
    ],
)
def test_what_vllm_lacks(changes: dict[str, str], name: str, says: str, tmp_path: Path) -> None:
    status, found = _check(_vllm(tmp_path, **changes), "--vllm")
    assert (status, found[name]["severity"]) == (2, "error")
    assert says in found[name]["found"]


def test_vllm_wants_a_newer_driver_and_a_compiler(tmp_path: Path) -> None:
    root = _vllm(tmp_path)
    (root / "usr/bin/gcc").unlink()
    _program(root / "usr/bin/nvidia-smi", "#!/bin/bash\necho 'RTX 3090 Ti, 570.86.15, 24564'\n")
    status, found = _check(root, "--vllm")
    assert status == 2
    assert "CUDA 13 needs 580.65.06 or later" in found["driver"]["found"]
    assert "no C compiler" in found["compiler"]["found"]
