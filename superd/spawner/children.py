"""A spawner's memory of its children, and what it owes the acceptor about them.

Every event goes out in a numbered report and is kept until the acceptor has acknowledged it as logged. A new
acceptor says ``Hello`` and gets it all again: a ``Started`` for each child that lives, then what was never
acknowledged. So nothing that ends while no acceptor listens is lost.
"""

from __future__ import annotations

import math
import os
import resource
from collections import deque

from attrs import frozen

from superd.kernel.namespaces import OuterPids
from superd.policy.strays import Strays
from superd.wire.messages import MAX_BATCH, MAX_EVENTS, Ended, Event, Failed, Known, Peer, Report, Started

PATIENCE_S = 0.004
"""How long an event may wait for others to share its packet; most children start and end in that time."""

URGENT_EVENTS = 16
"""That many wait for nothing: credits are few."""

PEAK_MARGIN_KIB = 512
"""How far the spawner's own memory may grow before it is measured again."""


@frozen
class Child:
    """A child that lives.

    Args:
        pid: as the spawner knows it.
        shown: as the rest of the machine does; another one in a pid namespace.
    """

    id: int
    pid: int
    started: float
    shown: int


class Children:
    """Children by pid and by id, and the reports about them.

    Args:
        strays: what the children leave behind, where the spawner adopts that.
        pids: of a spawner that is the init of a pid namespace, and so adopts everything.
        caller: pid of the process that forks them and collects them, where it is not this one.
    """

    def __init__(self, strays: Strays | None = None, pids: OuterPids | None = None, caller: int = 0) -> None:
        self._caller = caller
        self._strays = strays
        self._pids = pids
        self._by_pid: dict[int, Child] = {}
        self._by_id: dict[int, Child] = {}
        self._events: list[Event] = []
        self._unlogged: deque[Report] = deque()
        self._peers: dict[int, Peer] = {}  # of every child that lives or is not logged as ended
        self._number = 0
        self._own_peak_kib = 0
        self._oldest = 0.0

    def __len__(self) -> int:
        return len(self._by_pid)

    @property
    def settled(self) -> bool:
        """No child lives and the acceptor has logged all there was."""
        return not (self._by_pid or self._events or self._unlogged)

    def find(self, id_: int) -> Child | None:
        return self._by_id.get(id_)

    def has(self, pid: int) -> bool:
        return pid in self._by_pid or pid == self._caller

    def all(self) -> list[Child]:
        return list(self._by_pid.values())

    @property
    def oldest(self) -> float:
        """When the oldest child that lives began; infinity for none."""
        return next((child.started for child in self._by_pid.values()), math.inf)

    def started(self, id_: int, pid: int, now: float, peer: Peer | None = None) -> int:
        """A child runs; an instance has no peer. Returns its pid as it is shown."""
        shown = self._pids.of(pid) if self._pids else pid
        child = Child(id_, pid, now, shown)
        self._by_pid[pid] = self._by_id[id_] = child
        if peer is not None:
            self._peers[id_] = peer
        self._note(Started(id_, shown, now), now)
        return shown

    def failed(self, id_: int, errno: int, now: float) -> None:
        self._note(Failed(id_, errno, now), now)

    def reap(self, now: float) -> list[int]:
        """Collect every child that has ended; returns their pids.

        Descendants that daemons left behind are ours to collect where the spawner adopts them; else they are the
        master's.
        """
        ended = []
        while self._by_pid or self._strays is not None or self._pids is not None:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._by_pid:
                ended.append(pid)
                cpu = usage.ru_utime + usage.ru_stime
                self.ended(pid, status, cpu, self._peak_bytes(usage.ru_maxrss), now)
        return ended

    def ended(self, pid: int, status: int, cpu: float, peak_bytes: int, now: float) -> None:
        """A child has ended, and was collected: here, or by the caller that forked it."""
        child = self._by_pid.pop(pid)
        del self._by_id[child.id]
        if self._strays is not None:
            self._strays.ended(child.started)
        self._note(Ended(child.id, child.shown, status, cpu, peak_bytes, child.started, now), now)

    def _note(self, event: Event, now: float) -> None:
        if not self._events:
            self._oldest = now
        self._events.append(event)

    def _peak_bytes(self, max_rss_kib: int) -> int:
        """A child's peak memory, 0 when unknown: exec counts the memory of the image it replaces (kernel
        fs/exec.c, exec_mmap), which is the spawner's own, so anything up to that says nothing."""
        if max_rss_kib <= self._own_peak_kib:
            return 0
        self._own_peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + PEAK_MARGIN_KIB
        return max_rss_kib * 1024 if max_rss_kib > self._own_peak_kib else 0

    @property
    def due(self) -> float | None:
        """When a report ought to go out; None while there is nothing to report."""
        if not self._events:
            return None
        return self._oldest if len(self._events) >= URGENT_EVENTS else self._oldest + PATIENCE_S

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
        began = [Started(child.id, child.shown, child.started) for child in self._by_pid.values()]
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
