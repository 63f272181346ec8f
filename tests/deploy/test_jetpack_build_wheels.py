"""What `build-wheels.sh` asks of git, cmake and pip, and that it goes on after a cut.

The tools are stand-ins (build_tools.sh): they compile nothing. That the wheels run on a GPU only a
Jetson can show.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.jetson_root import REPOSITORY, Jetson, run

_GIB = 1 << 20


class _Build:
    """A board with stand-in tools, and the folders of a build. `jobs` is always given: 3."""

    def __init__(self, folder: Path, **board: object) -> None:
        self.out, self.work = folder / "out", folder / "work"
        self.notes = folder / "stand-in"
        self.notes.mkdir()
        self.root = Jetson(folder / "root", **board).build()  # type: ignore[arg-type]
        for tool in ("git", "cmake", "ninja", "g++", "nvcc", "python3"):
            (self.root / "usr/bin" / tool).symlink_to(Path(__file__).with_name("build_tools.sh"))

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        folders = ("--root", self.root, "--out", self.out, "--work", self.work)
        env = {**os.environ, "STAND_IN": str(self.notes)}
        done = run("jetpack/build-wheels.sh", *folders, "--jobs", "3", *options, env=env)
        assert isinstance(done, subprocess.CompletedProcess)
        return done

    def asked(self) -> list[str]:
        """What the tools were asked since the last time."""
        notes = self.notes / "asked"
        lines = notes.read_text("utf-8").splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return lines

    def wheel(self, name: str) -> Path:
        (wheel,) = self.out.glob(f"{name}-*.whl")
        return wheel


@pytest.fixture
def build(tmp_path: Path) -> _Build:
    return _Build(tmp_path)


def _compilations(asked: list[str]) -> list[str]:
    return [
        "llama" if "-w" in line else "ctranslate2"
        for line in asked
        if line.startswith("cmake --build") or ("pip" in line and "llama-build" in line)
    ]


def test_a_whole_build(build: _Build) -> None:
    done = build.run()
    assert done.returncode == 0, done.stderr
    asked = build.asked()
    assert _compilations(asked) == ["llama", "ctranslate2"]
    (clone,) = [line for line in asked if line.startswith("git clone")]
    locked = re.search(r"^ctranslate2==(\S+)", _lock(), re.MULTILINE)
    assert locked is not None
    assert f"--branch v{locked[1]} --recurse-submodules" in clone
    (configure,) = [line for line in asked if line.startswith("cmake -S")]
    for flag in (
        "WITH_CUDA=ON",
        "WITH_CUDNN=ON",
        "CUDA_ARCH_LIST=8.7",
        "WITH_MKL=OFF",
        "WITH_OPENBLAS=ON",
        "WITH_RUY=ON",
        "OPENMP_RUNTIME=COMP",
    ):
        assert f"-D{flag} " in configure
    (llama,) = [line for line in asked if "llama-build" in line]
    assert "jobs=3 -DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=87" in llama
    assert "--no-build-isolation" in llama
    (module,) = [line for line in asked if "-rpath" in line]
    assert module.rstrip().endswith("-Wl,-rpath,$ORIGIN")


def test_the_wheelhouse_holds_what_was_built(build: _Build) -> None:
    build.run()
    # The library is in the wheel, beside the module.
    assert "libctranslate2.so.4" in build.wheel("ctranslate2").read_text()
    constraints = (build.out / "constraints.txt").read_text().split()
    assert len(constraints) == 2
    for line in constraints:
        name, version = line.split("==")
        assert version.endswith("+cuda12.6.sm87")
        assert version in build.wheel(name.replace("-", "_")).name
    requirements = (build.out / "requirements.txt").read_text("utf-8")
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)(?: ;.*)? \\$", requirements, re.MULTILINE)
    assert [version for name, version in pins if name == "ctranslate2"] == [
        constraints[0].split("==")[1]
    ]
    digest = hashlib.sha256(build.wheel("ctranslate2").read_bytes()).hexdigest()
    assert requirements.count(f"--hash=sha256:{digest}") == 1
    # Nothing else of the lock was lost with the one stanza.
    in_lock = set(re.findall(r"^([a-z0-9-]+)==", _lock(), re.MULTILINE))
    assert {name for name, _ in pins} == in_lock | {"llama-cpp-python"}
    sums = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=build.out, check=False)
    assert sums.returncode == 0


def test_what_is_there_already_is_used_again(build: _Build) -> None:
    build.run()
    build.asked()
    done = build.run()
    assert done.returncode == 0
    assert done.stdout.count("there already") == 2
    assert _compilations(build.asked()) == []


def test_a_damaged_wheel_is_built_again_and_the_other_kept(build: _Build) -> None:
    build.run()
    build.asked()
    build.wheel("ctranslate2").write_text("rot")
    done = build.run()
    assert done.returncode == 0, done.stderr
    assert "is damaged or gone" in done.stdout
    asked = build.asked()
    assert _compilations(asked) == ["ctranslate2"]
    assert not [line for line in asked if line.startswith("git clone")]
    assert "libctranslate2" in build.wheel("ctranslate2").read_text()


def test_another_cuda_means_new_wheels_and_not_two_of_one(build: _Build) -> None:
    build.run()
    build.asked()
    version = build.root / "usr/local/cuda/version.json"
    version.write_text(version.read_text().replace("12.6", "12.9"))
    assert build.run().returncode == 0
    assert _compilations(build.asked()) == ["llama", "ctranslate2"]
    assert "+cuda12.9.sm87" in build.wheel("llama_cpp_python").name


@pytest.mark.parametrize(("finished", "left"), [(0, "llama"), (1, "ctranslate2")])
def test_after_a_cut_it_goes_on_where_it_was(build: _Build, finished: int, left: str) -> None:
    if finished:
        # The first compiler lets llama.cpp through; the cut comes in CTranslate2's.
        (build.root / "usr/bin/cmake").unlink()
        cutting = build.root / "usr/bin/cmake"
        cutting.write_text(
            "#!/bin/bash\n# Stand-in for a power cut while CTranslate2 compiles.\n"
            '[ "$1" != --build ] || kill -KILL $PPID\n'
        )
        cutting.chmod(0o755)
    else:
        (build.notes / "cut").touch()
    done = build.run()
    assert done.returncode == -9
    assert not (build.out / "constraints.txt").exists()
    assert len(list(build.out.glob("*.whl"))) == finished
    cut_at = build.asked()
    if finished:
        cutting.unlink()
        cutting.symlink_to(Path(__file__).with_name("build_tools.sh"))

    again = build.run()
    assert again.returncode == 0, again.stderr
    asked = build.asked()
    # What was fetched and prepared before stays, and so do the objects: the folder is the same.
    assert not [line for line in asked if "pip" in line and "scikit-build-core" in line]
    assert not [line for line in asked if "pip" in line and "llama-cpp.lock" in line]
    folders = re.findall(r"build-dir=\S+", "\n".join(cut_at + asked))
    assert len(set(folders)) == 1
    assert _compilations(asked)[0] == left
    assert len(_compilations(asked)) == 2 - finished


def test_a_compiler_killed_for_memory_is_tried_again_alone(build: _Build) -> None:
    (build.notes / "out-of-memory").write_text("once\n")
    done = build.run()
    assert done.returncode == 0, done.stderr
    tries = [line for line in build.asked() if "llama-build" in line]
    assert ["jobs=3" in tries[0], "jobs=1" in tries[1], len(tries)] == [True, True, 2]


def test_what_does_not_compile_says_where_the_log_is(build: _Build) -> None:
    (build.notes / "out-of-memory").write_text("once\ntwice\n")
    done = build.run()
    assert done.returncode == 1
    assert "nvcc: Killed" in done.stderr
    assert re.search(f"the whole log is in {build.work}/.*/build.log", done.stderr)
    assert not list(build.out.glob("*.whl"))


def test_wheels_that_see_no_gpu_are_not_called_ready(build: _Build) -> None:
    (build.notes / "no-gpu").touch()
    done = build.run()
    assert done.returncode == 1
    assert "sees no GPU" in done.stderr
    assert "ready" not in done.stdout


def test_the_two_wheels_alone(build: _Build) -> None:
    assert build.run("--gpu-wheels-only").returncode == 0
    assert len(list(build.out.glob("*.whl"))) == 2


def test_jetpack_6_0_goes_without_its_old_cudnn(tmp_path: Path) -> None:
    build = _Build(tmp_path, l4t="36.3", cuda="12.2", cudnn=8)
    assert build.run().returncode == 0
    (configure,) = [line for line in build.asked() if line.startswith("cmake -S")]
    assert "-DWITH_CUDNN=OFF" in configure


@pytest.mark.parametrize("available", [0.5, 2.5])
def test_little_memory_means_one_compiler(available: float, tmp_path: Path) -> None:
    build = _Build(tmp_path, available=available)
    env = {**os.environ, "STAND_IN": str(build.notes)}
    done = run("jetpack/build-wheels.sh", "--root", build.root, "--dry-run", env=env)
    assert "1 compilers at a time" in done.stdout


def test_plenty_of_memory_means_as_many_as_cores(tmp_path: Path) -> None:
    build = _Build(tmp_path, available=5.0)
    cores = build.root / "usr/bin/nproc"
    cores.write_text("#!/bin/bash\n# Stand-in for nproc.\necho 8\n")
    cores.chmod(0o755)
    env = {**os.environ, "STAND_IN": str(build.notes)}
    arguments = ("jetpack/build-wheels.sh", "--root", build.root, "--dry-run")
    assert "2 compilers at a time" in run(*arguments, env=env).stdout
    (build.root / "proc/meminfo").write_text(f"MemAvailable: {60 * _GIB} kB\n")
    assert "8 compilers at a time" in run(*arguments, env=env).stdout


def test_a_dry_run_builds_nothing(build: _Build) -> None:
    done = build.run("--dry-run")
    assert done.returncode == 0
    assert "-DCUDA_ARCH_LIST=8.7" in done.stdout
    assert not build.out.exists()
    assert not build.work.exists()


def test_what_is_missing_is_named_before_anything_is_done(build: _Build) -> None:
    done = build.run("--python", "python9.9")
    assert done.returncode == 1
    assert "not found: python9.9 (apt install" in done.stderr
    (build.root / "usr/local/cuda/version.json").unlink()
    done = build.run()
    assert done.returncode == 1
    assert "no CUDA toolkit" in done.stderr
    assert not build.work.exists()


def test_two_builds_in_one_folder_are_kept_apart(build: _Build) -> None:
    build.run("--gpu-wheels-only")
    (lock,) = build.work.glob("*/lock")
    with subprocess.Popen(
        ["flock", lock, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(b"locked\n")
        other.stdin.flush()
        assert other.stdout.readline() == b"locked\n"
        done = build.run()
        other.stdin.close()
    assert done.returncode == 1
    assert "another build-wheels.sh is at work" in done.stderr


def _lock() -> str:
    return (REPOSITORY / "appliance.lock").read_text("utf-8")
