"""What a flood from one client costs the others: two clients of one service, of which one never stops knocking."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import frozen
from flood_report import FloodResults, FloodSample, flood_table, save_flood
from limited import BYSTANDER, LIMITED
from measure import Load, Sample, load_command, run_load, run_rounds
from peers import Peer, Site
from plots import Panel, draw
from programs import MissingError
from report import AGAIN, progress
from running import (
    HIGH_PORTS,
    PRIVILEGED_PORTS,
    echoes,
    free_port,
    listens,
    serving,
    startable,
)
from workplace import Workplace, workplace

CLIENTS = (1, 4, 8)
SECONDS = 3.0
MOST_CONNECTIONS = 300_000
"""Of one flood, however fast it is answered."""

FLOODER, OTHER = "127.9.0.1", "127.9.0.2"
PATIENCE_MS = 1000
_COMMON = ("-a", "-t", str(PATIENCE_MS))
POLITE = (
    *_COMMON,
    "-s",
    OTHER,
    "-p",
    "10",
)  # rests 10 ms after each connection: fewer than a hundred a second


@frozen
class Floods:
    """Measures one super-server after the other.

    Args:
        place: where they run.
        python: the interpreter that runs superd.
        seconds: how long a flood lasts at the most.
        most: connections of a flood at the most.
    """

    place: Workplace
    python: str
    seconds: float
    most: int

    def measure(self, peer: Peer, clients: int) -> FloodSample:
        """A fresh super-server: the other client alone, then during a flood, then after it.

        Raises:
            AbsentError, NotServingError: it cannot be had, or does not start.
        """
        if peer is not BYSTANDER:
            with self._serving(peer) as port:
                return self._flood(port, port, clients)
        with self._serving(LIMITED[0]) as port, self._serving(peer) as other_port:
            return self._flood(other_port, port, clients)

    def start(self, peer: Peer) -> None:
        """See that a super-server starts.

        Raises:
            AbsentError, NotServingError: it cannot be had, or does not start.
        """
        with self._serving(peer):
            pass

    @contextmanager
    def _serving(self, peer: Peer) -> Iterator[int]:
        folder = self.place.directory / peer.name
        folder.mkdir(exist_ok=True)
        among, is_ready = (HIGH_PORTS, listens) if peer is BYSTANDER else (PRIVILEGED_PORTS, echoes)
        site = Site(folder, free_port(among), self.place.programs, self.place.packages, self.python)
        with serving(peer.launch(site), site.port, folder / "output", is_ready):
            yield site.port

    def _flood(self, flooded: int, asked: int, clients: int) -> FloodSample:
        load = self.place.programs.load
        flood = Load(clients, self.most, self.seconds, (*_COMMON, "-s", FLOODER))
        idle = run_load(load, asked, self._polite(0.5))
        with subprocess.Popen(load_command(load, flooded, flood), stdout=subprocess.PIPE) as flooding:
            during = run_load(load, asked, self._polite(1.0))
            said, _ = flooding.communicate()
        after = run_load(load, asked, self._polite(0.2))
        return FloodSample(Sample(**json.loads(said)), idle, during, after)

    def _polite(self, share: float) -> Load:
        return Load(1, 0, share * self.seconds, POLITE)


def measure_flood(name: str, arguments: argparse.Namespace) -> bool:
    """Measures, prints and saves; returns whether everyone who is installed took part."""
    chosen = [peer for peer in LIMITED if not arguments.peer or peer.name in arguments.peer]
    clients = (arguments.clients,) if arguments.clients else CLIENTS
    seconds = arguments.seconds or SECONDS
    with workplace((*chosen, LIMITED[0]), arguments.cache) as place:
        floods = Floods(place, arguments.python, seconds, arguments.connections or MOST_CONNECTIONS)
        peers, left_out, failed = startable(chosen, floods.start)
        if not peers:
            raise MissingError(f"nothing to measure: {left_out}")
        reference = peers[0].name
        rows = {peer.name: peer for peer in (*peers, BYSTANDER)} | {reference + AGAIN: peers[0]}
        measured = {f"{row}, {number} clients": (row, number) for number in clients for row in rows}
        samples = run_rounds(
            list(measured),
            arguments.rounds,
            lambda key: floods.measure(rows[measured[key][0]], measured[key][1]),
            progress,
            warm_up=False,  # every super-server is a fresh one, and warms up alone with the other client
        )
        versions = place.packages.versions
    by_clients = {
        number: {row: samples[key] for key, (row, of) in measured.items() if of == number}
        for number in clients
    }
    titles = {row: peer.title for row, peer in rows.items()}
    results = FloodResults(name, seconds, reference, titles, by_clients, left_out, versions)
    print(flood_table(results))
    path = arguments.results / f"{arguments.name or name}.json"
    save_flood(results, path)
    draw(name, _panels(results), path.with_suffix(".svg"))
    return not failed


def _panels(results: FloodResults) -> list[Panel]:
    """How long the other client waits in the flood, as many times as before it; none where nobody was served."""
    return [
        Panel(
            f"{clients} clients flood: half of the other's connections took so many times as long",
            {
                results.titles[row]: [
                    one.during.p50_us / one.idle.p50_us
                    for one in own
                    if one.during.p50_us and one.idle.p50_us
                ]
                for row, own in samples.items()
            },
        )
        for clients, samples in results.samples.items()
    ]
