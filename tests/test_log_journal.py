"""The journal's native protocol, as journald would read it."""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from superd.log import Connection, End, Event, EventName, Level, Logger, Sink, SinkKind, open_sink
from superd.log.sink import lines_for

NOW = 1795559101.125


@contextmanager
def journald(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        server.setblocking(False)
        yield server


def logger_on(path: Path) -> "closing[Logger]":
    return closing(Logger(Sink(*open_sink("journal", str(path))), lambda: NOW))


def read_journal(datagram: bytes) -> dict[str, str]:
    """A datagram as journald takes it apart."""
    found: dict[str, str] = {}
    while datagram:
        line, rest = datagram.split(b"\n", 1)
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        assert name.decode() not in found
        found[name.decode()] = value.decode()
        datagram = rest
    return found


def test_journal_gets_fields(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with journald(path) as server, logger_on(path) as logger:
        logger.log(EventName.REFUSED, Level.NOTICE, "too many\nat once", service="ssh", port=22)
        logger.flush()
        assert read_journal(server.recv(65536)) == {
            "MESSAGE": r'refused service=ssh port=22 message="too many\nat once"',
            "PRIORITY": "5",
            "SYSLOG_IDENTIFIER": "superd",
            "SYSLOG_FACILITY": "3",
            "SYSLOG_PID": str(os.getpid()),
            "SUPERD_EVENT": "refused",
            "SUPERD_SERVICE": "ssh",
            "SUPERD_PORT": "22",
        }


def test_journal_gets_connection_and_end(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with journald(path) as server, logger_on(path) as logger:
        logger.connection(Connection("ssh", "192.0.2.1", 5022, 4711, "1-8"))
        logger.end(End("ssh", "192.0.2.1", 4711, "1-8", "signalled", "SIGTERM", 1.5, 0.25, 4096))
        logger.flush()
        began, ended = (read_journal(server.recv(65536)) for _ in range(2))
    assert began["MESSAGE"] == "connection service=ssh source=192.0.2.1 port=5022 pid=4711 id=1-8"
    assert began["SUPERD_PORT"] == "5022"
    assert ended["SUPERD_SIGNAL"] == "SIGTERM"
    assert ended["SUPERD_DURATION"] == "1.5"
    assert ended["SUPERD_MEMORY"] == "4096"


@given(value=st.text(st.characters(exclude_categories=())), message=st.text())
def test_no_text_poses_as_a_field_of_the_journal(value: str, message: str) -> None:
    layout = lines_for(SinkKind.JOURNAL, "text", 3, 1)
    found = read_journal(layout.event(NOW, Event(Level.INFO, EventName.OUTPUT, {"line": value}, message)))
    assert set(found) == {
        "MESSAGE",
        "PRIORITY",
        "SYSLOG_IDENTIFIER",
        "SYSLOG_FACILITY",
        "SYSLOG_PID",
        "SUPERD_EVENT",
        "SUPERD_LINE",
    }
    if not any("\ud800" <= char <= "\udfff" for char in value):
        assert found["SUPERD_LINE"] == value


def test_newline_in_a_journal_field_takes_the_length_form() -> None:
    layout = lines_for(SinkKind.JOURNAL, "text", 3, 1)
    record = layout.event(NOW, Event(Level.INFO, EventName.OUTPUT, {"line": "a\nPRIORITY=0"}))
    assert record.endswith(b"SUPERD_LINE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n")
