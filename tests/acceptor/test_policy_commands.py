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
from superd.policy.rules import NS_PER_S, UNLIMITED, Access, Limits, ProxyProtocol, Rate
from superd.wire.codec import Direction
from superd.wire.policies import Keep, ServicePolicy
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
        assert isinstance(message, Keep)
        self.notes.append(message.note)

    def tell(self, limits: Limits, note: str = "") -> None:
        policy = ServicePolicy(1, limits, Access(), ProxyProtocol(), "", "", note)
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
            at.tell(Limits(), note=note)
            assert "what was tuned is given up" in shop.logged()
            assert shop.service.engine.limits == Limits()


@clocked
async def test_another_prefix_of_sources_is_told_in_whole_numbers() -> None:
    """Keys of sources mean something under their own prefix alone; under another one they were too large to spell."""
    for address, key in (("192.0.2.1", "source_prefix_ipv4"), ("2001:db8::1", "source_prefix_ipv6")):
        with desk() as at:
            engine = at.shop.service.engine
            engine.offer(Client(1, *parse_address(address)), 0)
            for bits in (16, 8, 32):
                answer = await at.tune({key: bits})
                assert answer["ok"] and answer["services"]["ftp"]["use"]["max_connections"]["used"] == 1
                assert (await at.ask("limits"))["ok"]


# --- who-may and bans ---


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "::ffff:0.0.0.0", "255.255.255.255", "192.0.2.1", "ff02::1%2"]
)
@clocked
async def test_who_may_answers_about_every_address(address: str) -> None:
    with desk() as at:
        assert (await at.ask("who-may", address=address))["allowed"]


@pytest.mark.parametrize("time", [1e300, -1e300, 10**4_000, math.inf, math.nan, "noon", [], -6e10, 0, 2.5e11])
@clocked
async def test_who_may_answers_about_every_time(time: object) -> None:
    with desk() as at:
        answer = await at.ask("who-may", address="192.0.2.1", at=time)
        assert answer["ok"] or answer["lines"] == ["no such time"]


@clocked
async def test_a_client_from_nowhere_that_is_penalised_is_in_nobodys_way() -> None:
    """A proxy may name 0.0.0.0 as its client, which no list of addresses may hold."""
    limits = Limits(rate_per_source=Rate(1, 3_600 * NS_PER_S), penalty_s=600.0, source_prefix_ipv6=128)
    with desk(limits) as at:
        engine = at.shop.service.engine
        for address in ("0.0.0.0", "::", "192.0.2.1"):
            client = Client(1, *parse_address(address))
            for _ in range(2):
                engine.offer(client, 10**18)
        told = (await at.ask("bans"))["bans"]
        assert {ban["source"] for ban in told} == {"0.0.0.0", "::", "192.0.2.1"}
        assert (await at.ask("who-may", address="192.0.2.1"))["penalised"]["source"] == "192.0.2.1"
        assert (await at.ask("who-may", address="0.0.0.0"))["penalised"]["source"] == "0.0.0.0"
        freed = (await at.ask("unban", source="192.0.2.0/24"))["freed"]
        assert [one["source"] for one in freed] == ["192.0.2.1"]
        assert len((await at.ask("unban", source="0.0.0.0/0"))["freed"]) == 1


@clocked
async def test_no_more_bans_are_spelt_out_than_anybody_reads() -> None:
    limits = Limits(UNLIMITED, rate_per_source=Rate(1, 3_600 * NS_PER_S), penalty_s=600.0)
    with desk(limits) as at:
        for number in range(1_200):
            for _ in range(2):
                at.shop.service.engine.offer(Client(number, 4, number), 10**18)
        answer = await at.ask("bans")
        assert (len(answer["bans"]), answer["more"]) == (1_000, 200)
