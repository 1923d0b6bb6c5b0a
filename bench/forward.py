"""Relays: what one stream gets through, how fast connections are set up, and what one costs that says nothing."""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
from attrs import frozen
from measure import Load, Range, run_load, run_rounds
from peers import Launch, Site
from plots import Panel, draw
from programs import MissingError
from relays import RELAYS, Relay
from report import progress
from running import free_port, listens, serving, startable
from workplace import Workplace, workplace

IDLE = 10_000
CLIENTS = 8
SECONDS = 3.0
OTHERS = 250
"""Descriptors that are not a connection's."""


@frozen
class Measure:
    """One table: its unit, and whether more is better."""

    title: str
    unit: str


STREAM = Measure("one stream", "MB/s")
SETUP = Measure(f"{CLIENTS} clients that connect, exchange six bytes and close", "conn/s")
MEMORY = Measure("a connection that says nothing, of as many as may be open", "KiB each")


@frozen
class Bench:
    """Measures relays, each a fresh process.

    Args:
        place: where they run.
        python: the interpreter that runs superd.
        seconds: how long one run lasts.
        idle: how many connections say nothing.
    """

    place: Workplace
    python: str
    seconds: float
    idle: int

    @contextmanager
    def _relay(self, relay: Relay, backend: int) -> Iterator[int]:
        folder = self.place.directory / relay.name
        folder.mkdir(exist_ok=True)
        site = Site(folder, free_port(), self.place.programs, self.place.packages, self.python)
        with serving(relay.start(site, backend), site.port, folder / "output", listens):
            yield site.port

    def try_out(self, relay: Relay) -> None:
        """Start and end it."""
        with self._relay(relay, free_port()):
            pass

    @contextmanager
    def _backend(self, program: Path, *arguments: str) -> Iterator[int]:
        port = free_port()
        launch = Launch((str(program), *arguments, str(port)))
        with serving(launch, port, self.place.directory / "backend", listens):
            yield port

    def stream(self, relay: Relay) -> float:
        """Megabytes a second of one connection."""
        program = self.place.programs.stream
        with self._backend(program, "source") as backend, self._relay(relay, backend) as port:
            command = [str(program), "sink", str(port), str(self.seconds)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout)
        return float(found["bytes"]) / float(found["seconds"]) / 1e6

    def setup(self, relay: Relay) -> float:
        """Connections a second, each through the relay to a server that answers at once."""
        programs = self.place.programs
        with self._backend(programs.accept_echo) as backend, self._relay(relay, backend) as port:
            sample = run_load(programs.load, port, Load(CLIENTS, 0, self.seconds))
        if sample.errors:
            progress(f"{relay.name}: {sample.errors} errors")
        return sample.rate

    def memory(self, relay: Relay) -> float:
        """KiB of memory that a connection costs which says nothing."""
        with ExitStack() as stack:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", free_port()), backlog=4096))
            listening.settimeout(30)
            backend = listening.getsockname()[1]
            port = stack.enter_context(self._relay(relay, backend))
            stack.enter_context(listening.accept()[0])  # whoever looked whether it listens
            before = resident_bytes()
            for number in range(self.idle):
                source = (f"127.1.{number // 10_000}.1", 0)
                stack.enter_context(socket.create_connection(("127.0.0.1", port), 30, source))
                stack.enter_context(listening.accept()[0])
            return (resident_bytes() - before) / self.idle / 1024


def _most_idle() -> int:
    """Both ends of each connection are this process's, and two of its sockets the relay's."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return (most - OTHERS) // 2


def resident_bytes() -> int:
    """Of everything that was started and lives."""
    found = psutil.Process().children(recursive=True)
    return sum(one.memory_info().rss for one in found)


def measure_forward(name: str, arguments: argparse.Namespace) -> bool:
    """Measures, prints and saves; returns whether everyone who is installed took part."""
    idle = min(arguments.connections or IDLE, _most_idle())
    chosen = [relay for relay in RELAYS if not arguments.peer or relay.name in arguments.peer]
    with workplace(chosen, arguments.cache) as place:
        bench = Bench(place, arguments.python, arguments.seconds or SECONDS, idle)
        relays, left_out, _ = startable(chosen, bench.try_out)
        if not relays:
            raise MissingError(f"nothing to measure: {left_out}")
        found: dict[str, Mapping[str, Sequence[float]]] = {}
        by_name = {relay.name: relay for relay in relays}
        for measure, run, rounds in (
            (STREAM, bench.stream, arguments.rounds),
            (SETUP, bench.setup, arguments.rounds),
            (MEMORY, bench.memory, 1),
        ):
            rows = [relay.name for relay in relays if measure is not MEMORY or relay.holds_many]
            progress(measure.title)
            samples = run_rounds(rows, rounds, partial(_run, run, by_name), progress, warm_up=False)
            found[measure.title] = samples
            print(table(measure, samples, {relay.name: relay.title for relay in relays}), end="\n\n")
        for relay, reason in left_out.items():
            print(f"left out: {relay}: {reason}")
        arguments.results.mkdir(parents=True, exist_ok=True)
        path = arguments.results / f"{arguments.name or name}.json"
        path.write_text(json.dumps({"samples": found, "versions": place.packages.versions}, indent=1))
        panels = [Panel(f"{one.title}, {one.unit}", found[one.title]) for one in (STREAM, SETUP, MEMORY)]
        draw(name, panels, path.with_suffix(".svg"))
    return not left_out


def _run(measure: object, relays: Mapping[str, Relay], name: str) -> float:
    assert callable(measure)
    return float(measure(relays[name]))


def table(measure: Measure, samples: Mapping[str, Sequence[float]], titles: Mapping[str, str]) -> str:
    """Ratios of the first row over each, round by round, and the figures themselves."""
    reference = next(iter(samples.values()))
    width = max(map(len, titles.values()))
    lines = [measure.title, "", f"{'':{width}}  ratio      range  {measure.unit:>9}"]
    for name, values in samples.items():
        ratio = Range.of([own / other for own, other in zip(reference, values, strict=True) if other])
        span = f"{ratio.low:.2f}-{ratio.high:.2f}"
        lines.append(
            f"{titles[name]:{width}}  {ratio.median:5.2f}  {span:>9}  {Range.of(values).median:9.1f}"
        )
    return "\n".join(lines)
