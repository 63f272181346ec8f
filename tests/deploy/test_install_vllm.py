"""install.sh --profile rtx3090ti: with vLLM in the wheelhouse, and filling one where there is none.

The wheels of vLLM and torch are stand-ins that hold nothing, as all in these tests.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.deploy.appliance_root import ENGINES, Machine, wheelhouse

TI = ("--profile", "rtx3090ti", "--force")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return wheelhouse(tmp_path / "house", engines=(*ENGINES, "torch", "vllm"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root").build()


def test_it_is_installed_with_its_own_drop_in(machine: Machine, house: Path) -> None:
    done = machine.install(*TI, "--offline", house)
    if sys.version_info < (3, 11):
        assert done.status == 2
        assert "needs Python 3.11 or later" in done.err
        return
    assert done.status == 0, done.err
    packages = next((machine.base / "current/venv/lib").glob("python*/site-packages"))
    assert {"vllm", "torch", "llama_cpp"} <= {path.name for path in packages.iterdir()}
    assert "30-vllm.conf" in machine.drop_ins()
    assert "BRAIN_PROFILE=rtx3090ti" in machine.env_file.read_text("utf-8")
    other = machine.install("--profile", "laptop", "--offline", house)
    assert other.status == 0, "the same wheels serve another profile"
    assert machine.drop_ins() == []


def test_a_torch_that_does_not_load_stops_it(machine: Machine, tmp_path: Path) -> None:
    engines = (*ENGINES, "vllm")
    house = wheelhouse(tmp_path / "house", engines=engines)
    requirements = house / "requirements.txt"
    assert "torch" not in requirements.read_text("utf-8")
    # vLLM is named, and its wheel brings a module that can't be imported.
    from tests.deploy.appliance_root import sha256, sign, wheel

    made = wheel(house, "torch", "2.14", {"torch/__init__.py": "import no_such_library\n"})
    text = requirements.read_text("utf-8")
    requirements.write_text(f"{text}torch==2.14 --hash=sha256:{sha256(made)}\n", "utf-8")
    sign(house)
    done = machine.install(*TI, "--offline", house)
    expected = (
        "torch does not load" if sys.version_info >= (3, 11) else "needs Python 3.11 or later"
    )
    assert done.status != 0
    assert expected in done.err
    assert not (machine.base / "current").exists()


def test_without_a_wheelhouse_one_with_vllm_is_filled(machine: Machine) -> None:
    told = machine.install(*TI, "--dry-run")
    if sys.version_info < (3, 11):
        assert (told.status, "needs Python 3.11 or later" in told.err) == (2, True)
        return
    assert told.status == 0, told.err
    assert re.search(
        r"would fetch and build the wheels of this checkout in \S+/wheelhouse-vllm", told.out
    )
