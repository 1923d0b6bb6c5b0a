"""Thousands of connections that stay open, each held by a child that sleeps."""

from __future__ import annotations

import argparse
import resource
import signal
import socket
import time
from contextlib import ExitStack, suppress
from functools import partial

import psutil
from attrs import frozen
from figures import Figure, Findings, tell
from measure import run_rounds
from peers import AbsentError, Peer, Site, bare, openbsd_inetd, superd, tcpserver, xinetd
from processes import count_processes, family, is_listening, name_of, pss_kib
from programs import MissingError
from report import progress
from running import NotServingError, free_port, serving
from workplace import Workplace, workplace

HELD = 10_000
OTHERS = 500
"""Descriptors and processes that are not a connection's."""

AHEAD = 400
"""Connections whose children may be on their way: fewer than any peer's backlog, or the kernel would drop some."""

PATIENCE_S = 60.0
SERVICE = ("/bin/sleep", "300")

RATE = Figure("children started a second, until all sleep", "conn/s", is_cost=False, digits=0)
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
    """What one super-server did: children a second, and KiB a connection."""

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


def _measure(place: Workplace, python: str, count: int, row: Peer) -> Held:
    folder = place.directory / row.name
    folder.mkdir(exist_ok=True)
    site = Site(folder, free_port(), place.programs, place.packages, python, SERVICE)

    with ExitStack() as stack:
        launch, output = row.launch(site), folder / "output"
        pid = stack.enter_context(serving(launch, site.port, output, lambda port: is_listening({port})))
        try:
            stack.enter_context(_connection(site.port))
            _wait_for_children(pid, 1)
            return _hold(pid, site.port, count, stack)
        finally:
            _end_children(pid)


def _hold(pid: int, port: int, count: int, stack: ExitStack) -> Held:
    """Opens that many connections, and waits until each has its child."""
    own_before = _own_kib(pid)
    base, began = count_processes(), time.monotonic()
    for number in range(count):
        stack.enter_context(_connection(port))
        if number % (AHEAD // 2) == 0:
            _wait_for_processes(base + number - AHEAD // 2)
    _wait_for_processes(base + count)
    return Held(count / (time.monotonic() - began), (_own_kib(pid) - own_before) / count)


def _connection(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def _wait_for_processes(wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while count_processes() < wanted:
        if time.monotonic() > deadline:
            raise NotServingError(f"{wanted - count_processes()} children are missing")
        time.sleep(0.005)


def _sleepers(pid: int) -> list[psutil.Process]:
    return [one for one in family(pid) if name_of(one) == "sleep"]


def _wait_for_children(pid: int, wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(_sleepers(pid)) < wanted:
        if time.monotonic() > deadline:
            raise NotServingError("no child was started")
        time.sleep(0.02)


def _own_kib(pid: int) -> float:
    return pss_kib(one.pid for one in family(pid) if name_of(one) not in ("", "sleep"))


def _end_children(pid: int) -> None:
    """Children that sleep do not notice that their clients are gone."""
    for one in _sleepers(pid):
        with suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)


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
        (RATE, {row: [one.rate for one in own] for row, own in held.items()}),
        (MEMORY, {row: [one.kib for one in own] for row, own in held.items()}),
    )
    titles = {row: peer.title for row, peer in rows.items()}
    notes = (f"{count:,} connections, each with a child that sleeps",)
    tell(Findings(name, titles, figures, notes, left_out, versions), arguments.results, arguments.name)
    return not failed
