"""The policy alone: how fast it decides, and what it remembers. Each measurement is a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen
from measure import Range, run_rounds
from plots import Panel, draw
from report import progress, write_record

WORKER = Path(__file__).resolve().parent / "decisions.py"

TARGET = 100_000
"""Decisions a second."""

_NETWORKS = 10_000
_SOURCES = 100_000
_DENIED_TOO = 1.1  # a tenth is denied by its address, and denied sources are not tracked


@frozen
class Measurement:
    """One row.

    Args:
        arguments: of ``decisions.py``; sizes by option, which ``--scale`` makes smaller.
        is_repeated: measured once a round, and not only once.
    """

    title: str
    measure: str
    networks: int = 0
    sources: int = 0
    most: int = 2 * _SOURCES
    options: tuple[str, ...] = ()
    is_repeated: bool = True

    def run(self, python: str, scale: float) -> dict[str, Any]:
        """What ``decisions.py`` found."""
        sizes = {"--networks": self.networks, "--sources": self.sources, "--most": self.most}
        words = [word for option, size in sizes.items() for word in (option, str(round(size * scale)))]
        command = [python, str(WORKER), self.measure, *words, *self.options]
        found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        return found


_TRACKED = round(_SOURCES * _DENIED_TOO)

DECISIONS = {
    "everything": Measurement(
        f"{_NETWORKS:,} networks, {_SOURCES:,} sources tracked",
        "decide",
        _NETWORKS,
        _TRACKED,
        2 * _TRACKED,
    ),
    "defaults": Measurement("a service's defaults, the same visits", "decide-defaults", 0, _TRACKED),
}
VERDICTS = {f"verdict-{size}": Measurement(f"{size:,}", "verdict", size) for size in (10, 1_000, 10_000)}
_TRACED = (("", "resident", ()), ("-traced", "Python's own count", ("--traced",)))
MEMORY = {
    f"{measure}-{count}{kind}": Measurement(
        f"{count:,} sources{what}, {note}", measure, 0, count, 2 * count, options, is_repeated=False
    )
    for measure, count, what in (
        ("remember", _SOURCES, ""),
        ("remember", 10 * _SOURCES, ""),
        ("penalise", _SOURCES, ", penalised"),
    )
    for kind, note, options in _TRACED
}
FLOOD = {
    f"flood{kind}": Measurement(note, "flood", 0, 10 * _SOURCES, _SOURCES, options, is_repeated=False)
    for kind, note, options in _TRACED
}
ALL = {**DECISIONS, **VERDICTS, **MEMORY, **FLOOD}

Found = Mapping[str, Sequence[Mapping[str, Any]]]
"""By name of the measurement: what it found, once a round."""


def measure_policy(name: str, arguments: argparse.Namespace) -> bool:
    """Measures, prints and saves; returns whether the decisions came fast enough and nothing was forgotten."""

    def measure(row: str) -> dict[str, Any]:
        return ALL[row].run(arguments.python, arguments.scale)

    repeated = [row for row, one in ALL.items() if one.is_repeated]
    found: dict[str, Sequence[Mapping[str, Any]]] = {
        **run_rounds(repeated, arguments.rounds, measure, progress)
    }
    for row in [row for row in ALL if row not in repeated]:
        progress(ALL[row].title)
        found[row] = [measure(row)]
    if arguments.scale != 1:
        print(f"every size below times {arguments.scale:g}\n")
    print(policy_table(found, arguments.rounds))
    record = {
        "scenario": name,
        "scale": arguments.scale,
        "measurements": {row: asdict(one) for row, one in ALL.items()},
        "samples": {row: found[row] for row in ALL},
    }
    path = arguments.results / f"{arguments.name or name}.json"
    write_record(record, path)
    rates = {ALL[row].title: [float(one["rate"]) for one in found[row]] for row in DECISIONS}
    draw(name, [Panel("decisions/s", rates)], path.with_suffix(".svg"))
    return arguments.scale != 1 or _is_met(found)


def _is_met(found: Found) -> bool:
    kept = found["flood"][0]
    return (
        _range(found, "everything", "rate").median >= TARGET
        and min(kept["still_penalised"], kept["still_open"]) == 1
    )


def policy_table(found: Found, rounds: int) -> str:
    """The tables for people."""
    return "\n".join(
        [
            f"decisions a second, one process, {rounds} rounds; target {TARGET:,}",
            *(_decisions_row(found, row) for row in DECISIONS),
            f"  times as many with the defaults: {_ratio(found)}",
            f"  the answers: {_answers(found['everything'][0]['answers'])}",
            "",
            "one AccessList.verdict, by the number of networks",
            *(_verdict_row(found, row) for row in VERDICTS),
            "",
            "bytes a source that came once costs",
            *(f"  {ALL[row].title:45} {found[row][0]['bytes_per_source']:6.0f}" for row in MEMORY),
            "",
            f"{10 * _SOURCES:,} sources that never come again, max_sources = {_SOURCES:,}",
            *(_flood_row(found, row) for row in FLOOD),
        ]
    )


def _range(found: Found, row: str, key: str) -> Range:
    return Range.of([one[key] for one in found[row]])


def _decisions_row(found: Found, row: str) -> str:
    rate = _range(found, row, "rate")
    title = ALL[row].title
    return f"  {title:45} {rate.median:7.0f} ({rate.low:.0f}-{rate.high:.0f}), spread {rate.spread:.0%}"


def _ratio(found: Found) -> str:
    pairs = zip(found["defaults"], found["everything"], strict=True)
    ratio = Range.of([one["rate"] / other["rate"] for one, other in pairs])
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def _answers(answers: Mapping[str, int]) -> str:
    total = sum(answers.values())
    return ", ".join(
        f"{word} {count / total:.2%}" for word, count in sorted(answers.items(), key=lambda one: -one[1])
    )


def _verdict_row(found: Found, row: str) -> str:
    microseconds = _range(found, row, "microseconds")
    return f"  {ALL[row].title:>45} {microseconds.median:6.2f} us ({microseconds.low:.2f}-{microseconds.high:.2f})"


def _flood_row(found: Found, row: str) -> str:
    (one,) = found[row]
    return (
        f"  {ALL[row].title:45} {one['bytes'] / 2**20:6.1f} MiB more; {one['sources']:,} remembered; still "
        f"penalised {one['still_penalised']:.0%}, still open {one['still_open']:.0%} of those who were"
    )
