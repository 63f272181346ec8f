"""What is made of an announcement, and which address answers. (The search itself is tested with
the brain's announcement, on a network of its own: tests/ops/test_announce.py.)"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import ServiceInfo, ServiceStateChange, Zeroconf

from robot_client import address, discovery
from robot_client.address import BrainAddress, Locator, NoBrainFound
from robot_client.choice import FoundBrain
from robot_client.discovery import SERVICE_TYPE, answering, brain_of, own_interfaces


def announced(properties: Any = b"", name: str = "kitchen", **fields: Any) -> ServiceInfo:
    return ServiceInfo(
        SERVICE_TYPE,
        f"{name}.{SERVICE_TYPE}",
        properties=properties,
        **{"port": 8100, "parsed_addresses": ["10.0.0.1"], **fields},
    )


def test_an_announcement_is_read() -> None:
    said = {
        "protocol": "1", "profile": "orin-nx", "version": "0.4", "id": "abc", "tls": "1",
        "path": "/ws", "later": "more",
    }  # fmt: skip
    assert brain_of(announced(said), []) == FoundBrain(
        "kitchen", ("10.0.0.1",), 8100, "orin-nx", "0.4", 1, "abc", tls=True
    )
    assert brain_of(announced(), []) == FoundBrain("kitchen", ("10.0.0.1",), 8100)


@pytest.mark.parametrize(
    "fields", [{"port": 0}, {"port": None}, {"parsed_addresses": []},
               {"parsed_addresses": ["127.0.0.1", "224.0.0.1"]}],
)  # fmt: skip
def test_what_cannot_be_connected_to_is_no_brain(fields: Any) -> None:
    assert brain_of(announced(**fields), []) is None


@given(
    st.binary(max_size=300),
    st.dictionaries(
        st.sampled_from(["protocol", "profile", "version", "id", "tls"]), st.binary(max_size=60)
    ),
)
def test_anything_may_be_announced(raw: bytes, values: dict[str, bytes]) -> None:
    for properties in (raw, values):
        brain = brain_of(announced(properties), [])
        assert brain is not None
        for text in (brain.name, brain.profile, brain.version, brain.id, str(brain)):
            assert text.isprintable()
        assert max(len(brain.profile), len(brain.version), len(brain.id)) <= 63


@pytest.mark.parametrize("name", ["esc\x1b[31m", "line\nbreak", "\x7f", "x" * 200])
def test_an_announcement_under_an_impossible_name_holds_up_no_search(run: Any, name: str) -> None:
    async def main() -> None:
        search = discovery._Search([])
        search.changed(Zeroconf.__new__(Zeroconf), SERVICE_TYPE, f"{name}.{SERVICE_TYPE}",
                       ServiceStateChange.Added)  # fmt: skip
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await search.settled(20, patience=lambda _brains: 0.01)
        assert loop.time() - begun < 10
        assert search.brains == []
        await search.close()

    run(main())


def test_the_library_is_loaded_by_a_search_alone() -> None:
    code = (
        "import sys; import robot_client.address, robot_client.discovery;"
        "from robot_client.connection import Connection;"
        "sys.exit(any(name in sys.modules for name in ('zeroconf', 'ifaddr')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_this_machine_has_addresses() -> None:
    assert any(interface.address.is_loopback for interface in own_interfaces())


def test_the_best_address_that_answers_is_taken(run: Any) -> None:
    async def main() -> None:
        async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        before = asyncio.all_tasks()
        server = await asyncio.start_server(visited, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            assert await answering(["127.0.0.1", "127.0.0.2"], port) == "127.0.0.1"
            assert await answering(["127.0.0.2", "127.0.0.1"], port) == "127.0.0.1"
            assert await answering(["127.0.0.2"], port) == "127.0.0.2", "it needs no look"
        assert await answering(["127.0.0.2", "127.0.0.1"], port) == "127.0.0.2", "none does"
        with pytest.raises(ValueError, match="no addresses"):
            await answering([], port)
        assert asyncio.all_tasks() == before

    run(main())


def test_a_machine_without_a_network_says_so(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [interface for interface in own_interfaces() if interface.address.is_loopback]
    monkeypatch.setattr(discovery, "own_interfaces", lambda: alone)
    with pytest.raises(NoBrainFound, match=r"on no network.*--local-server-ip"):
        run(Locator(BrainAddress("auto"))())


def test_a_robot_waits_for_its_own_brain_and_is_told_once(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search is scripted here; what it would be told to wait is looked at."""
    one = FoundBrain("a", ("10.0.0.1",), 8100, protocol=1, id="a")
    two = FoundBrain("b", ("10.0.0.2",), 8100, protocol=1, id="b", tls=True)
    old = FoundBrain("0", ("10.0.0.3",), 8100, protocol=0)
    answers = [[two], [one, two], [one], [old]]
    patiences: list[list[float]] = []

    async def search(*, patience: discovery.Patience) -> list[FoundBrain]:
        patiences.append([patience(found) for found in ([], [old], [one], [two], [one, two])])
        return answers.pop(0)

    monkeypatch.setattr(address, "find_brains", search)
    said: list[str] = []

    async def main() -> None:
        locate = Locator(BrainAddress("auto", robot_id="r"), said.append)
        assert await locate() == "wss://10.0.0.2:8100/ws?robot_id=r"
        assert await locate() == "wss://10.0.0.2:8100/ws?robot_id=r"
        assert await locate() == "ws://10.0.0.1:8100/ws?robot_id=r"
        with pytest.raises(NoBrainFound, match="protocol 1"):
            await locate()

    run(main())
    forever = float("inf")
    assert patiences == [
        [forever, forever, 0.5, 0.5, 0.5],
        [forever, forever, 0.5, 0, 0],
        [forever, forever, 0.5, 0, 0],
        [forever, forever, 0, 0.5, 0],
    ]
    assert said == ["found the brain 'b' (10.0.0.2:8100)", "found the brain 'a' (10.0.0.1:8100)"]
