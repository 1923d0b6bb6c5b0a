"""Time on a processor that one connection costs each process, and from it what many processors would do."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
from attrs import frozen
from figures import Figure, Findings, tell
from measure import Load, run_load, run_rounds
from peers import Peer, Site, bare, superd, xinetd
from processes import cpu_s, family, name_of
from report import progress
from running import free_port, serving
from speed import chosen_load
from variants import POLICIES
from workplace import Workplace, workplace

LOAD = Load(clients=8, connections=4000)
CORES = 64
MOST_SPAWNERS = 8
"""Of one service by itself (superd/master/services.py, MOST_BY_ITSELF)."""

_RULES = next(peer for peer in POLICIES if peer.name == "superd-rules")
ROWS = (
    Peer("superd", "superd, JSON log", partial(superd, log_format="json")),
    Peer("superd-rules", _RULES.title, _RULES.launch),
    Peer("bare", "bare C loop", bare),
    Peer("xinetd-log", "xinetd, log", partial(xinetd, log_on_success="PID HOST EXIT DURATION"), "xinetd"),
)
PARTS = ("acceptor", "spawners", "master", "child", "all of it")


@frozen
class Cost:
    """Microseconds a connection, by part; a super-server that is one process has only ``all of it``."""

    parts: dict[str, float]


def _part(process: psutil.Process) -> str:
    """Which part of superd a process is, by the title it gives itself."""
    title = name_of(process)
    return next((part for part in PARTS[:3] if title.startswith(f"superd: {part[:7]}")), "")


def _children_us(log: Path, count: int) -> float:
    """What the last children cost, as their spawner was told by wait4(2)."""
    ends = [line for line in map(json.loads, log.read_text().splitlines()) if line["event"] == "end"]
    return statistics.fmean(float(line["cpu"]) for line in ends[-count:]) * 1e6


def _measure(place: Workplace, python: str, load: Load, row: Peer) -> Cost:
    """A fresh super-server, warmed up, under the load."""
    folder = place.directory / row.name
    folder.mkdir(exist_ok=True)
    site = Site(folder, free_port(), place.programs, place.packages, python)
    with serving(row.launch(site), site.port, folder / "output") as pid:
        run_load(place.programs.load, site.port, Load(load.clients, max(1, load.connections // 4)))
        processes = [one for one in family(pid) if one.pid == pid or _part(one)]
        before = {one.pid: cpu_s(one.pid) for one in processes}
        served = run_load(place.programs.load, site.port, load).connections
        spent = {one: (cpu_s(one.pid) - before[one.pid]) / served * 1e6 for one in processes}
        if not row.name.startswith("superd"):
            return Cost({"all of it": sum(spent.values())})
        parts = {
            "acceptor": sum(us for one, us in spent.items() if _part(one) == "acceptor"),
            "spawners": sum(us for one, us in spent.items() if _part(one) == "spawners"),
            "master": spent[processes[0]],
        }
    parts["child"] = _children_us(folder / "log", served)
    return Cost({**parts, "all of it": sum(parts.values()) - parts["child"]})


def measure_cost(name: str, arguments: argparse.Namespace) -> bool:
    """Measures, prints and saves."""
    load = chosen_load(LOAD, arguments)
    rows = {row.name: row for row in ROWS if not arguments.peer or row.name in arguments.peer}
    with ExitStack() as stack:
        place = stack.enter_context(workplace(rows.values(), arguments.cache))
        measure = lambda row: _measure(place, arguments.python, load, rows[row])  # noqa: E731
        found = run_rounds(list(rows), min(arguments.rounds, 5), measure, progress, warm_up=False)
        versions = place.packages.versions
    figures = [
        (
            Figure(f"time on a processor a connection, {part}", "us"),
            {row: [one.parts[part] for one in own if part in one.parts] for row, own in found.items()},
        )
        for part in PARTS
    ]
    titles = {row: peer.title for row, peer in rows.items()}
    notes = _many_cores(found["superd"]) if "superd" in found else []
    tell(Findings(name, titles, figures, notes, {}, versions), arguments.results, arguments.name)
    return True


def _many_cores(costs: Sequence[Cost]) -> list[str]:
    """What so many processors would do, if nothing but these costs counted."""
    median = {part: statistics.median(one.parts[part] for one in costs) for part in PARTS}
    total = median["all of it"] + median["child"]
    ceilings = {
        "acceptor (one for all services)": 1e6 / median["acceptor"],
        f"spawners of one service ({MOST_SPAWNERS})": MOST_SPAWNERS * 1e6 / median["spawners"],
        f"{CORES} processors, all of it and the child": CORES * 1e6 / total,
    }
    return [
        "connections a second, by calculation from the medians of superd:",
        *(f"  {what:45} {rate:9,.0f}" for what, rate in ceilings.items()),
        f"  {'the least of them':45} {min(ceilings.values()):9,.0f}",
    ]
