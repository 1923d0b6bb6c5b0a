"""A spawner's memory of its children, and what it owes the acceptor about them.

Every event goes out in a numbered report and is kept until the acceptor has acknowledged it as logged. A new
acceptor says ``Hello`` and gets it all again: a ``Started`` for each child that lives, then what was never
acknowledged. So nothing that ends while no acceptor listens is lost.
"""

from __future__ import annotations

import os
import resource
from collections import deque

from attrs import frozen

from superd.wire.messages import MAX_BATCH, MAX_EVENTS, Ended, Event, Failed, Known, Peer, Report, Started


@frozen
class Child:
    """A child that lives."""

    id: int
    pid: int
    started: float


class Children:
    """Children by pid and by id, and the reports about them."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Child] = {}
        self._by_id: dict[int, Child] = {}
        self._events: list[Event] = []
        self._unlogged: deque[Report] = deque()
        self._peers: dict[int, Peer] = {}  # of every child that lives or is not logged as ended
        self._number = 0
        self._own_peak_kib = 0

    def __len__(self) -> int:
        return len(self._by_pid)

    @property
    def settled(self) -> bool:
        """No child lives and the acceptor has logged all there was."""
        return not (self._by_pid or self._events or self._unlogged)

    def find(self, id_: int) -> Child | None:
        return self._by_id.get(id_)

    def all(self) -> list[Child]:
        return list(self._by_pid.values())

    def started(self, id_: int, pid: int, now: float, peer: Peer | None = None) -> None:
        """A child runs; an instance has no peer."""
        child = Child(id_, pid, now)
        self._by_pid[pid] = self._by_id[id_] = child
        if peer is not None:
            self._peers[id_] = peer
        self._events.append(Started(id_, pid, now))

    def failed(self, id_: int, errno: int, now: float) -> None:
        self._events.append(Failed(id_, errno, now))

    def reap(self, now: float) -> bool:
        """Collect every child that has ended; True when there was one.

        Descendants that daemons left behind are not ours to collect: they are the master's, the subreaper.
        """
        found = False
        while self._by_pid:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                break
            found = True
            child = self._by_pid.pop(pid, None)
            if child is not None:
                del self._by_id[child.id]
                cpu = usage.ru_utime + usage.ru_stime
                peak = self._peak_bytes(usage.ru_maxrss)
                self._events.append(Ended(child.id, pid, status, cpu, peak, child.started, now))
        return found

    def _peak_bytes(self, max_rss_kib: int) -> int:
        """A child's peak memory, 0 when unknown: exec counts the memory of the image it replaces (kernel
        fs/exec.c, exec_mmap), which is the spawner's own, so anything up to that says nothing."""
        if max_rss_kib <= self._own_peak_kib:
            return 0
        self._own_peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return max_rss_kib * 1024 if max_rss_kib > self._own_peak_kib else 0

    def reports(self) -> list[Report]:
        """New reports to send, for all that happened since the last call."""
        fresh = []
        while self._events:
            self._number += 1
            report = Report(self._number, tuple(self._events[:MAX_EVENTS]))
            del self._events[:MAX_EVENTS]
            fresh.append(report)
        self._unlogged.extend(fresh)
        return fresh

    def replay(self) -> tuple[list[Known], list[Report]]:
        """For an acceptor that knows nothing: who is served, the living, then all that was never logged."""
        pending = [event for report in self._unlogged for event in report.events] + self._events
        self._unlogged.clear()
        ended = [event for event in pending if not isinstance(event, Started)]
        began = [Started(child.id, child.pid, child.started) for child in self._by_pid.values()]
        began += [Started(event.id, event.pid, event.started) for event in ended if isinstance(event, Ended)]
        self._events = [*began, *ended]
        peers = list(self._peers.items())
        known = [Known(tuple(peers[cut : cut + MAX_BATCH])) for cut in range(0, len(peers), MAX_BATCH)]
        return known, self.reports()

    def logged(self, number: int) -> None:
        """The acceptor has written everything up to this report to the log."""
        while self._unlogged and self._unlogged[0].number <= number:
            for event in self._unlogged.popleft().events:
                if not isinstance(event, Started):
                    self._peers.pop(event.id, None)
