"""The engines' libraries, each loaded in a process of its own.

One that was built for another CPU or another CUDA may end the process that imports it.
"""

from __future__ import annotations

import importlib.metadata
import platform
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from brain import __version__
from brain.ops.doctor.facts import Library

_PATIENCE_S = 90.0
"""The first CUDA call on a Jetson takes long."""


@dataclass(frozen=True)
class Trial:
    """How a library is tried: Python whose last line is "True" or "False" for a usable GPU, or
    anything else where it has no say."""

    package: str
    code: str


TRIALS: Mapping[str, Trial] = {
    "llama.cpp": Trial(
        "llama-cpp-python", "import llama_cpp; print(llama_cpp.llama_supports_gpu_offload())"
    ),
    "ctranslate2": Trial(
        "ctranslate2", "import ctranslate2; print(ctranslate2.get_cuda_device_count() > 0)"
    ),
    "faster-whisper": Trial("faster-whisper", "import faster_whisper; print()"),
    "vllm": Trial("vllm", "import torch, vllm; print(torch.cuda.is_available())"),
    "openai": Trial("openai", "import openai; print()"),
    "onnxruntime": Trial("onnxruntime", "import onnxruntime; print()"),
    "piper": Trial("piper-tts", "import piper; print()"),
    "kokoro": Trial(
        "kokoro-onnx",
        "import kokoro_onnx, onnxruntime as o; "
        "print('CUDAExecutionProvider' in o.get_available_providers())",
    ),
}


# (Else Python looks in the working directory first: in that of a stick, say, and as root.)
_NOT_FROM_HERE = "import sys; sys.path = [*filter(None, sys.path)]; "


def installed(name: str) -> bool:
    """Whether the package of this library of `TRIALS` is there, whatever it is good for."""
    return bool(_version(TRIALS[name].package))


def tried(names: Iterable[str], *, python: str = sys.executable) -> tuple[Library, ...]:
    """Load these libraries of `TRIALS`, side by side."""
    started = [
        (name, subprocess.Popen(  # noqa: S603 - ourselves
            [python, "-c", _NOT_FROM_HERE + TRIALS[name].code],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace",
        ))
        for name in names
    ]  # fmt: skip
    return tuple(_outcome(name, child) for name, child in started)


def versions() -> dict[str, str]:
    """The brain's, Python's, and those of the libraries that are installed."""
    # (An installed one lies in a folder that tells builds of one version apart.)
    build = Path(sys.prefix).parent.name
    brain = build if build.startswith(f"{__version__}-") else __version__
    found = {"brain": brain, "python": platform.python_version()}
    for trial in TRIALS.values():
        if version := _version(trial.package):
            found[trial.package] = version
    return found


def _outcome(name: str, child: subprocess.Popen[str]) -> Library:
    version = _version(TRIALS[name].package)
    try:
        out, errors = child.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return Library(name, version, trouble=f"it doesn't load in {_PATIENCE_S:g} s")
    if child.returncode < 0:
        return Library(name, version, trouble=f"it ends the process ({_signal(child.returncode)})")
    if child.returncode:
        told = errors.strip().splitlines()
        return Library(name, version, trouble=told[-1][:300] if told else "it doesn't load")
    answer = out.strip().splitlines()
    return Library(name, version, {"True": True, "False": False}.get(answer[-1] if answer else ""))


def _signal(status: int) -> str:
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
