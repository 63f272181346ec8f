"""Which brain, and which of its addresses. No network: that is in the brain's tests."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_client.choice import (
    FoundBrain,
    Interface,
    best_first,
    choose,
    none_told,
    suitable,
    told,
)

KITCHEN = FoundBrain("kitchen", ("192.168.1.20",), 8100, "orin-nx", "1.0", 1, "aaa")
LAB = FoundBrain("lab", ("192.168.1.21",), 8200, "laptop", "1.0", 1, "bbb")
LATER = FoundBrain("attic", ("192.168.1.22",), 8100, "pocket", "9.0", 2, "ccc")

WIFI = Interface("wlan0", ipaddress.ip_address("192.168.1.9"), 24)
DOCKER = Interface("docker0", ipaddress.ip_address("172.17.0.1"), 16)
USB = Interface("l4tbr0", ipaddress.ip_address("192.168.55.1"), 24)
SIX = Interface("wlan0", ipaddress.ip_address("fd00::9"), 64)
LOOP = Interface("lo", ipaddress.ip_address("127.0.0.1"), 8)
ROBOT = (LOOP, WIFI, DOCKER, USB, SIX)

BRAINS = st.lists(
    st.builds(
        FoundBrain,
        name=st.sampled_from(["kitchen", "Kitchen", "lab", "lab-2"]),
        addresses=st.sampled_from([("10.0.0.1",), ("10.0.0.2",), ("10.0.0.3", "fe80::1%2")]),
        port=st.sampled_from([8100, 8200]),
        protocol=st.sampled_from([1, 1, 2, None]),
        id=st.sampled_from(["", "aaa", "bbb"]),
    ),
    max_size=5,
    unique=True,
)


def test_the_first_by_name_that_speaks_our_protocol() -> None:
    assert choose([LAB, LATER, KITCHEN]) == KITCHEN
    assert choose([LATER]) is None
    assert choose([]) is None
    assert choose([dataclasses.replace(LAB, protocol=None)]) is None


def test_a_port_leaves_those_out_that_have_another() -> None:
    assert choose([LAB, KITCHEN], port=8200) == LAB
    assert choose([LAB, KITCHEN], port=8300) is None


def test_it_stays_with_the_one_it_had() -> None:
    assert choose([KITCHEN, LAB], last=LAB) == LAB
    moved = dataclasses.replace(LAB, addresses=("192.168.1.99",))
    assert choose([KITCHEN, moved], last=LAB) == moved
    renamed = dataclasses.replace(LAB, name="lab-2")
    assert choose([KITCHEN, renamed], last=LAB) == renamed, "known by its id"
    replaced = dataclasses.replace(LAB, id="ddd")
    assert choose([KITCHEN, replaced], last=LAB) == replaced, "known by its name"
    assert choose([KITCHEN, replaced, renamed], last=LAB) == renamed, "the id counts more"
    copied = dataclasses.replace(KITCHEN, id=LAB.id)
    assert choose([copied, LAB], last=LAB) == LAB, "of two with one id, the name decides"
    assert choose([KITCHEN], last=LAB) == KITCHEN, "it is gone"
    assert choose([LAB, KITCHEN], last=LAB, port=8100) == KITCHEN


@given(BRAINS, st.integers(), st.sampled_from([None, 8100, 8200]), BRAINS)
def test_the_choice_does_not_depend_on_who_answers_first(
    brains: list[FoundBrain], seed: int, port: int | None, before: list[FoundBrain]
) -> None:
    last = before[0] if before else None
    taken = choose(brains, last, port)
    shuffled = Random(seed).sample(brains, len(brains))
    assert choose(shuffled, last, port) == taken
    assert (taken is None) == (not any(suitable(brain, port) for brain in brains))
    if taken is not None:
        assert taken in brains
        assert suitable(taken, port)
        assert choose(brains, taken, port) == taken, "it stays"
        assert told(shuffled, taken, last) == told(brains, taken, last)
    elif brains:
        assert none_told(shuffled, port, "go") == none_told(brains, port, "go")


def test_a_crowd_is_told_of_in_one_sentence() -> None:
    crowd = [dataclasses.replace(KITCHEN, name=f"{n:04}") for n in range(5000)]
    for sentence in (told(crowd, crowd[0], None), none_told(crowd, 1, "go")):
        assert "'0007'" in sentence
        assert " and 4992 more" in sentence
        assert len(sentence) < 1000


def test_what_a_person_is_told() -> None:
    assert told([LAB], LAB, None) == "found the brain 'lab' (192.168.1.21:8200, profile laptop)"
    assert told([LAB, KITCHEN], KITCHEN, None) == (
        "found 2 brains: 'kitchen' (192.168.1.20:8100, profile orin-nx) and"
        " 'lab' (192.168.1.21:8200, profile laptop); taking 'kitchen'"
    )
    moved = dataclasses.replace(LAB, addresses=("fd00::7",), profile="")
    assert told([moved, KITCHEN, LATER], moved, LAB) == (
        "found 3 brains: 'attic' (192.168.1.22:8100, profile pocket), which speaks another"
        " protocol, 'kitchen' (192.168.1.20:8100, profile orin-nx) and"
        " 'lab' ([fd00::7]:8200); staying with 'lab'"
    )


@pytest.mark.parametrize(
    ("brains", "port", "words"),
    [
        ([], None, "same network"),
        ([LATER], None, "update the older side"),
        ([LAB, LATER], 8300, "none at port 8300"),
    ],
)
def test_what_to_do_when_there_is_none(
    brains: list[FoundBrain], port: int | None, words: str
) -> None:
    sentence = none_told(brains, port, "or give its address")
    assert words in sentence
    assert sentence.endswith("or give its address")


@pytest.mark.parametrize(
    ("addresses", "best"),
    [
        (["10.0.0.1", "192.168.1.20"], ["192.168.1.20", "10.0.0.1"]),
        (["fd00::20", "192.168.1.20"], ["192.168.1.20", "fd00::20"]),
        (["10.0.0.1", "fd00::20"], ["fd00::20", "10.0.0.1"]),
        (["169.254.3.4", "10.0.0.1"], ["10.0.0.1", "169.254.3.4"]),
        (["fe80::1%3", "10.0.0.1"], ["10.0.0.1", "fe80::1%3"]),
        (["fe80::1%3"], ["fe80::1%3"]),
        # A Jetson's USB port and Docker are called the same on the robot: they would lead to it.
        (["192.168.55.1", "172.17.0.1", "10.0.0.1"], ["10.0.0.1", "192.168.55.1", "172.17.0.1"]),
        # A brain on the robot itself.
        (["192.168.55.1", "192.168.1.9"], ["192.168.1.9", "192.168.55.1"]),
        (["172.17.0.2", "10.0.0.1"], ["10.0.0.1", "172.17.0.2"]),
        (["fe80::1", "127.0.0.1", "::1", "0.0.0.0", "224.0.0.251", "jetson", ""], []),
    ],
)
def test_which_address_of_a_brain(addresses: list[str], best: list[str]) -> None:
    assert list(best_first(addresses, ROBOT)) == best
    assert list(best_first(reversed(addresses), ROBOT)) == best


@given(
    st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=8))),
    st.lists(st.ip_addresses()),
    st.integers(),
)
def test_addresses_are_ordered_and_none_is_made_up(
    addresses: list[str], own: Sequence[ipaddress.IPv4Address], seed: int
) -> None:
    ours = [Interface("eth0", address, 20) for address in own]
    best = best_first(addresses, ours)
    assert set(best) <= set(addresses)
    assert len(best) == len(set(best))
    assert best_first(Random(seed).sample(addresses, len(addresses)), ours) == best
