"""A kernel that has no room to watch another descriptor: whoever it belongs to waits, and nobody else notices."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define

from superd.acceptor.poller import Poller

from .pairs import in_trio, send_all, unix_pair
from .relay import address_of, backend, relay


@define
class FullEpoll:
    """An epoll in a kernel without room, until there is some.

    Args:
        error: what it answers to who wants something watched.
    """

    epoll: select.epoll
    error: int = errno.ENOSPC

    def register(self, descriptor: int, events: int) -> None:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.epoll.register(descriptor, events)

    def __getattr__(self, name: str) -> object:
        return getattr(self.epoll, name)


def fill(poller: Poller, error: int = errno.ENOSPC) -> FullEpoll:
    full = FullEpoll(poller._epoll, error)
    poller._epoll = full  # type: ignore[assignment]  # as far as the poller asks
    return full


@define
class Watched:
    """A poller without room, and what it was told of that."""

    poller: Poller
    epoll: FullEpoll
    errors: list[OSError]


@asynccontextmanager
async def crowded() -> AsyncIterator[Watched]:
    errors: list[OSError] = []
    poller = Poller(errors.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run, lambda: None)
        yield Watched(poller, fill(poller), errors)
        nursery.cancel_scope.cancel()
    poller._epoll.close()


@in_trio
async def test_what_there_was_no_room_for_is_watched_once_there_is() -> None:
    async with crowded() as at:
        one, other = unix_pair()
        told = trio.Event()
        with one, other:
            other.send(b"x")
            at.poller.watch(one.fileno(), told.set)
            assert [error.errno for error in at.errors] == [errno.ENOSPC]
            at.epoll.error = 0
            await told.wait()
            at.poller.forget(one.fileno())


@in_trio
async def test_what_is_wanted_of_it_may_change_while_it_waits_and_it_may_be_forgotten() -> None:
    async with crowded() as at:
        one, other = unix_pair()
        told, edges = trio.Event(), list[int]()
        with one, other:
            at.poller.watch(one.fileno(), told.set)
            at.poller.watch_writing(one.fileno(), True)
            at.poller.watch_edges(other.fileno(), edges.append)
            at.poller.forget(other.fileno())
            at.epoll.error = 0
            await told.wait()  # nothing can be read, but it can be written
            at.poller.forget(one.fileno())
            assert edges == []


@in_trio
async def test_another_error_is_a_mistake_and_leaves_nothing_behind() -> None:
    async with crowded() as at:
        at.epoll.error = 0
        with pytest.raises(OSError, match="Bad file descriptor"):
            at.poller.watch(1 << 20, lambda: None)
        at.poller.forget(1 << 20)


@in_trio
async def test_a_forward_that_finds_no_room_is_carried_when_there_is() -> None:
    with backend() as listening:
        async with relay(address_of(listening)) as one:
            full = fill(one.shop.poller, errno.ENOMEM)
            client = one.connect()
            await send_all(client, b"late")
            peer = await one.accept(listening)
            assert len(one.shop.crowded) == 1
            full.error = 0
            await trio.lowlevel.wait_readable(peer)
            assert peer.recv(10, socket.MSG_WAITALL) == b"late"
