"""Logs as superd writes them, and the command that reads them, for its tests."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest

from superd.cli import replay
from superd.errors import Exit
from superd.log import Connection, End, Event, EventName, Level, Value
from superd.log.heads import no_head
from superd.log.lines import JsonLines

BEGIN = 1_795_424_400.0
"""2026-11-23T09:00:00Z, a Monday."""


class Script:
    """Writes what happens to one service, by seconds since ``BEGIN``."""

    def __init__(self, service: str = "ssh") -> None:
        self.service = service
        self.lines: list[tuple[float, bytes]] = []
        self._ids: Iterator[int] = count(1 << 40)
        self._json = JsonLines(no_head, "\n")

    def visit(self, at: float, source: str, stay: float | None = 1.0, outcome: str = "clean") -> None:
        """A connection, and its end unless it is open for good."""
        id_ = format(next(self._ids), "x")
        began = Connection(self.service, source, 40_000, 4711, id_)
        self.lines.append((at, self._json.connection(BEGIN + at, began)))
        if stay is not None:
            status = 0 if outcome == "clean" else 1
            ended = End(self.service, source, 4711, id_, outcome, status, stay, 0.01, 4096)
            self.lines.append((at + stay, self._json.end(BEGIN + at + stay, ended)))

    def event(self, at: float, event: EventName, message: str = "", /, **fields: Value) -> None:
        """Any other line."""
        said = Event(Level.INFO, event, {"service": self.service, **fields}, message)
        self.lines.append((at, self._json.event(BEGIN + at, said)))

    @property
    def text(self) -> bytes:
        """The log, in the order of time."""
        return b"".join(line for _, line in sorted(self.lines, key=lambda pair: pair[0]))


def busy_log() -> bytes:
    """Twenty quiet sources, and one that comes ten times in a second while its children fail."""
    script = Script()
    for last in range(1, 21):
        script.visit(30 * last, f"192.0.2.{last}", 40)
    for number in range(10):
        script.visit(100 + number / 10, "198.51.100.7", 0.5, "failed")
    script.event(101, EventName.REFUSED, source="198.51.100.7", port=5, reason="source-connections")
    script.event(110, EventName.REFUSED, "repeated 9 times", reason="source-connections", repeated=9)
    return script.text


def superctl(words: Iterable[object]) -> int:
    """Run ``superctl replay`` with these words; returns its exit code."""
    parser = argparse.ArgumentParser(prog="superctl")
    parser.add_argument("--json", action="store_true")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    commands = parser.add_subparsers()
    replay.add_replay(lambda name, told: commands.add_parser(name, help=told, parents=[common]))
    return replay.replay(parser.parse_args(["replay", *map(str, words)]))


def told(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What ``superctl replay`` says to these words, when all is well."""
    assert superctl(words) == Exit.OK
    return capsys.readouterr().out


ROOT = str(Path(__file__).parent.parent)
PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from cli.logs import superctl
sys.exit(superctl(sys.argv[1:]))
"""
"""The same as a process of its own, whose first argument is ROOT."""
