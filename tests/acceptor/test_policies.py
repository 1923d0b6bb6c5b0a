"""What an acceptor leaves with the master for the next one, and how that goes on from it."""

from __future__ import annotations

import json

import pytest
from attrs import define, field
from helpers.clocked import clocked

from superd.acceptor.counts import Counts
from superd.acceptor.policies import Policies
from superd.acceptor.tuning import MAX_NOTE_BYTES, Tuning
from superd.policy.reason import Reason
from superd.policy.rules import Access, Limits, ProxyProtocol
from superd.wire.codec import Direction
from superd.wire.policies import Keep, ServicePolicy
from superd.wire.table import Role

from .workshop import Workshop

_TO_MASTER = Direction.of(Role.ACCEPTOR, Role.MASTER)


@define(eq=False)
class Life:
    """One acceptor's policies, and what it leaves."""

    shop: Workshop
    notes: list[str] = field(factory=list)
    policies: Policies = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.policies = Policies(
            self.shop.log, self.shop.timers, lambda: 1e9, lambda *_: None, self._say, lambda _: None
        )

    def _say(self, message: object) -> None:
        _TO_MASTER.encode(message)
        assert isinstance(message, Keep)
        self.notes.append(message.note)

    def begin(self, note: str = "") -> None:
        policy = ServicePolicy(1, Limits(), Access(), ProxyProtocol(), "", "", note)
        self.policies.told(self.shop.service, policy)


@clocked
async def test_the_next_acceptor_goes_on_counting() -> None:
    with Workshop() as shop:
        life = Life(shop)
        life.begin()
        shop.service.accepted = 7
        shop.service.refused[Reason.RATE] = 3
        life.policies.leave_counts()
    with Workshop() as shop:
        Life(shop).begin(life.notes[-1])
        shop.service.accepted += 1
        assert shop.service.accepted == 8
        assert shop.service.refused == {Reason.RATE: 3}


@clocked
async def test_nothing_is_left_while_nothing_is_counted() -> None:
    with Workshop() as shop:
        life = Life(shop)
        life.begin()
        shop.service.accepted = 7
        life.policies.leave_counts()
        life.policies.leave_counts()
        assert len(life.notes) == 1
    with Workshop() as shop:
        heir = Life(shop)
        heir.begin(life.notes[-1])
        heir.policies.leave_counts()
        assert heir.notes == []


@clocked
async def test_what_is_tuned_is_left_at_once_and_stays_when_more_is_counted() -> None:
    with Workshop() as shop:
        life = Life(shop)
        life.begin()
        shop.service.accepted = 7
        life.policies.tune(shop.service, {"limits.rate": "5/s"}, None, saved=False)
        assert len(life.notes) == 1
        shop.service.accepted = 9
        life.policies.leave_counts()
    with Workshop() as shop:
        heir = Life(shop)
        heir.begin(life.notes[-1])
        assert shop.service.accepted == 9
        assert heir.policies.tuning(shop.service).values == {"limits.rate": "5/s"}


@pytest.mark.parametrize(
    "counted", ["[", '{"accepted": -1, "refused": {}}', '{"accepted": 1, "refused": {"x": 1}}']
)
@clocked
async def test_counts_that_are_none_are_given_up_with_a_word(counted: str) -> None:
    with Workshop() as shop:
        life = Life(shop)
        life.begin(f"\n{counted}")
        assert "what was counted is given up" in shop.logged()
        assert (shop.service.accepted, dict(shop.service.refused)) == (0, {})


def test_the_longest_note_fits_its_message() -> None:
    tuned = Tuning({"access.deny": ["x" * (MAX_NOTE_BYTES - 100)]})
    assert tuned.note_bytes <= MAX_NOTE_BYTES
    counts = Counts(2**53, dict.fromkeys(Reason, 2**53))
    note = json.dumps("x" * (MAX_NOTE_BYTES - tuned.note_bytes))
    assert _TO_MASTER.encode(Keep(1, f"{tuned.note()}{note}\n{counts}"))


@clocked
async def test_a_service_that_is_told_of_again_counts_nothing_twice() -> None:
    with Workshop() as shop:
        life = Life(shop)
        life.begin()
        shop.service.accepted = 7
        life.policies.leave_counts()
        life.begin(life.notes[-1])
        assert shop.service.accepted == 7


@clocked
async def test_names_are_looked_up_while_a_service_has_them_in_its_lists() -> None:
    asked: list[str] = []
    with Workshop() as shop:
        policies = Policies(
            shop.log,
            shop.timers,
            lambda: 1e9,
            lambda name, _: asked.append(name),
            lambda _: None,
            lambda _: None,
        )

        def tell(*deny: str) -> str:
            access = Access(deny=deny)
            policies.told(shop.service, ServicePolicy(1, Limits(), access, ProxyProtocol(), "", "", ""))
            return shop.service.unready

        assert tell("gw.example.net") == "names"
        assert tell("gw.example.net", "192.0.2.1") == "names"
        assert asked == ["gw.example.net"]
        assert tell("192.0.2.1") == ""
        assert tell("gw.example.net") == "names"  # forgotten meanwhile, so it is asked for anew
        policies.forget(shop.service)
        assert tell("other.example.net") == "names"
        assert asked == ["gw.example.net", "gw.example.net", "other.example.net"]
