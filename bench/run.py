"""Side by side: superd and the C super-servers of Debian, one command.

    python bench/run.py --scenario nowait

Needs root, gcc, and apt for the first run. ``bench/README.md`` says how to read what it prints.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from attrs import frozen
from cost import measure_cost
from flood import measure_flood
from forward import measure_forward
from granted import measure_granted
from handlers import HANDLERS
from held import measure_held
from idle import measure_idle
from limited import LIMITED
from measure import Load
from peers import PEERS
from policy_cost import measure_policy
from programs import MissingError, cache_directory
from relays import RELAYS
from report import progress
from sandboxed import SANDBOXED, WRAPPERS
from speed import measure_speed
from variants import LOGS, POLICIES
from waking import WAKERS, measure_waking

EX_FAILED, EX_NOPERM = 1, 77
RESULTS = Path(__file__).resolve().parent / "results"
_PEERS = (*LIMITED, *SANDBOXED, *HANDLERS, *LOGS, *POLICIES, *RELAYS, *WAKERS, *PEERS)
TITLES = {peer.name: peer.title for peer in _PEERS}
PYTHON = ("/usr/bin/python3", "-I", "-S", "-B", str(Path(__file__).resolve().parent / "echo.py"))


@frozen
class Scenario:
    """One row of what can be measured.

    Args:
        measure: measures, prints and saves; False when somebody who should have taken part did not.
        is_live: with real super-servers, which start as root.
    """

    name: str
    meaning: str
    measure: Callable[[str, argparse.Namespace], bool]
    is_live: bool = True


SCENARIOS = (
    Scenario(
        "nowait",
        "eight clients at once into the static program",
        partial(measure_speed, Load(clients=8, connections=2000)),
    ),
    Scenario(
        "latency",
        "one client: what a connection takes when nobody else asks",
        partial(measure_speed, Load(clients=1, connections=1000)),
    ),
    Scenario(
        "handler",
        "a Python program: superd's handler, and xinetd that executes it",
        partial(measure_speed, Load(clients=8, connections=0, seconds=2.0), among=HANDLERS),
    ),
    Scenario(
        "sandbox",
        "what a sandbox costs a connection: superd's profiles, and wrappers under xinetd",
        partial(measure_speed, Load(clients=8, connections=2000), among=SANDBOXED, packages=WRAPPERS),
    ),
    Scenario(
        "cat",
        "eight clients at once into /bin/cat: what a service costs that is linked dynamically",
        partial(measure_speed, Load(clients=8, connections=1000, options=("-e",)), service=("/bin/cat",)),
    ),
    Scenario(
        "python",
        "eight clients at once into eight lines of Python",
        partial(measure_speed, Load(clients=8, connections=80, options=("-e",)), service=PYTHON),
    ),
    Scenario(
        "log",
        "the same super-server with its log and without",
        partial(measure_speed, Load(clients=8, connections=2000), among=LOGS),
    ),
    Scenario(
        "rules",
        "the same super-server with access lists and limits and without",
        partial(measure_speed, Load(clients=8, connections=2000), among=POLICIES),
    ),
    Scenario("wake", "wait mode over TCP: from a knock to the answer", partial(measure_waking, "tcp")),
    Scenario("udp", "wait mode over UDP: from a datagram to the answer", partial(measure_waking, "udp")),
    Scenario("idle", "1,000 services that nobody asks: memory, start, reload", measure_idle),
    Scenario("held", "10,000 connections, each with a child that sleeps", measure_held),
    Scenario("cost", "time on a processor that a connection costs each process", measure_cost),
    Scenario("forward", "relays: one stream, connections a second, memory of idle ones", measure_forward),
    Scenario("bind", "a port for an ordinary user: what superd-bind and authbind add", measure_granted),
    Scenario("flood", "what a flood from one client costs the others", measure_flood),
    Scenario(
        "policy",
        "decisions a second, bytes a source: the policy alone, in process",
        measure_policy,
        is_live=False,
    ),
)


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
    parser.add_argument("--peer", action="append", choices=TITLES, help="only these")
    parser.add_argument("--rounds", type=positive, default=7)
    parser.add_argument("--clients", type=positive, help="connections open at a time")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--connections", type=positive, help="connections a round")
    amount.add_argument("--seconds", type=float, help="length of a round")
    parser.add_argument("--scale", type=float, default=1.0, help="policy: a share of its sizes")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs superd")
    parser.add_argument(
        "--cache", type=Path, default=cache_directory(), help="where Debian's packages are kept"
    )
    parser.add_argument("--name", help="of the JSON file (default: the scenario)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON file")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.list:
        print("\n".join(f"scenario {scenario.name}: {scenario.meaning}" for scenario in SCENARIOS))
        print("\n".join(f"peer {name}: {title}" for name, title in TITLES.items()))
        return 0
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == arguments.scenario)
    if scenario.is_live and os.geteuid() != 0:
        progress("root is needed: the super-servers start as root and drop to nobody; run it with sudo")
        return EX_NOPERM
    os.umask(0o022)  # nobody executes what is compiled here, whatever root's umask is
    # a SIGTERM unwinds as an exit does, so that every super-server is ended
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return 0 if scenario.measure(scenario.name, arguments) else EX_FAILED
    except MissingError as error:
        progress(str(error))
        return EX_FAILED


if __name__ == "__main__":
    sys.exit(main())
