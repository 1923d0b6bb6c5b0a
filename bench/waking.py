"""Wait mode: from the first byte of a client to the answer of a program that was not running."""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import frozen
from figures import Figure, Findings, tell
from measure import run_rounds
from peers import GROUP, NOBODY, USER, AbsentError, Launch, Site, debian
from processes import is_listening
from programs import MissingError
from report import AGAIN, progress
from running import MESSAGE, NotServingError, echoes, free_port, serving, startable
from workplace import Workplace, workplace

KNOCKS = 4
"""At a super-server that takes the socket back. Five quick ends in a row are what superd backs off from."""

REST_S = 0.05
PATIENCE_S = 5.0

FIRST = Figure("first knock", "ms", digits=2)
LATER = Figure("a later knock", "ms", digits=2)
_KINDS = {"tcp": ("stream", socket.SOCK_STREAM), "udp": ("dgram", socket.SOCK_DGRAM)}


@frozen
class Waker:
    """One row.

    Args:
        launch: given the transport and a free port for its own use.
        has_probe: it answers at that port when it is ready; the others are when they listen.
        takes_back: its service can be woken again.
    """

    name: str
    title: str
    launch: Callable[[Site, str, int], Launch]
    package: str | None = None
    has_probe: bool = False
    takes_back: bool = True


def _superd(site: Site, transport: str, probe: int) -> Launch:
    config = site.write(
        "superd.toml",
        f"""\
[superd]
control = "{site.directory}/control.sock"
log = "{site.directory}/log"

[services.wake]
listen = ["{transport}://127.0.0.1:{site.port}"]
mode = "wait"
exec = {json.dumps(site.command)}
user = "{USER}:{GROUP}"

[services.probe]
listen = ["tcp://127.0.0.1:{probe}"]
builtin = "echo"
""",
    )
    return Launch((site.python, "-m", "superd", "-f", config))


def _xinetd(site: Site, transport: str, _: int) -> Launch:
    config = site.write(
        "xinetd.conf",
        f"""\
service wake
{{
    type = UNLISTED
    flags = NOLIBWRAP
    socket_type = {_KINDS[transport][0]}
    protocol = {transport}
    bind = 127.0.0.1
    port = {site.port}
    wait = yes
    user = {USER}
    group = {GROUP}
    server = {site.command[0]}
}}
""",
    )
    files = ("-f", config, "-filelog", f"{site.directory}/daemon.log", "-pidfile", f"{site.directory}/pid")
    return debian(site, "xinetd", "usr/sbin/xinetd", "-dontfork", *files)


def _openbsd_inetd(site: Site, transport: str, _: int) -> Launch:
    kind, program = _KINDS[transport][0], site.command[0]
    line = f"127.0.0.1:{site.port} {kind} {transport} wait.1000000 {USER}:{GROUP} {program} {program}\n"
    inetd = debian(site, "openbsd-inetd", "usr/sbin/inetd", "-i", site.write("inetd.conf", line))
    script = 'mount -t tmpfs superd-bench /run && exec "$@"'  # as in peers.py
    return Launch(("unshare", "--mount", "sh", "-c", script, "sh", *inetd.argv), inetd.environment)


def _socket_activate(site: Site, transport: str, _: int) -> Launch:
    program = shutil.which("systemd-socket-activate")
    if program is None:
        raise AbsentError("systemd-socket-activate is not installed (Debian: package systemd)")
    kind = ("--datagram",) if transport == "udp" else ()
    argv = (program, *kind, "-l", f"127.0.0.1:{site.port}", *site.command)
    return Launch(argv, {"SYSTEMD_LOG_LEVEL": "err"}, uid=NOBODY)


WAKERS = (
    Waker("superd", "superd, mode = wait", _superd, has_probe=True),
    Waker("xinetd", "xinetd, wait = yes", _xinetd, "xinetd"),
    Waker("openbsd-inetd", "openbsd-inetd, wait", _openbsd_inetd, "openbsd-inetd"),
    Waker("socket-activate", "systemd-socket-activate", _socket_activate, takes_back=False),
)


@frozen
class Bench:
    """Measures fresh super-servers."""

    place: Workplace
    python: str
    transport: str

    @contextmanager
    def serving(self, waker: Waker) -> Iterator[int]:
        folder = self.place.directory / waker.name
        folder.mkdir(exist_ok=True)
        service = (str(self.place.programs.wake_once),)
        site = Site(folder, free_port(), self.place.programs, self.place.packages, self.python, service)
        probe = free_port()

        def is_ready(port: int) -> bool:
            return echoes(probe) if waker.has_probe else is_listening({port}, self.transport)

        with serving(waker.launch(site, self.transport, probe), site.port, folder / "output", is_ready):
            yield site.port

    def measure(self, waker: Waker) -> tuple[float, float | None]:
        """Milliseconds of the first knock, and of a later one where there is one."""
        with self.serving(waker) as port:
            first = _knock_ms(self.transport, port)
            later = []
            for _ in range(KNOCKS - 1 if waker.takes_back else 0):
                time.sleep(REST_S)  # the program ends, and its super-server hears of it
                later.append(_knock_ms(self.transport, port))
        return first, statistics.median(later) if later else None


def _knock_ms(transport: str, port: int) -> float:
    """From before the connection to the answer."""
    began = time.perf_counter()
    with socket.socket(type=_KINDS[transport][1]) as client:
        client.settimeout(PATIENCE_S)
        client.connect(("127.0.0.1", port))
        client.sendall(MESSAGE)
        if client.recv(64) != MESSAGE:
            raise NotServingError("the answer is another")
    return (time.perf_counter() - began) * 1e3


def measure_waking(transport: str, name: str, arguments: argparse.Namespace) -> bool:
    """Measures, prints and saves; returns whether everyone who is installed took part."""
    chosen = [waker for waker in WAKERS if not arguments.peer or waker.name in arguments.peer]
    with workplace(chosen, arguments.cache) as place:
        bench = Bench(place, arguments.python, transport)
        wakers, left_out, failed = startable(chosen, bench.measure, (NotServingError, OSError))
        if not wakers:
            raise MissingError(f"nothing to measure: {left_out}")
        rows = {waker.name: waker for waker in wakers} | {wakers[0].name + AGAIN: wakers[0]}
        found = run_rounds(list(rows), arguments.rounds, lambda row: bench.measure(rows[row]), progress)
        versions = place.packages.versions
    first = {row: [one for one, _ in values] for row, values in found.items()}
    later = {row: [one for _, one in values if one is not None] for row, values in found.items()}
    titles = {waker.name: waker.title for waker in wakers}
    titles[wakers[0].name + AGAIN] = f"{wakers[0].title}{AGAIN}"
    figures = ((FIRST, first), (LATER, later))
    tell(
        Findings(name, titles, figures, (), left_out, versions),
        arguments.results,
        arguments.name,
    )
    return not failed
