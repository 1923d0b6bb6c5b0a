"""wait and always: one instance at a time, started when it is due, and again after its end or a pause."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field
from helpers.clocked import clocked

from superd.acceptor.backoff import QUICK_ENDS, delay
from superd.acceptor.instances import Instances
from superd.acceptor.services import Service, SpawnerLink
from superd.policy.outcome import Outcome
from superd.policy.rules import NS_PER_S, Limits, Rate
from superd.wire.fds import Link, pair
from superd.wire.messages import StartInstance
from superd.wire.table import Role

from .test_accept import tcp
from .workshop import Workshop


@define(eq=False)
class Scene:
    """A service of one instance; the test speaks for its spawners."""

    shop: Workshop
    instances: Instances
    spawners: dict[int, Link] = field(factory=dict)  # their ends

    @property
    def service(self) -> Service:
        return self.shop.service

    def spawner(self, number: int, *, told: bool = True) -> None:
        """A spawner is up, and has said all it knows or not yet."""
        ours, theirs = pair()
        link = Link(ours, Role.ACCEPTOR, Role.SPAWNER)
        self.service.spawners[number] = SpawnerLink(number, 100 + number, link, welcomed=True, told=told)
        self.service.asked_for_spawner = False
        self.spawners[number] = Link(theirs, Role.SPAWNER, Role.ACCEPTOR)

    def started(self, number: int = 1) -> list[StartInstance]:
        """What spawner ``number`` was asked to start since the last time."""
        return [received.message for received in self.spawners[number].receive()]

    def wake(self, position: int = 0) -> None:
        self.instances.woken(self.service.listeners[position])

    def end(self, outcome: Outcome = Outcome.CLEAN, lasted_s: float = 5.0) -> None:
        """The instance ends, as ``children`` tells it."""
        self.service.children.pop(self.service.instance)
        self.service.instance = 0
        self.instances.ended(self.service, lasted_s, outcome)


@asynccontextmanager
async def scene(mode: str, listeners: int = 1) -> AsyncIterator[Scene]:
    with Workshop(mode) as shop:
        for _ in range(listeners):
            shop.listen(tcp())
        instances = Instances(
            shop.log, shop.timers, shop.dispatch, shop.accepting, shop.refusals, lambda _: None
        )
        made = Scene(shop, instances)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.timers.run, lambda: None)
            yield made
            nursery.cancel_scope.cancel()
        for link in made.spawners.values():
            link.close()


@clocked
async def test_what_wakes_a_wait_service_has_a_spawner_started_and_then_the_instance() -> None:
    async with scene("wait", listeners=2) as at:
        at.wake(1)
        at.wake(1)
        assert at.shop.wanted == 1
        assert at.instances.is_due(at.service)
        at.spawner(1)
        at.instances.consider(at.service)
        assert at.started() == [StartInstance(at.service.instance, 1)]
        assert not at.instances.is_due(at.service)


@clocked
async def test_there_is_never_a_second_instance() -> None:
    async with scene("wait") as at:
        at.spawner(1)
        at.wake()
        at.wake()
        at.instances.consider(at.service)
        assert len(at.started()) == 1
        at.end()
        assert at.started() == [], "a wait service waits to be woken"
        at.wake()
        assert len(at.started()) == 1
        assert at.service.accepted == 2


@pytest.mark.parametrize("told", [True, False])
@clocked
async def test_no_instance_is_started_while_one_may_run_under_a_spawner_that_has_not_told(told: bool) -> None:
    async with scene("wait") as at:
        at.spawner(1, told=told)
        at.service.spawners[1].retiring = True
        at.spawner(2)
        at.wake()
        assert len(at.started(2)) == (1 if told else 0)
        at.service.spawners[1].told = True
        at.instances.consider(at.service)
        assert len(at.started(2)) == (0 if told else 1)


@clocked
async def test_an_always_service_is_started_unasked_and_again_when_it_ends() -> None:
    async with scene("always") as at:
        at.spawner(1)
        at.instances.consider(at.service)
        assert len(at.started()) == 1
        at.end()
        await trio.sleep(0.01)
        assert len(at.started()) == 1


@clocked
async def test_failures_wait_longer_each_time_and_are_logged_once_it_takes_long() -> None:
    async with scene("always") as at:
        at.spawner(1)
        at.instances.consider(at.service)
        for failures in range(1, 7):
            assert len(at.started()) == 1
            at.end(Outcome.FAILED, 0.0)
            await trio.sleep(delay(failures) * 0.9)
            assert at.started() == []
            at.instances.consider(at.service)
            assert at.started() == [], "whoever asks meanwhile"
            await trio.sleep(delay(failures) * 0.2)
        assert at.shop.logged().count("its program failed; the next start waits") == 2


@pytest.mark.parametrize("outcome", [Outcome.SIGNALLED, Outcome.NEVER_STARTED, Outcome.LOST])
@clocked
async def test_every_bad_end_is_a_failure(outcome: Outcome) -> None:
    async with scene("wait") as at:
        at.spawner(1)
        at.wake()
        at.end(outcome)
        assert at.service.retry is not None


@pytest.mark.parametrize("outcome", [Outcome.CLEAN, Outcome.STOPPED, Outcome.TIMED_OUT])
@clocked
async def test_an_end_that_was_wanted_is_none(outcome: Outcome) -> None:
    async with scene("wait") as at:
        at.spawner(1)
        at.wake()
        at.end(outcome)
        assert at.service.retry is None


@clocked
async def test_a_program_that_leaves_what_woke_it_waits_from_the_fifth_time_on() -> None:
    async with scene("wait") as at:
        at.spawner(1)
        for _ in range(QUICK_ENDS):
            assert at.service.retry is None
            at.wake()
            at.end(lasted_s=0.01)
        assert at.service.retry is not None
        at.wake()
        assert len(at.started()) == QUICK_ENDS


@clocked
async def test_a_changed_service_starts_with_a_clean_record() -> None:
    async with scene("wait") as at:
        at.spawner(1)
        for _ in range(3):
            at.wake()
            at.end(Outcome.FAILED, 0.0)
            await trio.sleep(1)
        at.instances.forget(at.service)
        at.wake()
        at.end(Outcome.FAILED, 0.0)
        await trio.sleep(delay(1) * 1.1)
        assert at.service.retry is None


@clocked
async def test_nothing_is_started_while_superd_stops() -> None:
    async with scene("always") as at:
        at.spawner(1)
        at.instances.stopping = True
        at.instances.consider(at.service)
        assert at.started() == []


@clocked
async def test_a_start_that_waits_for_its_token_is_not_held_to_a_rate_that_holds_no_more() -> None:
    async with scene("wait") as at:
        engine = at.service.engine
        engine.retune(Limits(rate=Rate(1, 86_400 * NS_PER_S)), engine.access_rules, engine.proxy_protocol, 0)
        at.spawner(1)
        at.wake()
        at.end()
        at.wake()
        assert len(at.started()) == 1 and at.service.retry is not None
        engine.retune(Limits(), engine.access_rules, engine.proxy_protocol, 0)
        at.instances.consider(at.service)
        assert len(at.started()) == 1 and at.service.retry is None


@clocked
async def test_a_pause_after_failures_is_not_cut_short_by_another_rate() -> None:
    async with scene("wait") as at:
        at.spawner(1)
        at.wake()
        at.end(Outcome.FAILED)
        assert at.service.retry is not None
        at.instances.consider(at.service)
        assert at.service.retry is not None and len(at.started()) == 1


@clocked
async def test_a_spawner_that_died_unnoticed_takes_its_start_with_it_and_nobody_else() -> None:
    """The kernel says that its end is gone before the master does."""
    async with scene("wait") as at:
        at.spawner(1)
        at.spawners[1].close()
        at.wake()
        assert at.service.instance, "it is lost when the master tells"
