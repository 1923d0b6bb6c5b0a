"""Side by side: superd and the C super-servers of Debian, one command.

    python bench/run.py --scenario nowait

Needs root, gcc, and apt for the first run. ``bench/README.md`` says how to read what it prints.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from attrs import evolve, frozen
from measure import Load, Sample, run_load, run_rounds
from peers import CEILING, PEERS, AbsentError, Peer, Site
from programs import MissingError, Packages, Programs, cache_directory, compile_programs, unpack_packages
from report import AGAIN, Results, save, table
from running import NotServingError, free_port, serving

EX_FAILED, EX_NOPERM = 1, 77
RESULTS = Path(__file__).resolve().parent / "results"


@frozen
class Scenario:
    """One row of what can be measured."""

    name: str
    load: Load
    meaning: str


SCENARIOS = (
    Scenario("nowait", Load(clients=8, connections=2000), "eight clients at once into the static program"),
    Scenario(
        "latency",
        Load(clients=1, connections=1000),
        "one client: what a connection takes when nobody else asks",
    ),
)


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


def positive(text: str) -> int:
    """An argument that counts something.

    Raises:
        ValueError: less than 1, or no number (argparse then says which argument).
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="superd against the C super-servers of Debian")
    parser.add_argument("--scenario", choices=[scenario.name for scenario in SCENARIOS], default="nowait")
    parser.add_argument("--list", action="store_true", help="name the scenarios and peers, and end")
    parser.add_argument("--peer", action="append", choices=[peer.name for peer in PEERS], help="only these")
    parser.add_argument("--rounds", type=positive, default=7)
    parser.add_argument("--clients", type=positive, help="connections open at a time")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--connections", type=positive, help="connections a round")
    amount.add_argument("--seconds", type=float, help="length of a round")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs superd")
    parser.add_argument(
        "--cache", type=Path, default=cache_directory(), help="where Debian's packages are kept"
    )
    parser.add_argument("--name", help="of the JSON file (default: the scenario)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON file")
    return parser.parse_args()


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
) -> Bench:
    """Starts every peer that can be had; the stack ends them."""
    ports: dict[str, int] = {}
    left_out: dict[str, str] = {}
    failed = False
    for peer in peers:
        folder = directory / peer.name
        folder.mkdir()
        site = Site(folder, free_port(), programs, packages, python)
        try:
            stack.enter_context(serving(peer.launch(site), site.port, folder / "output"))
            ports[peer.name] = site.port
        except AbsentError as reason:
            left_out[peer.name] = str(reason)
        except NotServingError as reason:
            left_out[peer.name] = str(reason)
            failed = True
    return Bench(ports, left_out, failed)


def run_scenario(scenario: Scenario, arguments: argparse.Namespace) -> bool:
    """Measures, prints and saves; returns whether everyone who is installed took part."""
    load = chosen_load(scenario.load, arguments)
    peers = tuple(peer for peer in PEERS if not arguments.peer or peer.name in arguments.peer)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="superd-bench-")))
        directory.chmod(0o755)  # nobody executes the service from here
        programs = compile_programs(directory / "programs")
        packages = unpack_packages(arguments.cache, {peer.package for peer in peers if peer.package})
        bench = start_all((*peers, CEILING), directory, programs, packages, arguments.python, stack)
        serving_peers = [peer for peer in peers if peer.name in bench.ports]
        if CEILING.name not in bench.ports or not serving_peers:
            raise MissingError(f"nothing to measure: {bench.left_out}")
        reference = serving_peers[0].name

        def measure(name: str) -> Sample:
            return run_load(programs.load, bench.ports[name.removesuffix(AGAIN)], load)

        samples = run_rounds([*bench.ports, reference + AGAIN], arguments.rounds, measure, progress)
    titles = {peer.name: peer.title for peer in serving_peers}
    results = Results(scenario.name, load, reference, titles, samples, bench.left_out, packages.versions)
    print(table(results))
    path = arguments.results / f"{arguments.name or scenario.name}.json"
    save(results, path)
    progress(f"every sample: {path}")
    return not bench.failed


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    arguments = parse_arguments()
    if arguments.list:
        print("\n".join(f"scenario {scenario.name}: {scenario.meaning}" for scenario in SCENARIOS))
        print("\n".join(f"peer {peer.name}: {peer.title}" for peer in PEERS))
        return 0
    if os.geteuid() != 0:
        progress("root is needed: the super-servers start as root and drop to nobody; run it with sudo")
        return EX_NOPERM
    os.umask(0o022)  # nobody executes what is compiled here, whatever root's umask is
    # a SIGTERM unwinds as an exit does, so that every super-server is ended
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == arguments.scenario)
    try:
        return 0 if run_scenario(scenario, arguments) else EX_FAILED
    except MissingError as error:
        progress(str(error))
        return EX_FAILED


if __name__ == "__main__":
    sys.exit(main())
