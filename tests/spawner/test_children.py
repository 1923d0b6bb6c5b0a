"""What a spawner remembers of its children: everything, until the acceptor has logged it."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterable
from socket import AF_INET

import pytest
from helpers.forked import ended
from hypothesis import given
from hypothesis import strategies as st

from superd.spawner.children import PATIENCE_S, URGENT_EVENTS, Children
from superd.spawner.spawn import spawn
from superd.wire.messages import MAX_BATCH, MAX_EVENTS, Ended, Event, Failed, Known, Peer, Report, Started


def peer(number: int) -> Peer:
    return Peer(AF_INET, bytes((127, 0, 0, number % 256)), number, bytes(4), 21)


def run(program: str) -> int:
    """The pid of a real child that runs a shell's program, and has ended."""
    pid = spawn(b"/bin/sh", (b"sh", b"-c", program.encode()), {}, (0, 1, 2))
    ended(pid)
    return pid


def events(reports: Iterable[Report]) -> list[Event]:
    return [event for report in reports for event in report.events]


# --- ends of real children ---


@pytest.mark.parametrize(
    ("program", "status"), [("exit 0", 0), ("exit 3", 3 << 8), ("kill -TERM $$", int(signal.SIGTERM))]
)
def test_the_end_of_a_child_is_reported_as_the_kernel_tells_it(program: str, status: int) -> None:
    children = Children()
    pid = run(program)
    children.started(7, pid, 10.0, peer(1))
    assert children.reap(12.5) == [pid]
    began, end = events(children.reports())
    assert began == Started(7, pid, 10.0)
    assert isinstance(end, Ended)
    assert (end.id, end.pid, end.status, end.started, end.ended) == (7, pid, status, 10.0, 12.5)
    assert end.cpu >= 0.0
    assert len(children) == 0


def test_children_that_live_are_not_reaped() -> None:
    children = Children()
    reader, writer = os.pipe()
    pid = spawn(b"/bin/cat", (b"cat",), {}, (reader, 1, 2))
    os.close(reader)
    children.started(1, pid, 1.0)
    assert children.reap(2.0) == []
    assert [child.pid for child in children.all()] == [pid]
    os.close(writer)
    ended(pid)
    assert children.reap(3.0) == [pid]


def test_a_child_is_found_by_its_id_as_long_as_it_lives() -> None:
    children = Children()
    pid = run("exit 0")
    children.started(7, pid, 1.0)
    child = children.find(7)
    assert child is not None and child.pid == pid
    assert children.find(8) is None
    children.reap(2.0)
    assert children.find(7) is None


def test_processor_time_and_memory_are_the_childs_own() -> None:
    children = Children()
    program = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    children.started(1, run(program), 1.0)
    children.reap(2.0)
    _, end = events(children.reports())
    assert isinstance(end, Ended)
    assert end.cpu > 0.0
    assert end.max_rss == 0, "less than the spawner's own: exec counts that, so nothing is known"


# --- reports and acknowledgements ---


def test_nothing_is_reported_twice_nor_forgotten_before_it_is_logged() -> None:
    children = Children()
    assert children.reports() == []
    assert children.settled
    children.failed(1, errno.ENOENT, 1.0)
    assert not children.settled
    (first,) = children.reports()
    assert first == Report(1, (Failed(1, errno.ENOENT, 1.0),))
    assert children.reports() == []
    children.failed(2, errno.ENOENT, 2.0)
    (second,) = children.reports()
    assert second.number == 2
    children.logged(1)
    assert not children.settled
    children.logged(2)
    assert children.settled


def test_a_report_holds_no_more_than_a_packet_does() -> None:
    children = Children()
    for number in range(MAX_EVENTS * 2 + 1):
        children.failed(number, errno.EAGAIN, 1.0)
    sizes = [len(report.events) for report in children.reports()]
    assert sizes == [MAX_EVENTS, MAX_EVENTS, 1]


