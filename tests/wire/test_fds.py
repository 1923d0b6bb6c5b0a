"""Links carry messages with descriptors: none is lost, mixed up, leaked or closed twice."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.forked import descriptors, in_child

from superd.errors import WireError
from superd.wire.fds import PACKET_BYTES, Link, close_all, pair, receive_packet, send_packet
from superd.wire.messages import ListenerDown, ListenerUp, Ping, Ready, ReloadResult, Serve, SpawnerWanted
from superd.wire.table import Phase, Role

NEWS = ListenerUp(1, 0, "tcp://*:21", False)
FILLER = ListenerDown(1, 0, "tcp://*:21", "x" * 4000)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = pair()
    with one, other:
        yield one, other


@pytest.fixture
def links() -> Iterator[tuple[Link, Link]]:
    """The master's end and the acceptor's."""
    one, other = pair()
    master, acceptor = Link(one, Role.MASTER, Role.ACCEPTOR), Link(other, Role.ACCEPTOR, Role.MASTER)
    yield master, acceptor
    master.close()
    acceptor.close()


def fill(link: Link) -> int:
    """Say something until the kernel takes no more; returns how often."""
    times = 0
    while not link.wants_write:
        link.post(FILLER)
        times += 1
    return times


def inode(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino


def exists(descriptor: int) -> bool:
    return descriptor in descriptors()


def drain(sender: Link, receiver: Link, messages: int) -> list[tuple[object, list[int]]]:
    """Everything that is under way."""
    got: list[tuple[object, list[int]]] = []
    while len(got) < messages:
        before = len(got)
        got += [(received.message, received.descriptors) for received in receiver.receive()]
        was_waiting = sender.wants_write
        sender.flush()
        assert len(got) > before or was_waiting, "messages got lost"
    return got


# --- packets ---


def test_descriptors_arrive_in_order_and_closed_on_exec(
    ends: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    files = [os.open(tmp_path / str(number), os.O_CREAT | os.O_RDWR) for number in range(253)]
    for descriptor in files:
        os.set_inheritable(descriptor, True)
    send_packet(ends[0], b"x", files)
    data, received = receive_packet(ends[1])
    assert data == b"\0x"
    assert [inode(descriptor) for descriptor in received] == [inode(descriptor) for descriptor in files]
    assert not any(os.get_inheritable(descriptor) for descriptor in received)
    close_all(received)
    close_all(files)


@pytest.mark.parametrize("room", [0, 1, 3])
def test_descriptors_that_find_no_room_are_noticed_and_none_is_kept(room: int) -> None:
    """Else the next connection's socket would be taken for the one that is missing."""

    def receive_with_room() -> tuple[str, bool]:
        one, other = pair()
        send_packet(one, b"x", [0] * 4)
        before = descriptors()
        resource.setrlimit(resource.RLIMIT_NOFILE, (_lowest_free(before, room), 4096))
        with pytest.raises(WireError) as caught:
            receive_packet(other)
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))  # to be able to look
        return str(caught.value), descriptors() == before

    assert in_child(receive_with_room) == ("descriptors were cut off", True)


def _lowest_free(taken: set[int], room: int) -> int:
    """The limit under which exactly ``room`` more descriptors can be had."""
    limit = 0
    while limit - len([number for number in taken if number < limit]) < room:
        limit += 1
    while limit in taken:
        limit += 1
    return limit


def test_a_packet_that_is_too_long_is_noticed(ends: tuple[socket.socket, socket.socket]) -> None:
    with open("/dev/null", "rb") as file:
        ends[0].sendmsg([b"x" * (PACKET_BYTES + 1)])
        send_packet(ends[0], b"x", [file.fileno()])
    before = descriptors()
    with pytest.raises(WireError, match="too long"):
        receive_packet(ends[1])
    with pytest.raises(WireError, match="too long"):
        receive_packet(ends[1], 1)
    assert descriptors() == before


