"""A caller at work: it imports a handler, forks for each connection, and tells who ended."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.services import service

from superd.config.model import Handler, ResourceLimit, StandardError
from superd.handler.loading import LoadError
from superd.spawner.handlers import Caller, CallerGoneError, Ended, fitting, start_caller
from superd.wire.messages import Peer

PATIENCE_S = 30
PEER = Peer(socket.AF_INET, b"\xc0\0\2\7", 50000, b"\xc0\0\2\1", 79)
ENVIRONMENT = {b"PATH": b"/usr/bin:/bin", b"GREETING": b"hello"}


@pytest.fixture(autouse=True)
def null() -> Iterator[None]:
    """Descriptor 0 as a spawner has it: /dev/null, to be written to as well."""
    before, both_ways = os.dup(0), os.open(os.devnull, os.O_RDWR)
    os.dup2(both_ways, 0)
    yield
    os.dup2(before, 0)
    os.close(before)
    os.close(both_ways)


@contextmanager
def caller(folder: Path, code: str, **settings: object) -> Iterator[Caller]:
    (folder / "served.py").write_text(code)
    one = start_caller(
        service("it", handler=Handler(f"{folder}/served.py", "serve"), exec=(), **settings), ENVIRONMENT
    )
    assert one is not None
    try:
        yield one
    finally:
        one.close()
        os.waitpid(one.pid, 0)


def call(one: Caller, peer: Peer = PEER) -> tuple[int, socket.socket, int]:
    """The child's pid, the client's end, and where its log arrives."""
    client, server = socket.socketpair()
    client.settimeout(PATIENCE_S)
    reader, writer = os.pipe()
    with server:
        try:
            pid = one.start(server.fileno(), writer, peer)
        finally:
            os.close(writer)
    return pid, client, reader


def ended(one: Caller, count: int = 1) -> list[Ended]:
    found: list[Ended] = []
    while len(found) < count:
        assert one.has_news or select.select([one.fileno()], [], [], PATIENCE_S)[0], "nobody ended"
        found += one.ended()
    return found


def rest(client: socket.socket, log: int) -> tuple[bytes, bytes]:
    with client, os.fdopen(log, "rb") as lines:
        return b"".join(iter(lambda: client.recv(65536), b"")), lines.read()


def test_a_service_without_a_handler_has_no_caller() -> None:
    assert start_caller(service(), ENVIRONMENT) is None


def test_a_child_is_forked_called_and_collected(tmp_path: Path) -> None:
    code = "import os, sys\ndef serve(c): c.socket.sendall(b'%d' % os.getpid()); c.log('told'); sys.exit(3)\n"
    with caller(tmp_path, code) as one:
        pid, client, log = call(one)
        answer, logged = rest(client, log)
        ((ended_pid, status, cpu, peak_kib),) = ended(one)
    assert int(answer) == pid == ended_pid and os.waitstatus_to_exitcode(status) == 3
    assert logged == b"told\n" and cpu >= 0 and peak_kib > 0


def test_the_environment_is_the_services_and_the_peers(tmp_path: Path) -> None:
    """Also for one whose peer is of another kind than the last one's."""
    code = "import json, os\ndef serve(c): c.writer.write('\\n'.join(sorted(os.environ)).encode())\n"
    with caller(tmp_path, code) as one:
        names = []
        for peer in (PEER, Peer(socket.AF_UNIX, pid=1, uid=2, gid=3), PEER):
            _, client, log = call(one, peer)
            names.append(rest(client, log)[0].decode().split("\n"))
    assert names[0] == names[2] == ["GREETING", "PATH", "PROTO", "REMOTE_ADDR", "REMOTE_HOST", "REMOTE_PORT",
                                    "TCPLOCALIP", "TCPLOCALPORT", "TCPREMOTEIP", "TCPREMOTEPORT"]  # fmt: skip
    assert names[1] == ["GREETING", "PATH", "PROTO", "UNIXREMOTEEGID", "UNIXREMOTEEUID", "UNIXREMOTEPID"]


def test_many_at_once_are_all_told_of(tmp_path: Path) -> None:
    with caller(tmp_path, "def serve(c): c.reader.read()\n") as one:
        calls = [call(one) for _ in range(40)]
        assert not one.ended()
        for _, client, log in calls:
            client.close()
            os.close(log)
        assert {pid for pid, *_ in ended(one, 40)} == {pid for pid, *_ in calls}


