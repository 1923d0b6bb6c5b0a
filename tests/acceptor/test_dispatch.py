"""Connections reach a spawner, wait where they can, and are lost only with the spawner that had them."""

from __future__ import annotations

import os
import socket

import pytest
import trio
from helpers.clocked import clocked
from helpers.forked import descriptors

from superd.acceptor.backoff import delay
from superd.acceptor.dispatch import BEHIND, PARKED_RETRY_S, PRESSED
from superd.acceptor.services import SpawnerLink, State
from superd.wire.codec import encode_connection
from superd.wire.fds import Link, close_all, pair
from superd.wire.messages import Peer
from superd.wire.table import Role

from .workshop import Workshop, settings

PEER = Peer(int(socket.AF_INET), b"\x7f\0\0\1", 5, b"\x7f\0\0\1", 21)


def batch(*ids: int) -> list[tuple[int, bytes, int]]:
    """Connections as ``accept`` hands them over; /dev/null stands for the socket."""
    return [(id_, encode_connection(id_, PEER), os.open(os.devnull, os.O_RDWR)) for id_ in ids]


def send(shop: Workshop, *ids: int) -> None:
    shop.dispatch.send(shop.service, batch(*ids))


def arrived(shop: Workshop) -> list[int]:
    """The ids of the next batch, whose descriptors are closed."""
    got = shop.receive()
    close_all([descriptor for _, _, descriptor in got])
    return [id_ for id_, _, _ in got]


def crowd(shop: Workshop) -> int:
    """Send until the kernel takes no more; returns the number of connections that it took."""
    assert shop.service.work is not None
    shop.service.work.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel makes it its least
    sent = 0
    while not shop.service.parked:
        send(shop, sent + 1)
        sent += 1
    return sent - 1


# --- the usual ---


@clocked
async def test_a_connection_arrives_with_its_descriptor_and_ours_is_closed() -> None:
    with Workshop() as shop:
        before = descriptors()
        sent = batch(1, 2)
        inodes = [os.fstat(descriptor).st_ino for _, _, descriptor in sent]
        shop.dispatch.send(shop.service, sent)
        assert descriptors() == before
        got = shop.receive()
        assert [(id_, peer) for id_, peer, _ in got] == [(1, PEER), (2, PEER)]
        assert [os.fstat(descriptor).st_ino for _, _, descriptor in got] == inodes
        close_all([descriptor for _, _, descriptor in got])


@clocked
async def test_a_spawner_is_asked_for_once() -> None:
    with Workshop() as shop:
        send(shop, 1)
        send(shop, 2)
        assert shop.wanted == 1


@clocked
async def test_credits_bound_what_is_under_way_and_come_back_with_each_answer() -> None:
    with Workshop(credits=3) as shop:
        assert shop.dispatch.room(shop.service) == 3
        send(shop, 1, 2, 3)
        assert shop.dispatch.room(shop.service) == 0
        shop.dispatch.acknowledged(shop.service, 2)
        shop.dispatch.acknowledged(shop.service, 2)
        assert shop.dispatch.room(shop.service) == 1
        shop.dispatch.acknowledged(shop.service, 1)
        shop.dispatch.acknowledged(shop.service, 3)
        assert shop.dispatch.room(shop.service) == 3


# --- more than one spawner ---


def press(shop: Workshop, answers: int, behind: int) -> None:
    """So many answers, with ``behind`` under way each time."""
    for id_ in range(1, behind):
        send(shop, id_)
        arrived(shop)
    for id_ in range(behind, behind + answers):
        send(shop, id_)
        arrived(shop)
        shop.dispatch.acknowledged(shop.service, id_ - behind + 1)


def spawners_of(most: int, active: int) -> Workshop:
    shop = Workshop()
    shop.service.settings = settings(most_spawners=most)
    for number in range(1, active + 1):
        ours, theirs = pair()
        theirs.close()
        shop.service.spawners[number] = SpawnerLink(number, number, Link(ours, Role.ACCEPTOR, Role.SPAWNER))
    return shop


@clocked
async def test_another_spawner_is_asked_for_when_those_there_are_stay_behind_and_only_once() -> None:
    with spawners_of(most=3, active=1) as shop:
        press(shop, PRESSED, BEHIND - 1)
        assert shop.wanted == 0, "nobody waits for long"
    with spawners_of(most=3, active=1) as shop:
        press(shop, 3 * PRESSED, BEHIND + 1)
        assert shop.wanted == 1


@clocked
async def test_two_spawners_are_behind_with_twice_as_many() -> None:
    with spawners_of(most=3, active=2) as shop:
        press(shop, 2 * PRESSED, 2 * BEHIND - 1)
        assert shop.wanted == 0
    with spawners_of(most=3, active=2) as shop:
        press(shop, 2 * PRESSED, 2 * BEHIND + 1)
        assert shop.wanted == 1


@clocked
async def test_no_more_spawners_are_asked_for_than_there_may_be() -> None:
    with spawners_of(most=2, active=2) as shop:
        press(shop, 3 * PRESSED, 4 * BEHIND)
        assert shop.wanted == 0


