"""What spawners say of connections that an earlier acceptor took, and those that say nothing any more."""

from __future__ import annotations

import socket

import trio
from helpers.clocked import clocked

from superd.acceptor.children import Children
from superd.acceptor.services import Child, SpawnerLink
from superd.acceptor.spawners import Requests, Spawners
from superd.policy.outcome import Outcome
from superd.wire.fds import Link, pair
from superd.wire.messages import Known, Peer, SpawnerUp, Told, Welcome
from superd.wire.table import Role

from .workshop import Workshop

A = Peer(int(socket.AF_INET), bytes([192, 0, 2, 1]), 1, bytes([198, 51, 100, 1]), 7)


@clocked
async def test_a_connection_that_was_never_started_counts_no_more_when_its_spawner_is_gone() -> None:
    with Workshop() as shop:
        children = Children(shop.log, shop.timers, shop.dispatch, lambda *_: None, lambda _: None)
        nothing = Requests(lambda *_: None, lambda *_: None, lambda *_: None)
        spawners = Spawners(2, shop.poller, children, nothing)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.poller.run, lambda: None)
            ours, theirs = pair()
            spawners.up(shop.service, SpawnerUp(1, 5, 4711, False), Link(ours, Role.ACCEPTOR, Role.SPAWNER))
            assert shop.service.unheard == {5}
            there = Link(theirs, Role.SPAWNER, Role.ACCEPTOR)
            for message in (Welcome(2), Known(((1, A),)), Told(), Known(((2, A),))):
                there.post(message)
            with trio.fail_after(5):
                while len(shop.service.children) < 2:
                    await trio.sleep(0.01)
            assert not shop.service.unheard
            assert shop.service.engine.open == 2
            spawner = spawners.down(shop.service, 5)
            nursery.cancel_scope.cancel()
            there.close()
        assert spawner is not None
        orphans = [child.id for child in shop.service.children.values() if child.spawner == spawner.number]
        children.lost(shop.service, orphans)
        assert shop.service.children == {} and shop.service.engine.open == 0
        assert shop.service.engine.total.open == 0


@clocked
async def test_a_child_whose_spawner_died_unnoticed_can_be_ended() -> None:
    """The kernel says that the spawner's end is gone before the master does: its children are lost soon."""
    with Workshop() as shop:
        children = Children(shop.log, shop.timers, shop.dispatch, lambda *_: None, lambda _: None)
        ours, theirs = pair()
        theirs.close()
        shop.service.spawners[5] = SpawnerLink(5, 4711, Link(ours, Role.ACCEPTOR, Role.SPAWNER))
        child = shop.service.children[1] = Child(1, "192.0.2.1", 1, pid=4712, spawner=5)
        children.end(shop.service, child, Outcome.TIMED_OUT)
        assert child.ending == "timed-out"


@clocked
async def test_only_what_an_earlier_acceptor_left_is_to_be_heard_before_others_are_taken() -> None:
    with Workshop() as shop:
        children = Children(shop.log, shop.timers, shop.dispatch, lambda *_: None, lambda _: None)
        spawners = Spawners(2, shop.poller, children, Requests(*3 * [lambda *_: None]))
        ends = [pair(), pair()]
        for number, (ours, _) in enumerate(ends):
            spawners.up(
                shop.service, SpawnerUp(1, number, 4711, False), Link(ours, Role.ACCEPTOR, Role.SPAWNER)
            )
            spawners.taking_over = False
        assert shop.service.unheard == {0}
        spawners.down(shop.service, 0)
        assert not shop.service.unheard
        for _, theirs in ends:
            theirs.close()
