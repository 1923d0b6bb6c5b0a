"""What superctl asks about limits and access, and what no request can do to the acceptor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import define, field
from helpers.clocked import clocked

from superd.acceptor.policies import Policies
from superd.acceptor.policy_commands import PolicyCommands
from superd.policy.decision import Client
from superd.policy.networks import parse_address
from superd.policy.rules import NS_PER_S, Access, Limits, ProxyProtocol, Rate
from superd.wire.codec import Direction
from superd.wire.policies import ServicePolicy, Tuned
from superd.wire.table import Role

from .workshop import Workshop

_TO_MASTER = Direction.of(Role.ACCEPTOR, Role.MASTER)
PEER_TRAITS = ("nowait", "stream", "tcp")


@define(eq=False)
class Desk:
    """One service whose policy the test, as the master, has told."""

    shop: Workshop
    notes: list[str] = field(factory=list)
    policies: Policies = field(init=False)
    commands: PolicyCommands = field(init=False)

    def __attrs_post_init__(self) -> None:
        service = self.shop.service
        self.policies = Policies(
            self.shop.log, self.shop.timers, lambda: 1e9, lambda *_: None, self._say, lambda _: None
        )
        self.commands = PolicyCommands(
            self.policies,
            lambda: [service],
            lambda name: service if name == "ftp" else None,
            lambda name: {"ok": False, "lines": [f"no service {name!r}"]},
        )

    def _say(self, message: object) -> None:
        _TO_MASTER.encode(message)  # too long, or not for the master: an error that would end the acceptor
        assert isinstance(message, Tuned)
        self.notes.append(message.tuned)

    def tell(self, limits: Limits, tuned: str = "") -> None:
        policy = ServicePolicy(1, limits, Access(), ProxyProtocol(), "", "", tuned)
        self.policies.told(self.shop.service, policy)

    async def ask(self, command: str, **request: Any) -> dict[str, Any]:
        return await self.commands.table()[command].answer({"service": "ftp", **request})

    async def tune(self, values: dict[str, object], **more: Any) -> dict[str, Any]:
        return await self.ask("tune", values=values, **more)


@contextmanager
def desk(limits: Limits | None = None) -> Iterator[Desk]:
    with Workshop() as shop:
        made = Desk(shop)
        made.tell(limits or Limits())
        yield made


def networks(first: int, count: int) -> list[str]:
    return [f"{first}.{number >> 8}.{number & 255}.1" for number in range(count)]


# --- tune ---


@clocked
async def test_more_than_the_master_keeps_is_a_fault_that_changes_nothing() -> None:
    with desk() as at:
        assert (await at.tune({"access.deny": networks(10, 2_500)}))["ok"]
        answer = await at.tune({"limits.exempt": networks(172, 2_500)})
        assert not answer["ok"]
        assert answer["lines"][0].startswith("tune: ftp: all that is tuned would take ")
        assert answer["lines"][0].endswith("; write it in the configuration and reload")
        assert at.shop.service.engine.limits.exempt == ()
        assert len(at.notes) == 1


@clocked
async def test_a_reset_with_faulty_values_takes_nothing_back() -> None:
    with desk() as at:
        assert (await at.tune({"max_connections": 5}))["ok"]
        assert not (await at.tune({"max_connections": 0}, reset=True))["ok"]
        assert at.shop.service.engine.limits.max_connections == 5
        assert (await at.tune({}, reset=True))["ok"]
        assert at.shop.service.engine.limits.max_connections == 256


@clocked
async def test_a_note_that_is_none_is_given_up_with_a_word() -> None:
    for note in ("[", '{"lasting": {"limits.rate": null}, "saved": [], "passing": {}}'):
        with Workshop() as shop:
            at = Desk(shop)
            at.tell(Limits(), tuned=note)
            assert "what was tuned is given up" in shop.logged()
            assert shop.service.engine.limits == Limits()