@clocked
async def test_several_spawners_get_a_packet_each() -> None:
    with spawners_of(most=3, active=3) as shop:
        send(shop, 1, 2, 3, 4)
        assert [arrived(shop), arrived(shop)] == [[1, 2], [3, 4]]
        send(shop, 5, 6, 7, 8, 9, 10, 11)
        assert [arrived(shop), arrived(shop), arrived(shop)] == [[5, 6, 7], [8, 9, 10], [11]]


# --- a queue that is full ---


@clocked
async def test_what_the_kernel_will_not_carry_waits_and_goes_out_in_order() -> None:
    with Workshop() as shop:
        before = descriptors()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.timers.run, lambda: None)
            sent = crowd(shop)
            assert shop.dispatch.room(shop.service) == 0
            assert shop.polls == 1, "so its listeners are not polled"
            assert len(descriptors() - before) >= 1, "what is parked stays open"
            await trio.sleep(PARKED_RETRY_S * 3)
            assert shop.service.parked, "nobody has read"
            got = [id_ for _ in range(sent) for id_ in arrived(shop)]
            await trio.sleep(PARKED_RETRY_S * 1.5)
            got += arrived(shop)
            nursery.cancel_scope.cancel()
        assert got == list(range(1, sent + 2))
        assert shop.service.parked == []
        assert shop.dispatch.room(shop.service) == shop.credits - len(got)
        assert descriptors() == before


@clocked
async def test_parked_connections_can_be_dropped() -> None:
    with Workshop() as shop:
        sent = crowd(shop)
        before = descriptors()
        assert shop.dispatch.drop_parked(shop.service) == [sent + 1]
        assert len(before - descriptors()) == 1
        assert shop.dispatch.drop_parked(shop.service) == []


# --- a spawner dies ---


@clocked
async def test_what_a_dead_spawner_had_read_is_lost() -> None:
    with Workshop() as shop:
        send(shop, 1, 2)
        arrived(shop)
        shop.dispatch.acknowledged(shop.service, 1)
        shop.dispatch.spawner_died(shop.service)
        assert shop.lost == [2]
        assert shop.dispatch.room(shop.service) == shop.credits


@clocked
async def test_what_it_had_not_read_is_the_next_ones() -> None:
    with Workshop() as shop:
        send(shop, 1, 2)
        shop.dispatch.spawner_died(shop.service)
        assert shop.lost == []
        assert arrived(shop) == [1, 2]
        shop.dispatch.acknowledged(shop.service, 1)
        shop.dispatch.acknowledged(shop.service, 2)
        assert shop.lost == []
        assert shop.dispatch.room(shop.service) == shop.credits


@clocked
async def test_of_two_batches_the_one_that_was_read_is_lost_once_the_next_is_answered_for() -> None:
    with Workshop() as shop:
        send(shop, 1, 2)
        send(shop, 3, 4)
        assert arrived(shop) == [1, 2]
        shop.dispatch.spawner_died(shop.service)
        assert shop.lost == [], "which were read cannot be told yet"
        shop.dispatch.acknowledged(shop.service, 3)
        assert shop.lost == [1, 2]
        shop.dispatch.acknowledged(shop.service, 4)
        assert shop.lost == [1, 2]


@clocked
async def test_an_answer_for_a_later_connection_settles_all_before_it() -> None:
    with Workshop() as shop:
        send(shop, 1)
        send(shop, 2)
        arrived(shop)
        shop.dispatch.spawner_died(shop.service)
        send(shop, 3)
        shop.dispatch.acknowledged(shop.service, 3)
        assert shop.lost == [1, 2]


@clocked
async def test_a_spawner_that_had_nothing_loses_nothing() -> None:
    with Workshop() as shop:
        shop.dispatch.spawner_died(shop.service)
        assert shop.lost == []


# --- standing back ---


@pytest.mark.parametrize("failures", [1, 2, 5])
@clocked
async def test_after_failures_in_a_row_nothing_is_asked_for_until_the_delay_is_over(failures: int) -> None:
    with Workshop() as shop:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.timers.run, lambda: None)
            for _ in range(failures):
                again = trio.Event()
                began = trio.current_time()
                shop.dispatch.retry_later(shop.service, again.set)
                assert shop.dispatch.room(shop.service) == 0
                assert shop.service.state is State.RETRYING
                shop.dispatch.ensure_spawner(shop.service)
                assert shop.wanted == 0
                await again.wait()
            assert trio.current_time() - began == pytest.approx(delay(failures))
            nursery.cancel_scope.cancel()
        assert shop.dispatch.room(shop.service) == shop.credits
        assert shop.service.state is State.LISTENING


@clocked
async def test_a_pause_is_no_failure_and_what_was_sent_in_it_gets_its_spawner_afterwards() -> None:
    with Workshop() as shop:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.timers.run, lambda: None)
            shop.dispatch.pause(shop.service, 0.5, "out of something")
            shop.dispatch.pause(shop.service, 60, "out of something")
            send(shop, 1)  # accepted just before
            resting = shop.dispatch.room(shop.service), shop.wanted, shop.service.trouble
            assert resting == (0, 0, "out of something")
            await trio.sleep(0.6)
            assert (shop.wanted, shop.service.failures, shop.service.retry) == (1, 0, None)
            nursery.cancel_scope.cancel()
        assert arrived(shop) == [1]
