"""What the tests of the appliance share. `tools/test_appliance.sh` makes what they are given."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.appliance import guest as guests
from tests.appliance.figures import FIGURES
from tests.appliance.guest import Guest, booted, unpacked
from tests.appliance.install import install
from tests.appliance.wheelhouse import copied, variant

REPOSITORY = Path(__file__).parents[2]
NEWER, BROKEN = "9.0.1", "9.0.2"


def given(name: str) -> Path:
    """What the script has made."""
    if name not in os.environ:
        pytest.exit("these tests are run by `make test-appliance` (tools/test_appliance.sh)", 2)
    return Path(os.environ[name])


@pytest.fixture(scope="session")
def stick() -> Path:
    """What a field tech brings along: wheelhouses of three versions, each with its installer."""
    stick = given("APPLIANCE_RUN") / "stick"
    now = copied(given("APPLIANCE_WHEELHOUSE"), stick / "now")
    variant(now, stick / "newer", NEWER)
    # It starts, serves, and never says that it is READY.
    variant(now, stick / "broken", BROKEN, {"brain/ops/notify.py": ('"READY=1"', '"READY=0"')})
    return stick


@pytest.fixture(scope="session")
def installed(stick: Path) -> Path:
    """A Debian 12 on which the brain was installed, while it was up; it is off again."""
    root = unpacked(given("APPLIANCE_DEBIAN_12"), given("APPLIANCE_RUN") / "debian12")
    with booted(root, "install", stick=stick) as guest:
        said = install(guest, "now", "--profile", "pocket")
        assert "READY with profile pocket" in said
        guest.power_off()
    return root


@pytest.fixture(scope="session")
def guest(installed: Path, stick: Path) -> Iterator[Guest]:
    """That system, booted anew, for all tests that leave it as they found it."""
    with booted(installed, "debian12", stick=stick) as guest:
        guest.until("ActiveState", "active")
        yield guest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what needs the system as it was installed, last what takes the brain off it."""
    items.sort(
        key=lambda item: (
            "guest" in getattr(item, "fixturenames", ()),
            item.path.name == "test_versions.py",
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """A failing step tells the journal of the machine that it failed on."""
    report = yield
    if report.failed:
        for machine in guests.running:
            report.sections.append((f"the journal in {machine.root}", machine.journal_end()))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if FIGURES:
        terminalreporter.section("figures of the appliance")
        for what, value in FIGURES.items():
            terminalreporter.write_line(f"{what}: {value}")