def test_a_report_waits_a_moment_for_company_and_not_once_it_is_large() -> None:
    children = Children()
    assert children.due is None
    for number in range(URGENT_EVENTS - 1):
        children.failed(number, errno.EAGAIN, 1.0 + number)
    assert children.due == 1.0 + PATIENCE_S
    children.failed(99, errno.EAGAIN, 99.0)
    assert children.due == 1.0
    children.reports()
    assert children.due is None


# --- a new acceptor ---


def test_a_new_acceptor_hears_of_the_living_and_of_ends_that_nobody_logged() -> None:
    children = Children()
    gone, unlogged, lives = run("exit 0"), run("exit 1"), os.getpid()
    children.started(1, gone, 1.0, peer(1))
    children.started(2, unlogged, 2.0, peer(2))
    children.failed(3, errno.ENOENT, 2.5)
    reported = children.reports()
    _reap_one_by_one(children)
    children.started(4, lives, 4.0, peer(4))
    reported += children.reports()
    children.logged(reported[-1].number)  # the ends of 1 and 2, the start of 4
    children.failed(5, errno.ENOENT, 5.0)
    known, reports = children.replay()
    assert known == [Known(((4, peer(4)),))]
    assert events(reports) == [Started(4, lives, 4.0), Failed(5, errno.ENOENT, 5.0)]


def _reap_one_by_one(children: Children) -> None:
    while children.reap(3.0):
        pass


def test_an_end_that_was_not_logged_is_told_with_its_start_and_peer() -> None:
    children = Children()
    pid = run("exit 1")
    children.started(2, pid, 2.0, peer(2))
    (first,) = children.reports()
    children.logged(first.number)  # the start is logged, by an acceptor that is gone now
    children.reap(3.0)
    children.reports()
    known, reports = children.replay()
    assert known == [Known(((2, peer(2)),))]
    began, end = events(reports)
    assert began == Started(2, pid, 2.0)
    assert isinstance(end, Ended) and end.pid == pid
    assert reports[0].number > first.number + 1, "an old acknowledgement cannot be taken for a new one"


def test_what_was_replayed_is_replayed_again_until_it_is_logged() -> None:
    children = Children()
    children.failed(1, errno.ENOENT, 1.0)
    _, first = children.replay()
    _, second = children.replay()
    assert events(first) == events(second)
    assert second[0].number == first[0].number + 1
    children.logged(first[-1].number)
    assert not children.settled
    children.logged(second[-1].number)
    assert children.replay() == ([], [])
    assert children.settled


def test_an_instance_serves_many_so_nobody_is_known_of_it() -> None:
    children = Children()
    children.started(1, os.getpid(), 1.0)
    known, reports = children.replay()
    assert known == []
    assert events(reports) == [Started(1, os.getpid(), 1.0)]


def test_peers_are_told_in_batches_that_fit_a_packet() -> None:
    children = Children()
    for number in range(MAX_BATCH + 1):
        children.started(number, 100_000 + number, 1.0, peer(number))
    known, _ = children.replay()
    assert [len(one.batch) for one in known] == [MAX_BATCH, 1]


@given(st.lists(st.sampled_from(["start", "fail", "report", "log", "replay"]), max_size=60))
def test_whatever_the_order_the_last_acceptor_hears_of_every_child_once(steps: list[str]) -> None:
    """Of every child that lives, and of every failure that was not logged before."""
    children = Children()
    heard: list[Report] = []
    logged: set[int] = set()
    failures = {step for step, name in enumerate(steps) if name == "fail"}
    for step, name in enumerate(steps):
        match name:
            case "start":
                children.started(step, 100_000 + step, float(step))
            case "fail":
                children.failed(step, errno.EIO, float(step))
            case "report":
                heard += children.reports()
            case "log":
                children.logged(heard[-1].number if heard else 0)
                logged |= failures & {event.id for event in events(heard)}
            case "replay":
                heard = children.replay()[1]
    heard += children.reports()
    ids = [event.id for event in events(heard)]
    assert len(ids) == len(set(ids))
    assert set(ids) | logged == {step for step, name in enumerate(steps) if name in ("start", "fail")}
