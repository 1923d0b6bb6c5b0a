"""Listeners that are left to the kernel while their service queues, and that are always looked at again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic_ns

import trio
from attrs import define, evolve, field
from helpers.clocked import clocked

from superd.acceptor.datagrams import Datagrams
from superd.acceptor.entrances import Entrances
from superd.acceptor.idle import Idle
from superd.acceptor.instances import Instances
from superd.acceptor.services import Listener, Service
from superd.acceptor.timers import Timers
from superd.policy.decision import Client
from superd.policy.outcome import Outcome
from superd.policy.rules import NS_PER_S, UNLIMITED, Limits, OnExcess, Rate

from .test_accept import tcp
from .workshop import Workshop

DAY = 86_400 * NS_PER_S
QUEUE = Limits(UNLIMITED, UNLIMITED, on_excess=OnExcess.QUEUE)


@define(eq=False)
class Porch:
    """A service that queues, and its one listener."""

    shop: Workshop
    listener: Listener
    entrances: Entrances = field(init=False)

    def __attrs_post_init__(self) -> None:
        shop, poll = self.shop, lambda service: self.entrances.poll(service)
        datagrams = Datagrams(
            shop.log,
            shop.timers,
            shop.poller,
            shop.dispatch,
            shop.accepting,
            shop.refusals,
            lambda *_: None,
            poll,
        )
        instances = Instances(shop.log, shop.timers, shop.dispatch, shop.accepting, shop.refusals, poll)
        idle = Idle(shop.poller, shop.timers, lambda _: None)
        self.entrances = Entrances(
            shop.poller, shop.timers, shop.dispatch, shop.accepting, datagrams, instances, idle, lambda: True
        )

    @property
    def service(self) -> Service:
        return self.shop.service

    def retune(self, limits: Limits) -> None:
        engine = self.service.engine
        engine.retune(limits, engine.access_rules, engine.proxy_protocol, monotonic_ns())
        self.entrances.poll(self.service)

    def enter(self, id_: int) -> None:
        assert self.service.engine.offer(Client(id_, 4, id_), monotonic_ns()).admitted
        self.entrances.poll(self.service)


@asynccontextmanager
async def porch(limits: Limits) -> AsyncIterator[Porch]:
    with Workshop(timers=Timers()) as shop:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.timers.run, lambda: None)
            made = Porch(shop, shop.listen(tcp()))
            made.retune(limits)
            yield made
            nursery.cancel_scope.cancel()


@clocked
async def test_what_was_waited_for_under_another_rate_is_not_waited_for() -> None:
    """A token of one a day is a day away. The next token of the rate that was tuned then is not."""
    async with porch(evolve(QUEUE, rate=Rate(1, DAY))) as at:
        at.enter(1)
        assert not at.listener.polled
        at.retune(evolve(QUEUE, max_connections=2))
        assert at.listener.polled
        at.enter(2)
        assert not at.listener.polled
        at.service.engine.ended(1, Outcome.CLEAN, monotonic_ns())  # and nobody polls because of it
        await trio.sleep(1)
        assert at.listener.polled


@clocked
async def test_a_token_of_another_rate_is_waited_for_no_longer_than_that_says() -> None:
    async with porch(evolve(QUEUE, rate=Rate(1, DAY))) as at:
        at.enter(1)
        at.retune(evolve(QUEUE, rate=Rate(1, NS_PER_S // 4)))
        assert not at.listener.polled, "what was taken stays taken"
        left = min(when for when, _, timer in at.shop.timers._heap if timer.call) - trio.current_time()
        assert left < 1


@clocked
async def test_a_service_that_is_gone_is_not_looked_at_again() -> None:
    async with porch(evolve(QUEUE, max_connections=1)) as at:
        at.enter(1)
        at.entrances.close(at.service)
        at.entrances.poll(at.service)
        await trio.sleep(10)
        assert len(at.shop.timers) == 0


@clocked
async def test_nobody_is_taken_before_an_earlier_acceptors_spawners_have_said_whom_they_serve() -> None:
    """Else those that they serve, and that ended meanwhile, would be counted against who comes now."""
    async with porch(Limits()) as one:
        one.service.unheard = {5}
        one.entrances.poll(one.service)
        assert not one.listener.polled
        one.service.unheard.discard(5)
        one.entrances.poll(one.service)
        assert one.listener.polled