def test_children_that_end_at_once_are_all_told_of(tmp_path: Path) -> None:
    """Their signals come while others are being forked and collected."""
    with caller(tmp_path, "def serve(c): pass\n") as one:
        pids = []
        for _ in range(300):
            pid, client, log = call(one)
            client.close()
            os.close(log)
            pids.append(pid)
        assert sorted(pid for pid, *_ in ended(one, 300)) == sorted(pids)


def test_a_child_and_its_session_are_killed_and_no_stranger(tmp_path: Path) -> None:
    with caller(tmp_path, "import time\ndef serve(c):\n  while True: time.sleep(1000)\n") as one:
        one.kill(os.getpid(), signal.SIGKILL)  # none of its own: nobody is harmed
        pid, client, log = call(one)
        one.kill(pid, signal.SIGTERM)
        ((ended_pid, status, *_),) = ended(one)
        rest(client, log)
    assert ended_pid == pid and os.waitstatus_to_exitcode(status) == -signal.SIGTERM


def test_limits_are_the_childs_and_not_the_callers(tmp_path: Path) -> None:
    code = (
        "import resource\ndef serve(c): c.writer.write(b'%d %d' % resource.getrlimit(resource.RLIMIT_CPU))\n"
    )
    limits = {"cpu": ResourceLimit(5, 7)}
    with caller(tmp_path, code, resource_limits=limits) as one:
        for _ in range(2):
            _, client, log = call(one)
            assert rest(client, log)[0] == b"5 7"


@pytest.mark.parametrize("kind", list(StandardError))
def test_standard_error_is_what_the_service_says_and_the_log_stays_the_log(
    tmp_path: Path, kind: StandardError
) -> None:
    code = "import sys\ndef serve(c): print('error', file=sys.stderr); raise ValueError\n"
    with caller(tmp_path, code, standard_error=kind) as one:
        _, client, log = call(one)
        answer, logged = rest(client, log)
    assert answer == (b"error\n" if kind is StandardError.SOCKET else b"")
    assert (b"error\n" in logged) == (kind is StandardError.LOG) and logged.endswith(b"ValueError\n")


def test_signals_that_a_module_takes_make_nobody_deaf(tmp_path: Path) -> None:
    code = (
        "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "def serve(c): c.writer.write(repr(signal.pthread_sigmask(signal.SIG_BLOCK, [])).encode())\n"
    )
    with caller(tmp_path, code) as one:
        pid, client, log = call(one)
        assert rest(client, log)[0] == b"set()"
        assert [found for found, *_ in ended(one)] == [pid]


def test_a_program_that_a_module_starts_has_no_link(tmp_path: Path) -> None:
    code = (
        "os.system('ls -l /proc/self/fd > seen')\ndef serve(c): c.writer.write(open('seen', 'rb').read())\n"
    )
    with caller(tmp_path, f"import os\nos.chdir({str(tmp_path)!r})\n{code}") as one:
        _, client, log = call(one)
        seen, _ = rest(client, log)
    assert b"/dev/null" in seen and b"socket:" not in seen


def test_a_module_that_raises_is_told_with_its_traceback(tmp_path: Path) -> None:
    with (
        pytest.raises(LoadError) as raised,
        caller(tmp_path, "def inner(): raise ValueError('\\x1b[0mé')\ninner()\n"),
    ):
        pass
    lines = raised.value.lines
    assert lines[0] == "Traceback (most recent call last):"
    assert "served.py" in lines[1] and lines[-1] == "ValueError: ?[0m\\xe9"


def test_a_module_that_ends_the_process_is_told_too(tmp_path: Path) -> None:
    with (
        pytest.raises(CallerGoneError, match="ended with status 7"),
        caller(tmp_path, "import os\nos._exit(7)\n"),
    ):
        pass


def test_a_caller_that_died_is_told_by_whatever_asks_it(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text("def serve(c): pass\n")
    asked = service("it", handler=Handler(f"{tmp_path}/served.py", "serve"), exec=())
    for ask in (Caller.ended, lambda one: one.start(0, 0, PEER), lambda one: one.kill(1, 15)):
        one = start_caller(asked, ENVIRONMENT)
        assert one is not None
        os.kill(one.pid, signal.SIGKILL)
        os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(CallerGoneError, match="was killed by SIGKILL"):
            ask(one)
        one.close()


def test_a_traceback_is_cut_to_what_a_message_carries() -> None:
    lines = fitting(["x" * 1000] * 100)
    assert len(lines) * 2 * (len(lines[0]) + 4) < 16 * 1024
