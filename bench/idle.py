"""A thousand services that nobody asks: memory, start and reload. Every super-server is started for itself."""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, field, frozen
from figures import Figure, Findings, tell
from measure import run_rounds
from peers import GROUP, USER, Launch, Site, debian
from processes import cpu_s, family, is_listening, name_of, pss_kib
from report import progress
from running import HIGH_PORTS, NotServingError, echoes, serving
from workplace import Workplace, workplace

SERVICES = 1_000
FEW, MANY = 1, 32
"""Services that are asked at last, so that superd has so many spawners."""

PATIENCE_S = 30.0
SETTLE_S = 1.0
"""Until nothing is left to do after a start."""

MOST_ROUNDS = 3

FIGURES = {
    "start": Figure("start, until every port listens", "s", digits=2),
    "answer": Figure("start, until the last service answers", "s", digits=2),
    "start_cpu": Figure("start, time on a processor", "s", digits=2),
    "memory": Figure("memory of all processes, nobody connected", "MiB"),
    "further": Figure("memory of a further service", "KiB", digits=2),
    "reload": Figure("reload, nothing changed", "s", digits=2),
    "reload_cpu": Figure("reload, nothing changed, time on a processor", "s", digits=2),
    "change": Figure("reload, one service moved, until it answers", "s", digits=2),
    "spawner_few": Figure("memory of a live spawner, one there is", "MiB"),
    "spawner_many": Figure(f"memory of a live spawner, {MANY} there are", "MiB"),
}


@frozen
class Row:
    """One super-server.

    Args:
        write: given the ports of all services and a free one, writes the configuration and says how to start it.
        reload_word: what its log has once more after each reload; empty: it tells nothing.
        log: the file that has it.
        has_probe: it answers at the free port when it is ready; the others at the last service's.
    """

    name: str
    title: str
    write: Callable[[Site, Sequence[int], int], Launch]
    package: str | None = None
    reload_word: str = ""
    log: str = ""
    has_probe: bool = False


def _superd(site: Site, ports: Sequence[int], probe: int) -> Launch:
    head = f'[superd]\ncontrol = "{site.directory}/control.sock"\nlog = "{site.directory}/log"\n'
    asked = f'[services.probe]\nlisten = ["tcp://127.0.0.1:{probe}"]\nbuiltin = "echo"\n'
    services = [
        f'[services.cat{number}]\nlisten = ["tcp://127.0.0.1:{port}"]\nexec = ["/bin/cat"]\n'
        f'user = "{USER}:{GROUP}"\n'
        for number, port in enumerate(ports)
    ]
    config = site.write("superd.toml", "\n".join((head, asked, *services)))
    return Launch((site.python, "-m", "superd", "-f", config))


def _xinetd(site: Site, ports: Sequence[int], _: int) -> Launch:
    services = [
        f"service cat{number}\n{{\n type = UNLISTED\n flags = NOLIBWRAP\n socket_type = stream\n protocol = tcp\n"
        f" bind = 127.0.0.1\n port = {port}\n wait = no\n user = {USER}\n group = {GROUP}\n server = /bin/cat\n}}\n"
        for number, port in enumerate(ports)
    ]
    config = site.write("xinetd.conf", "".join(services))
    files = ("-f", config, "-filelog", f"{site.directory}/log", "-pidfile", f"{site.directory}/pid")
    return debian(site, "xinetd", "usr/sbin/xinetd", "-dontfork", *files)


ROWS = (
    Row("superd", "superd", _superd, reload_word="reloaded: ", log="log", has_probe=True),
    Row("xinetd", "xinetd", _xinetd, "xinetd", reload_word="Reconfigured", log="log"),
)


