"""Announcing, and finding what is announced: real sockets, on a network of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.ops.announce import Announcement, Interface, announce, instance_name, reachable
from tests.e2e.lan import Lan, Machine, a_lan
from tests.e2e.lan_brain import a_lan_brain
from tests.e2e.lan_robot import a_lan_robot

NOTHING_LEFT = {"tasks": 0, "threads": 0, "sockets": 0}


@pytest.fixture
def lan() -> Iterator[Lan]:
    with a_lan() as network:
        yield network


@contextlib.contextmanager
def a_taken_port(machine: Machine) -> Iterator[None]:
    """Port 5353 is held there by something that doesn't share it."""
    code = "import socket; s = socket.socket(type=2); s.bind(('', 5353)); print(); input()"
    command = machine.command(sys.executable, "-c", code)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"\n"
        yield
        holder.communicate(b"\n", timeout=10)


def test_a_robot_finds_its_brain_again_when_that_has_another_address(
    lan: Lan, tmp_path: Path
) -> None:
    machine, elsewhere = lan.add(), lan.add("10.9.0.9/24")
    with (
        a_lan_brain(tmp_path, machine, "kitchen") as brain,
        a_lan_robot(elsewhere) as robot,
    ):
        brain.until_said("trying on: this machine is on no network yet")
        assert "WARNING brain.ops.announce can't be announced by mDNS" in brain.log.read_text()
        nothing = robot.ask("locate")
        assert "no brain announces itself on this network" in nothing["none"]
        assert "--local-server-ip" in nothing["none"]
        assert nothing["took_s"] < 6
        assert nothing["left"] == NOTHING_LEFT

        # Its address comes after it, as with DHCP at boot, and other things are in its way, too.
        with a_taken_port(machine), a_taken_port(elsewhere):
            assert "UDP port 5353" in robot.ask("locate")["none"]
            machine.move("10.9.0.1/24")
            brain.until_said("trying on: [Errno 98] Address already in use")
        found = robot.until_at("ws://10.9.0.1:8100/ws")
        assert found["said"] == ["found the brain 'kitchen' (10.9.0.1:8100, profile pocket)"]
        assert found["left"] == NOTHING_LEFT
        again = robot.ask("locate")
        assert again["url"] == "ws://10.9.0.1:8100/ws"
        assert again["said"] == [], "nothing has changed"

        machine.move("10.9.0.77/24")
        found = robot.until_at("ws://10.9.0.77:8100/ws")
        assert found["said"] == ["found the brain 'kitchen' (10.9.0.77:8100, profile pocket)"]

        assert brain.stop() < 5
        assert robot.ask("list") == {"brains": []}, "it has said goodbye"


def test_of_two_brains_the_first_by_name_and_then_the_same_one(lan: Lan, tmp_path: Path) -> None:
    with (
        a_lan_brain(tmp_path, lan.add("10.9.0.1/24"), "lab") as lab,
        a_lan_robot(lan.add("10.9.0.9/24")) as robot,
        a_lan_robot(lan.add("10.9.0.8/24")) as late_robot,
        a_lan_robot(lan.add("10.9.0.7/24"), port=8100) as picky_robot,
    ):
        lab.until_said("announced as 'lab' at 10.9.0.1 port 8100")
        assert robot.ask("locate")["url"] == "ws://10.9.0.1:8100/ws"
        attics = lan.add("10.9.0.2/24")
        with a_lan_brain(tmp_path, attics, "attic", 8200, tls=True) as attic:
            attic.until_said("announced as 'attic' at 10.9.0.2 port 8200")
            lines = [
                "'attic' (10.9.0.2:8200, profile pocket)",
                "'lab' (10.9.0.1:8100, profile pocket)",
            ]
            assert robot.ask("locate")["url"] == "ws://10.9.0.1:8100/ws", "it stays"
            first = late_robot.ask("locate")
            assert first["url"] == "wss://10.9.0.2:8200/ws"
            assert first["said"] == [f"found 2 brains: {' and '.join(lines)}; taking 'attic'"]
            assert picky_robot.ask("locate")["url"] == "ws://10.9.0.1:8100/ws"
            lab.stop()
            changed = robot.ask("locate")
            assert changed["url"] == "wss://10.9.0.2:8200/ws", "its own is gone"
            assert changed["said"] == [f"found the brain {lines[0]}"]


