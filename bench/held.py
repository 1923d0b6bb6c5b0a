"""Thousands of connections that stay open, each held by a child that sleeps."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import socket
import time
from contextlib import ExitStack, suppress
from functools import partial

from attrs import define, field, frozen
from figures import Figure, Findings, tell
from measure import run_rounds
from peers import AbsentError, Peer, Site, bare, openbsd_inetd, superd, tcpserver, xinetd
from processes import comm, family, is_listening, processes, pss_kib
from programs import MissingError
from report import progress
from running import NotServingError, free_port, serving
from workplace import Workplace, workplace

HELD = 10_000
OTHERS = 500
"""Descriptors and processes that are not a connection's."""

AHEAD = 400
"""Connections whose children may be on their way: fewer than any peer's backlog, or the kernel would drop some."""

PATIENCE_S = 20.0
MOST_S = 12.0
"""For one super-server: who is slower holds fewer."""
SLEEP = "/bin/sleep"

COUNT = Figure("connections held", "", is_cost=False, digits=0)
RATE = Figure("children started a second, until 99 of 100 sleep", "conn/s", is_cost=False, digits=0)
MEMORY = Figure("memory of the super-server's own processes, each connection", "KiB", digits=2)

_LIMITS = """
[services.echo.limits]
max_connections = "infinity"
max_connections_per_source = "infinity"
"""

ROWS = (
    Peer("superd", "superd, text log", partial(superd, limits=_LIMITS, total="infinity")),
    Peer("xinetd-log", "xinetd, log", partial(xinetd, log_on_success="PID HOST EXIT DURATION"), "xinetd"),
    Peer("openbsd-inetd", "openbsd-inetd", openbsd_inetd, "openbsd-inetd"),
    Peer("tcpserver", "tcpserver (ucspi-tcp)", tcpserver, "ucspi-tcp"),
    Peer("bare", "bare C loop", bare),
)


@frozen
class Held:
    """What one super-server did: how many it held, children a second, and KiB a connection."""

    count: int
    rate: float
    kib: float


def most_held() -> int:
    """As many as this process may have open, and a user may run."""
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    most_processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    bounds = [HELD, most_files - OTHERS]
    if most_processes != resource.RLIM_INFINITY:
        bounds.append(most_processes - OTHERS)
    return min(bounds)


@define
class Sleepers:
    """Every process of one program, found by its name, which no other has: the machine may run anything beside."""

    name: str
    _others: frozenset[int] = field(factory=processes)
    _found: set[int] = field(factory=set)

    def pids(self) -> set[int]:
        """Those that there are. One that was found, or was there before them all, is not asked for its name again."""
        unknown = processes() - self._others - self._found
        self._found.update(pid for pid in unknown if comm(pid) == self.name)
        return self._found

    def wait_for(self, wanted: int) -> None:
        """Until there are so many.

        Raises:
            NotServingError: no further one came for long.
        """
        most, deadline = 0, time.monotonic() + PATIENCE_S
        while (found := len(self.pids())) < wanted:
            if found > most:
                most, deadline = found, time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                raise NotServingError(f"{found} of {wanted} children were started")
            time.sleep(0.005)


def _measure(place: Workplace, python: str, count: int, row: Peer) -> Held:
    folder = place.directory / row.name
    folder.mkdir(exist_ok=True)
    program = folder / f"held{os.getpid()}"
    shutil.copy(SLEEP, program)
    service = (str(program), "300")
    site = Site(folder, free_port(), place.programs, place.packages, python, service)
    sleepers = Sleepers(program.name)
    with ExitStack() as stack:
        launch, output = row.launch(site), folder / "output"
        pid = stack.enter_context(serving(launch, site.port, output, lambda port: is_listening({port})))
        try:
            stack.enter_context(_connection(site.port))
            sleepers.wait_for(1)
            return _hold(pid, site.port, count, sleepers, stack)
        finally:
            for child in sleepers.pids():  # that its client is gone none of them notices
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)


def _hold(pid: int, port: int, count: int, sleepers: Sleepers, stack: ExitStack) -> Held:
    """Opens that many connections, or as many as there is time for, and waits until each has its child."""
    own = {one.pid for one in family(pid)} - sleepers.pids()
    before, began = pss_kib(own), time.monotonic()
    held = 0
    while held < count and time.monotonic() < began + MOST_S:
        stack.enter_context(_connection(port))
        held += 1
        if held % (AHEAD // 2) == 0:
            sleepers.wait_for(_nearly(held) - AHEAD // 2)
    sleepers.wait_for(_nearly(held))
    took = time.monotonic() - began
    own |= {one.pid for one in family(pid)} - sleepers.pids()
    return Held(held, held / took, (pss_kib(own) - before) / held)


def _nearly(held: int) -> int:
    """How many children are waited for: one in a hundred may have been ended by something else."""
    return held - held // 100


def _connection(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def measure_held(name: str, arguments: argparse.Namespace) -> bool:
    """Measures, prints and saves; returns whether everyone who is installed took part."""
    count = min(arguments.connections or HELD, most_held())
    rows = {row.name: row for row in ROWS if not arguments.peer or row.name in arguments.peer}
    with workplace(rows.values(), arguments.cache) as place:
        left_out: dict[str, str] = {}
        failed = False

        def measure(row: str) -> Held | None:
            nonlocal failed
            try:
                return _measure(place, arguments.python, count, rows[row])
            except AbsentError as reason:
                left_out[row] = str(reason)
            except NotServingError as reason:
                left_out[row], failed = str(reason), True
            return None

        found = run_rounds(list(rows), 1, measure, progress, warm_up=False)
        versions = place.packages.versions
    held = {row: [one for one in own if one is not None] for row, own in found.items()}
    if not any(held.values()):
        raise MissingError(f"nothing to measure: {left_out}")
    figures = (
        (COUNT, {row: [float(one.count) for one in own] for row, own in held.items()}),
        (RATE, {row: [one.rate for one in own] for row, own in held.items()}),
        (MEMORY, {row: [one.kib for one in own] for row, own in held.items()}),
    )
    titles = {row: peer.title for row, peer in rows.items()}
    notes = (f"{count:,} connections, or what {MOST_S:g} s were enough for, each with a child that sleeps",)
    tell(Findings(name, titles, figures, notes, left_out, versions), arguments.results, arguments.name)
    return not failed
