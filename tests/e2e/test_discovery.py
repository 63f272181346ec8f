"""Real brains on a network of the test's own, and a robot that knows no address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.faults.brain_inside import a_brain_inside
from tests.e2e.lan import Lan, a_lan
from tests.e2e.lan_robot import a_lan_robot


@pytest.fixture
def lan() -> Iterator[Lan]:
    with a_lan() as network:
        yield network


@pytest.mark.setting("DISCOVERY", "BRAIN_NAME")
def test_a_robot_that_knows_no_address(lan: Lan, tmp_path_factory: pytest.TempPathFactory) -> None:
    here, silent_one = lan.add("10.9.0.1/24"), lan.add("fe80::2/64")
    folder = tmp_path_factory.mktemp
    with (
        a_brain_inside(here, folder("k"), "--set", "BRAIN_NAME=kitchen") as kitchen,
        a_brain_inside(silent_one, folder("s"), "--set", "DISCOVERY=0", host="::") as silent,
        a_lan_robot(lan.add("10.9.0.9/24")) as robot,
        a_lan_robot(lan.add("fe80::9/64"), "fe80::2%eth0") as told_robot,
    ):
        kitchen.until_said("announced as 'kitchen' at 10.9.0.1 port 8100")
        silent.until_ready()
        kitchen_1 = "'kitchen' (10.9.0.1:8100, profile pocket)"
        assert robot.ask("talk") == {
            "resumed": False, "reasons": [], "said": [f"found the brain {kitchen_1}"],
        }  # fmt: skip
        told_robot.ask("talk")
        assert told_robot.ask("list")["brains"] == [], "it is there, and doesn't say so"

        # Another address, as after a DHCP lease has run out: the old one is dead without a word.
        here.move("10.9.0.77/24")
        again = robot.ask("talk")
        assert again["resumed"]
        assert again["said"] == ["found the brain 'kitchen' (10.9.0.77:8100, profile pocket)"]
        kitchen.stop()
        assert robot.ask("list")["brains"] == [], "it has said goodbye"