def test_of_two_with_one_name_one_gives_way(lan: Lan, tmp_path: Path) -> None:
    """Two that are switched on together may both find it free, and hear only then of each other."""
    with (
        a_lan_brain(tmp_path, lan.add("10.9.0.1/24"), "box") as brain,
        a_lan_robot(lan.add("10.9.0.9/24")) as rival,
    ):
        brain.until_said("announced as 'box'")
        assert rival.ask("squat box") == {"names": ["box", "box-2"]}


def test_with_nothing_but_link_local_ipv6_and_ending_is_quick_when_that_is_dead(
    lan: Lan, tmp_path: Path
) -> None:
    machine, elsewhere = lan.add("fe80::1/64"), lan.add("fe80::2/64")
    with (
        a_lan_brain(tmp_path, machine, "six", host="::") as brain,
        a_lan_robot(elsewhere) as robot,
    ):
        brain.until_said("announced as 'six' at fe80::1 port 8100")
        url = robot.ask("locate")["url"]
        assert re.fullmatch(r"ws://\[fe80::1%\w+\]:8100/ws", url), url
        machine.ip("link", "set", "eth0", "down")
        assert brain.stop() < 5


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_what_this_machine_alone_can_reach_is_not_announced(host: str) -> None:
    asyncio.run(asyncio.wait_for(announce(Announcement(host, 8100, "pocket")), 5))


HOME = [
    Interface("lo", "127.0.0.1", 1),
    Interface("lo", "::1", 1),
    Interface("eth0", "192.168.1.20", 2),
    Interface("eth0", "fe80::1%eth0", 2),
    Interface("docker0", "172.17.0.1", 3),
    Interface("br-0123456789ab", "172.18.0.1", 4),
    Interface("l4tbr0", "192.168.55.1", 5),
    Interface("br-lan", "10.0.0.1", 6),
]


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("0.0.0.0", ["10.0.0.1", "192.168.1.20", "192.168.55.1"]),
        ("::", ["fe80::1%eth0"]),
        ("192.168.55.1", ["192.168.55.1"]),
        ("172.17.0.1", ["172.17.0.1"]),
        ("fe80::1%eth0", ["fe80::1%eth0"]),
        ("192.168.1.99", []),
        ("127.0.0.1", []),
    ],
)
def test_where_a_bound_socket_can_be_reached(host: str, addresses: list[str]) -> None:
    assert [interface.address for interface in reachable(host, HOME)] == addresses
    assert reachable(host, reversed(HOME)) == reachable(host, HOME), "in a lasting order"


@given(st.lists(st.ip_addresses().map(str)), st.sampled_from(["0.0.0.0", "::"]))
def test_all_that_is_announced_is_an_address_of_the_machine(found: list[str], host: str) -> None:
    interfaces = [Interface("eth0", address, 1) for address in found]
    told = [interface.address for interface in reachable(host, interfaces)]
    assert set(told) <= set(found)
    assert len(told) == len(set(told))
    assert not any(ipaddress.ip_address(address).is_loopback for address in told)


@given(st.text(max_size=80))
def test_any_text_makes_a_name_of_one_label(text: str) -> None:
    name = instance_name(text)
    assert 0 < len(name.encode()) <= 59, "there is room for the -2 of a second one"
    assert "." not in name
    assert name.isprintable()
    assert name == name.strip()


def test_without_a_name_it_is_the_hosts() -> None:
    assert instance_name("Küche 1.0") == "Küche 1 0"
    assert instance_name() == instance_name("") != ""