def test_an_empty_link_says_so(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(BlockingIOError):
        receive_packet(ends[1])


# --- links ---


def test_both_ends_hear_each_other(links: tuple[Link, Link]) -> None:
    master, acceptor = links
    master.post(Serve())
    master.post(Ping(3))
    acceptor.post(SpawnerWanted(7))
    assert [received.message for received in acceptor.receive()] == [Serve(), Ping(3)]
    assert [received.message for received in master.receive()] == [SpawnerWanted(7)]
    assert list(master.receive()) == []


def test_a_long_message_travels_in_parts_with_its_descriptors_at_the_end(links: tuple[Link, Link]) -> None:
    master, acceptor = links
    long = ReloadResult(1, False, tuple(str(number) * 1000 for number in range(900)))
    master.post(long)
    assert master.wants_write, "it was to be longer than the kernel's queue"
    with open("/dev/null", "rb") as file:
        master.post(NEWS, [file.fileno()])
        number = inode(file.fileno())
    got = drain(master, acceptor, 2)
    assert got[0] == (long, [])
    assert got[1][0] == NEWS
    assert [inode(descriptor) for descriptor in got[1][1]] == [number]
    close_all(got[1][1])


def test_a_full_queue_keeps_messages_and_descriptors(links: tuple[Link, Link], tmp_path: Path) -> None:
    """The owner may close its own at once: what waits, waits with a copy."""
    master, acceptor = links
    sent = fill(master)
    numbers = []
    before = descriptors()
    for name in ("one", "two"):
        with open(tmp_path / name, "wb") as file:
            master.post(NEWS, [file.fileno()])
            numbers.append(inode(file.fileno()))
    assert len(descriptors() - before) == 2, "a copy of each waits"
    got = drain(master, acceptor, sent + 2)
    assert [message for message, _ in got] == [FILLER] * sent + [NEWS] * 2
    received = [descriptor for _, each in got for descriptor in each]
    assert [inode(descriptor) for descriptor in received] == numbers
    close_all(received)
    assert descriptors() == before


def test_what_is_to_be_closed_is_closed_once_it_is_sent_and_once_only(links: tuple[Link, Link]) -> None:
    master, acceptor = links
    given = os.open("/dev/null", os.O_RDONLY)
    master.post(NEWS, [given], close=True)
    assert not exists(given)
    reopened = os.open("/dev/zero", os.O_RDONLY)
    assert reopened == given, "the number is used again"
    for received in acceptor.receive():
        close_all(received.descriptors)
    master.close()
    assert exists(reopened)
    os.close(reopened)


@pytest.mark.parametrize("end", ["discard", "close"])
def test_what_waits_is_closed_with_the_link(links: tuple[Link, Link], end: str) -> None:
    master, _ = links
    fill(master)
    before = descriptors()
    with open("/dev/null", "rb") as lent:
        given = os.open("/dev/null", os.O_RDONLY)
        master.post(NEWS, [given], close=True)
        master.post(NEWS, [lent.fileno()])
        assert exists(given)
        getattr(master, end)()
        assert exists(lent.fileno()), "what was lent is its owner's"
    assert descriptors() <= before
    assert not master.wants_write


def test_the_end_of_the_other_side_is_heard_after_all_it_said(links: tuple[Link, Link]) -> None:
    master, acceptor = links
    acceptor.post(SpawnerWanted(1))
    acceptor.close()
    heard = []
    with pytest.raises(EOFError):
        for received in master.receive():
            heard.append(received.message)
    assert heard == [SpawnerWanted(1)]
    with pytest.raises(OSError) as caught:
        master.post(Serve())
    assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)


# --- the other side breaks the rules ---


def test_descriptors_that_the_table_does_not_allow_are_closed(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    link = Link(ends[0], Role.MASTER, Role.ACCEPTOR)
    before = descriptors()
    send_packet(ends[1], bytes((21,)) + b"[1]", [0, 1])
    with pytest.raises(WireError, match="2 descriptors"):
        list(link.receive())
    assert descriptors() == before


def test_the_phase_of_a_link_decides_what_it_hears(links: tuple[Link, Link]) -> None:
    master, acceptor = links
    master.phase = Phase.STARTING
    acceptor.post(Ready())
    assert [received.message for received in master.receive()] == [Ready()]
    acceptor.post(SpawnerWanted(1))
    with pytest.raises(WireError, match="SpawnerWanted while starting"):
        list(master.receive())


def test_a_message_without_end_is_cut_short(ends: tuple[socket.socket, socket.socket]) -> None:
    """A spawner may say 16 KiB to the master at the most: parts of more than that are not even collected."""
    link = Link(ends[0], Role.MASTER, Role.SPAWNER)
    for _ in range(5):
        ends[1].sendmsg([b"\1" + b"x" * 4000])
    with pytest.raises(WireError, match="too long"):
        list(link.receive())


def test_descriptors_of_a_message_without_end_are_closed_with_the_link(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    before = descriptors()
    link = Link(ends[0], Role.ACCEPTOR, Role.MASTER)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"\0\0\0\0" * 200)]
    for _ in range(2):
        ends[1].sendmsg([b"\1x"], rights)
    with pytest.raises(WireError, match="too long"):
        list(link.receive())
    assert len(descriptors() - before) == 400
    link.close()
    assert descriptors() <= before
