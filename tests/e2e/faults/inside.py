"""What runs inside a `namespace`, and keeps it: drops packets, makes sockets.

Requests are JSON objects on the socket whose descriptor is the only argument; it ends with them.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterable
from typing import Any

_TABLE, _CHAIN = "faults", "arriving"
_INET = 1  # NFPROTO_INET
_ACCEPT, _DROP = 1, 0
_EQUAL = 0
_REGISTER = 1
_RANDOM = 1
_IPV4_HEADER, _SOURCE, _DESTINATION = 1, 12, 16

Expression = dict[str, Any]


def expression(name: str, prefix: str, **fields: Any) -> Expression:
    """An nftables expression: its name, and its netlink attributes NFTA_<prefix>_<field>."""
    attributes = [(f"NFTA_{prefix}_{field.upper()}", value) for field, value in fields.items()]
    return {"attrs": [("NFTA_EXPR_NAME", name), ("NFTA_EXPR_DATA", {"attrs": attributes})]}


def equals(value: bytes) -> Expression:
    """The rule goes on if the register holds this."""
    data = {"attrs": [("NFTA_DATA_VALUE", value)]}
    return expression("cmp", "CMP", sreg=_REGISTER, op=_EQUAL, data=data)


def ends_at(address: str, offset: int) -> list[Expression]:
    """The rule goes on if the address at this offset of the header is this."""
    load = expression("payload", "PAYLOAD", dreg=_REGISTER, base=_IPV4_HEADER, offset=offset, len=4)
    return [load, equals(socket.inet_aton(address))]


def by_chance(one_in: int) -> list[Expression]:
    """The rule goes on for one packet in so many."""
    draw = expression("numgen", "NG", dreg=_REGISTER, modulus=one_in, type=_RANDOM, offset=0)
    return [draw, equals(bytes(4))]  # zero is zero in either order of bytes


class Losses:
    """The rules. Those for one address come first; whatever they let through isn't asked again."""

    def __init__(self) -> None:
        # Imported here: it takes a third of a second, and many a network loses nothing.
        from pyroute2.nftables.expressions import verdict
        from pyroute2.nftables.main import NFTables

        self._verdict = verdict
        self._nft = NFTables(nfgen_family=_INET)
        self._rules: dict[str | None, int] = {}
        self._before: dict[str | None, int] = {}

    def lose(self, one_in: int, address: str | None) -> None:
        for known in self._rules:
            self._before[known] = self.dropped(known)
        if self._rules:
            self._nft.table("del", name=_TABLE)
        self._rules[address] = one_in
        self._nft.table("add", name=_TABLE)
        self._nft.chain("add", table=_TABLE, name=_CHAIN, hook="input", type="filter", policy=1)
        for known in sorted(self._rules, key=lambda known: (known is None, known)):
            ends = [ends_at(known, end) for end in (_SOURCE, _DESTINATION)] if known else [[]]
            for end in ends:
                counter = expression("counter", "COUNTER", bytes=0, packets=0)
                self._add([*end, *by_chance(self._rules[known]), counter, _DROP])
            for end in ends if known else []:
                self._add([*end, _ACCEPT])

    def dropped(self, address: str | None) -> int:
        """By all rules for this address so far."""
        return self._before.get(address, 0) + sum(self._counts().get(address, []))

    def _add(self, expressions: Iterable[Expression | int]) -> None:
        rule = [self._verdict(e) if isinstance(e, int) else [e] for e in expressions]
        self._nft.rule("add", table=_TABLE, chain=_CHAIN, expressions=rule)

    def _counts(self) -> dict[str | None, list[int]]:
        counts: dict[str | None, list[int]] = {}
        for rule in self._nft.get_rules() if self._rules else []:
            values: dict[str, Any] = {}
            for each in rule.get_attr("NFTA_RULE_EXPRESSIONS"):
                name = each.get_attr("NFTA_EXPR_NAME")
                values.setdefault(name, each.get_attr("NFTA_EXPR_DATA"))
            if "counter" not in values:
                continue
            address = None
            if "payload" in values:
                data = values["cmp"].get_attr("NFTA_CMP_DATA").get_attr("NFTA_DATA_VALUE")
                address = socket.inet_ntoa(data)
            packets = values["counter"].get_attr("NFTA_COUNTER_PACKETS")
            counts.setdefault(address, []).append(packets)
        return counts


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    losses: Losses | None = None
    while request := control.recv(4_096):
        asked = json.loads(request)
        answer: dict[str, Any] = {}
        if asked["do"] == "socket":
            with socket.socket(asked["family"]) as made:
                socket.send_fds(control, [b"{}"], [made.fileno()])
            continue
        if asked["do"] == "lose":
            losses = losses or Losses()
            losses.lose(asked["one_in"], asked["address"])
        elif asked["do"] == "dropped":
            answer["packets"] = losses.dropped(asked["address"]) if losses else 0
        control.send(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
