"""What a connection costs: every super-server that can be had, up together, under the same load in turns."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from attrs import evolve, frozen
from measure import Load, Sample, run_load, run_rounds
from peers import CEILING, PEERS, AbsentError, Peer, Site
from plots import Panel, draw
from programs import MissingError, Packages, Programs
from report import AGAIN, Results, progress, save, table
from running import NotServingError, free_port, serving
from workplace import workplace


@frozen
class Bench:
    """The super-servers that are up.

    Args:
        ports: name to port, every peer that serves and the ceiling.
        left_out: name to the reason why it is not up.
        failed: whether one of them should have been up.
    """

    ports: dict[str, int]
    left_out: dict[str, str]
    failed: bool


def chosen_load(load: Load, arguments: argparse.Namespace) -> Load:
    """The scenario's load with what the command line changes."""
    if arguments.clients is not None:
        load = evolve(load, clients=arguments.clients)
    if arguments.connections is not None:
        load = evolve(load, connections=arguments.connections)
    if arguments.seconds is not None:
        load = evolve(load, connections=0, seconds=arguments.seconds)
    return load


def start_all(
    peers: tuple[Peer, ...],
    directory: Path,
    programs: Programs,
    packages: Packages,
    python: str,
    stack: ExitStack,
    service: tuple[str, ...] = (),
) -> Bench:
    """Starts every peer that can be had; the stack ends them."""
    ports: dict[str, int] = {}
    left_out: dict[str, str] = {}
    failed = False
    for peer in peers:
        folder = directory / peer.name
        folder.mkdir()
        site = Site(folder, free_port(), programs, packages, python, service)
        try:
            stack.enter_context(serving(peer.launch(site), site.port, folder / "output"))
            ports[peer.name] = site.port
        except AbsentError as reason:
            left_out[peer.name] = str(reason)
        except NotServingError as reason:
            left_out[peer.name] = str(reason)
            failed = True
    return Bench(ports, left_out, failed)


def measure_speed(
    load: Load,
    name: str,
    arguments: argparse.Namespace,
    among: Sequence[Peer] = PEERS,
    packages: Sequence[str] = (),
    service: tuple[str, ...] = (),
) -> bool:
    """Measures, prints and saves; returns whether everyone who is installed took part.

    Args:
        among: the peers that are measured, unless the command line names some of them.
        packages: wanted besides those of the peers.
        service: what all of them start, unless the static program.
    """
    load = chosen_load(load, arguments)
    peers = tuple(peer for peer in among if not arguments.peer or peer.name in arguments.peer)
    with workplace(peers, arguments.cache, packages) as place, ExitStack() as stack:
        bench = start_all(
            (*peers, CEILING),
            place.directory,
            place.programs,
            place.packages,
            arguments.python,
            stack,
            service,
        )
        serving_peers = [peer for peer in peers if peer.name in bench.ports]
        if CEILING.name not in bench.ports or not serving_peers:
            raise MissingError(f"nothing to measure: {bench.left_out}")
        reference = serving_peers[0].name

        def measure(row: str) -> Sample:
            return run_load(place.programs.load, bench.ports[row.removesuffix(AGAIN)], load)

        samples = run_rounds([*bench.ports, reference + AGAIN], arguments.rounds, measure, progress)
    titles = {peer.name: peer.title for peer in serving_peers}
    results = Results(name, load, reference, titles, samples, bench.left_out, place.packages.versions)
    print(table(results))
    path = arguments.results / f"{arguments.name or name}.json"
    save(results, path)
    draw(name, _panels(results), path.with_suffix(".svg"))
    return not bench.failed


def _panels(results: Results) -> list[Panel]:
    rows = [(title, results.samples[name]) for name, title in results.titles.items()]
    return [
        Panel("connections/s", {title: [one.rate for one in own] for title, own in rows}),
        Panel(
            "half of them took less, ms", {title: [one.p50_us / 1e3 for one in own] for title, own in rows}
        ),
        Panel("99 of 100 took less, ms", {title: [one.p99_us / 1e3 for one in own] for title, own in rows}),
    ]