@frozen
class Trial:
    """One fresh super-server with its services."""

    row: Row
    site: Site
    ports: Sequence[int]
    probe: int
    began: float = field(factory=time.monotonic)

    @contextmanager
    def running(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Its pid, and how long the start took."""
        (self.site.directory / "log").unlink(missing_ok=True)
        launch = self.row.write(self.site, self.ports, self.probe)
        trial = evolve(self, began=time.monotonic())
        found: dict[str, float] = {}

        def is_ready(_: int) -> bool:
            if "start" not in found and is_listening(self.ports):
                found["start"] = time.monotonic() - trial.began
            return "start" in found and echoes(self.asked)

        with serving(launch, self.asked, self.site.directory / "output", is_ready) as pid:
            found["answer"] = time.monotonic() - trial.began
            time.sleep(SETTLE_S)
            found["start_cpu"] = _cpu_s(pid)
            yield pid, found

    @property
    def asked(self) -> int:
        return self.probe if self.row.has_probe else self.ports[-1]

    def reload(self, pid: int) -> dict[str, float]:
        """The same configuration again."""
        before, cpu = self._reloads(), _cpu_s(pid)
        took = self._after_hangup(pid, lambda: self._reloads() > before)
        time.sleep(SETTLE_S)
        return {"reload": took, "reload_cpu": _cpu_s(pid) - cpu}

    def change(self, pid: int, port: int) -> float:
        """The last service at another port."""
        self.row.write(self.site, [*self.ports[:-1], port], self.probe)
        return self._after_hangup(pid, lambda: echoes(port))

    def _reloads(self) -> int:
        return Path(self.site.directory, self.row.log).read_text(errors="replace").count(self.row.reload_word)

    @staticmethod
    def _after_hangup(pid: int, is_done: Callable[[], bool]) -> float:
        began = time.monotonic()
        os.kill(pid, signal.SIGHUP)
        while not is_done():
            if time.monotonic() - began > PATIENCE_S:
                raise NotServingError("it did not reload")
            time.sleep(0.002)
        return time.monotonic() - began


def _cpu_s(pid: int) -> float:
    return sum(cpu_s(one.pid) for one in family(pid))


def _memory_kib(pid: int) -> float:
    return pss_kib(one.pid for one in family(pid))


def _spawner_mib(pid: int, ports: Sequence[int]) -> float:
    """Memory of one of the spawners that these services have once they were asked."""
    for port in ports:
        echoes(port)
    time.sleep(SETTLE_S)
    spawners = [one.pid for one in family(pid) if name_of(one).startswith("superd: spawner")]
    return statistics.median(pss_kib([one]) for one in spawners) / 1024


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has, in a random order."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        used = {int(line.split()[1].rpartition(":")[2], 16) for line in list(table)[1:]}
    return random.sample([port for port in HIGH_PORTS if port not in used], count)


def _measure(place: Workplace, python: str, services: int, row: Row) -> dict[str, float]:
    """All figures of one super-server, from a start with as many services and one with twice as many."""
    folder = place.directory / row.name
    folder.mkdir(exist_ok=True)
    *ports, probe, spare = _free_ports(2 * services + 2)
    site = Site(folder, ports[0], place.programs, place.packages, python)
    with Trial(row, site, ports, probe).running() as (pid, _):
        twice = _memory_kib(pid)
    trial = Trial(row, site, ports[:services], probe)
    with trial.running() as (pid, found):
        once = _memory_kib(pid)
        found |= {"memory": once / 1024, "further": (twice - once) / services}
        found |= trial.reload(pid)
        found["change"] = trial.change(pid, spare)
        if row.has_probe:
            found["spawner_few"] = _spawner_mib(pid, [])
            found["spawner_many"] = _spawner_mib(pid, ports[: MANY - FEW])
    return found


def measure_idle(name: str, arguments: argparse.Namespace) -> bool:
    """Measures, prints and saves."""
    services = arguments.connections or SERVICES
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows = {row.name: row for row in ROWS if not arguments.peer or row.name in arguments.peer}
    with workplace(rows.values(), arguments.cache) as place:
        found: Mapping[str, Sequence[Mapping[str, float]]] = run_rounds(
            list(rows),
            min(arguments.rounds, MOST_ROUNDS),
            lambda row: _measure(place, arguments.python, services, rows[row]),
            progress,
            warm_up=False,
        )
        versions = place.packages.versions
    figures = [
        (figure, {row: [one[key] for one in own if key in one] for row, own in found.items()})
        for key, figure in FIGURES.items()
    ]
    titles = {row: one.title for row, one in rows.items()}
    notes = (f"{services:,} services on one port each; no client but where it says so",)
    tell(Findings(name, titles, figures, notes, {}, versions), arguments.results, arguments.name)
    return True
