"""Reading logs: plain, gzip, the journal's, merged by time; what cannot be read is counted and named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.cli.logfile import Log, read_logs, size
from superd.log import Connection, EventName
from superd.log.heads import syslog_head
from superd.log.journal import JournalLines
from superd.log.lines import JsonLines, Lines, TextLines
from superd.policy.networks import parse_address
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.rules import NS_PER_S
from superd.policy.traffic import Happening, Kind

from .logs import BEGIN, Script

NOW = int(BEGIN) * NS_PER_S
ONE = parse_address("192.0.2.1")


def read(*paths: Path, service: str = "ssh") -> Log:
    return read_logs(map(str, paths), service, lambda done: None)


def script() -> Script:
    made = Script()
    made.visit(0, "192.0.2.1", 2.5)
    made.event(1, EventName.REFUSED, source="192.0.2.1", port=5, reason="source-rate", rule="x")
    return made


EXPECTED = [
    Happening(NOW, Kind.CONNECTION, *ONE, 1 << 40),
    Happening(NOW + NS_PER_S, Kind.REFUSED, *ONE, 0, Reason.SOURCE_RATE),
    Happening(NOW + 5 * NS_PER_S // 2, Kind.END, *ONE, 1 << 40, Outcome.CLEAN),
]


def test_lines_become_happenings(tmp_path: Path) -> None:
    path = tmp_path / "superd.log"
    path.write_bytes(script().text)
    log = read(path)
    assert list(log.traffic) == EXPECTED
    assert log.traffic.stay_ns == 5 * NS_PER_S // 2
    assert (log.lines, log.faulty, log.services) == (3, 0, {"ssh": 3})


def test_the_end_of_an_instance_is_none_of_a_connection(tmp_path: Path) -> None:
    made = Script("tftp")
    made.event(0, EventName.START, pid=5, id="10000000001")
    made.visit(1, "-", 1)
    path = tmp_path / "superd.log"
    path.write_bytes(b"".join(line for line in made.text.splitlines(True) if b'"connection"' not in line))
    assert [one.kind for one in read(path, service="tftp").traffic] == [Kind.START]


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "superd.log"
    first, rest = script().text.split(b"\n", 1)
    path.write_bytes(gzip.compress(first + b"\n") + gzip.compress(rest))  # as logrotate and cat make it
    log = read(path)
    assert list(log.traffic) == EXPECTED
    assert log.faulty == 0


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_gzip_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "superd.log.gz"
    path.write_bytes(gzip.compress(script().text * 100)[:-cut])
    log = read(path)
    assert log.told[-1].startswith(f"{path}: the compressed data breaks off")
    assert log.lines >= 300 or cut == 30


def test_several_files_are_merged_by_time(tmp_path: Path) -> None:
    lines = script().text.splitlines(True)
    paths = [tmp_path / name for name in ("today", "yesterday")]
    paths[0].write_bytes(lines[2])
    paths[1].write_bytes(lines[1] + lines[0])
    assert list(read(*paths).traffic) == EXPECTED


def journal_entry(inner: Lines) -> str:
    """A line of ``journalctl -o json`` for the first connection of the script."""
    raw = JournalLines(inner, 3, 1).connection(
        BEGIN, Connection("ssh", "192.0.2.1", 40_000, 4711, "10000000000")
    )
    fields = dict(line.split("=", 1) for line in raw.decode().splitlines())
    return json.dumps({**fields, "__REALTIME_TIMESTAMP": str(int(BEGIN * 1_000_000)), "_PID": "1"})


@pytest.mark.parametrize(
    "inner",
    [JsonLines(lambda level, now: "", ""), TextLines(lambda level, now: "", "")],
    ids=["json", "text"],
)
def test_the_journal_may_wrap_either_form(tmp_path: Path, inner: Lines) -> None:
    path = tmp_path / "journal.json"
    foreign = json.dumps({"MESSAGE": "Started session 5.", "_COMM": "systemd"})
    blob = json.dumps({"MESSAGE": [104, 255], "_COMM": "other"})
    path.write_text("\n".join([foreign, journal_entry(inner), blob]))
    log = read(path)
    assert list(log.traffic) == EXPECTED[:1]
    assert log.faulty == 0


def test_the_head_of_a_system_logger_is_passed_by(tmp_path: Path) -> None:
    lines = JsonLines(syslog_head(3, 5), "\n")
    path = tmp_path / "daemon.log"
    path.write_bytes(lines.connection(BEGIN, Connection("ssh", "192.0.2.1", 40_000, 4711, "10000000000")))
    assert list(read(path).traffic) == EXPECTED[:1]


def test_refusals_without_a_name_are_a_count(tmp_path: Path) -> None:
    made = script()
    made.event(5, EventName.REFUSED, "repeated 95 times", reason="source-rate", repeated=95)
    made.event(6, EventName.REFUSED, reason="loop")
    path = tmp_path / "superd.log"
    path.write_bytes(made.text)
    log = read(path)
    assert log.unnamed == {"source-rate": 95, "loop": 1}
    assert list(log.traffic) == EXPECTED


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"{}",
    b'{"event":"end"} {}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"event":7}',
    b'{"event":"connection","service":"ssh"}',
    b'{"event":"connection","service":"ssh","time":"yesterday","source":"192.0.2.1","id":"1"}',
    b'{"event":"connection","service":"ssh","time":"2026-11-23T09:00:00","source":"192.0.2.1","id":"1"}',
    b'{"event":"connection","service":"ssh","time":5,"source":"192.0.2.1","id":"1"}',
    b'{"event":"connection","service":"ssh","time":"9999-11-23T09:00:00.000Z","source":"192.0.2.1","id":"1"}',
    b'{"event":"connection","service":"ssh","time":"2026-11-23T09:00:00.000Z","source":"example","id":"1"}',
    b'{"event":"connection","service":"ssh","time":"2026-11-23T09:00:00.000Z","source":"192.0.2.1","id":"x"}',
    b'{"event":"connection","service":"ssh","time":"2026-11-23T09:00:00.000Z","source":"192.0.2.1","id":1}',
    b'{"event":"connection","service":"ssh","time":"2026-11-23T09:00:00.000Z","source":[],"id":"1"}',
    b'{"event":"refused","service":"ssh","time":"2026-11-23T09:00:00.000Z","source":"192.0.2.1","reason":"mood"}',
    b'{"event":"refused","service":"ssh","time":"2026-11-23T09:00:00.000Z","reason":["loop"]}',
    b'{"MESSAGE":"x","SUPERD_EVENT":"end","__REALTIME_TIMESTAMP":"x"}',
]


@pytest.mark.parametrize("line", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_line_is_told_and_passed_by(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "superd.log"
    first, rest = script().text.split(b"\n", 1)
    path.write_bytes(first + b"\n" + line + b"\n" + rest)
    log = read(path)
    assert log.faulty == 1
    assert log.told[0].startswith(f"{path}:2: ")
    assert "\n" not in log.told[0]
    assert list(log.traffic) == EXPECTED


def test_only_the_first_few_are_told(tmp_path: Path) -> None:
    path = tmp_path / "superd.log"
    path.write_bytes(b"x\n" * 100)
    log = read(path)
    assert (log.faulty, len(log.told)) == (100, 5)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_line_ends_the_reading(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(content + b"\n" + script().text.splitlines(True)[0])
    log = read(path)
    assert log.lines == 0 or log.faulty or log.traffic.period == (NOW, NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T09:00:00.001Z", 0.001),
        ("2026-11-23T10:00:00.5+01:00", 0.5),
        ("2026-11-23T08:59:59.999999Z", -0.000001),
        ("2026-11-23T09:00:00Z", 0),
    ],
)
def test_times_are_exact(tmp_path: Path, text: str, seconds: float) -> None:
    path = tmp_path / "superd.log"
    fields = {"time": text, "event": "connection", "service": "ssh", "source": "192.0.2.1", "id": "1"}
    path.write_text(json.dumps(fields))
    assert next(iter(read(path).traffic)).time == NOW + round(seconds * NS_PER_S)


def test_the_size_is_that_of_all_files(tmp_path: Path) -> None:
    path = tmp_path / "superd.log"
    path.write_bytes(script().text)
    told: list[int] = []
    read_logs([str(path), str(path)], "ssh", told.append)
    assert size([str(path), str(path)]) == told[-1] == 2 * path.stat().st_size
    assert size([str(path), "-"]) is None
