"""Sinks on real descriptors: sockets, pipes, files, a full disk."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from superd.log import Connection, EventName, Level, Logger, Sink, SinkKind, obstacle, open_sink
from superd.log.sink import MAX_BUFFER_BYTES

NOW = 1795559101.125
STAMP = b"2026-11-24T22:25:01.125Z "


def logger_on(kind: SinkKind, fd: int, log_format: str = "text") -> "closing[Logger]":
    return closing(Logger(Sink(kind, fd, log_format), lambda: NOW))


@contextmanager
def unix_server(path: Path, kind: socket.SocketKind = socket.SOCK_DGRAM) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(str(path))
        if kind == socket.SOCK_STREAM:
            server.listen()
        server.setblocking(False)
        yield server


@contextmanager
def standard_error_is(fd: int) -> Iterator[None]:
    saved = os.dup(2)
    os.dup2(fd, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe; its write end belongs to the test, its read end does not block."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    os.close(read)


def read_all(fd: int) -> bytes:
    found = b""
    try:
        while chunk := os.read(fd, 65536):
            found += chunk
    except BlockingIOError:
        pass
    return found


# Daemons behind a socket


def test_restarted_daemon_gets_lines_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with ExitStack() as stack:
        first = stack.enter_context(unix_server(path))
        logger = stack.enter_context(logger_on(*open_sink("syslog", syslog_socket=str(path))))
        first.close()
        logger.log(EventName.STATE, Level.INFO, service="between")
        logger.flush()
        assert logger.pending
        second = stack.enter_context(unix_server(path))
        logger.log(EventName.STATE, Level.INFO, service="after")
        logger.flush()
        assert second.recv(1024).endswith(b"state service=between")
        assert second.recv(1024).endswith(b"state service=after")
        assert not logger.pending


def test_syslog_falls_back_to_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with unix_server(path, socket.SOCK_STREAM) as server:
        kind, fd = open_sink("syslog", syslog_socket=str(path))
        assert kind is SinkKind.SYSLOG_STREAM
        with logger_on(kind, fd) as logger, server.accept()[0] as syslogd:
            logger.log(EventName.START, Level.NOTICE)
            logger.log(EventName.STOP, Level.NOTICE)
            logger.flush()
            records = syslogd.recv(1024).split(b"\0")
    assert [record.rpartition(b": ")[2] for record in records] == [b"start", b"stop", b""]


def test_slow_daemon_never_blocks(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with unix_server(path) as server, logger_on(*open_sink("syslog", syslog_socket=str(path))) as logger:
        for number in range(5000):
            logger.log(EventName.STATE, Level.INFO, number=number)
        logger.flush()
        assert logger.pending
        for number in range(5000):
            assert server.recv(1024).endswith(b"number=%d" % number)
            logger.flush()


def test_record_too_large_for_a_datagram_is_lost_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with unix_server(path) as server:
        kind, fd = open_sink("syslog", syslog_socket=str(path))
        with socket.socket(fileno=os.dup(fd)) as twin:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel makes it its least, 4608
        with logger_on(kind, fd) as logger:
            logger.log(EventName.STATE, Level.INFO, "x" * 8000)
            logger.log(EventName.STATE, Level.INFO, "y")
            logger.flush()
            assert server.recv(1024).endswith(b"message=y")
            assert b"lost level=warning lines=1 error=EMSGSIZE" in server.recv(1024)


def test_missing_daemon_is_an_error_that_names_it(tmp_path: Path) -> None:
    for log in ("journal", "syslog"):
        path = str(tmp_path / "nobody")
        with pytest.raises(FileNotFoundError) as caught:
            open_sink(log, path, path)
        assert caught.value.filename == path


# Standard error


@pytest.mark.parametrize("left_over", [True, False])
def test_default_is_stderr_where_no_journal_answers(tmp_path: Path, left_over: bool) -> None:
    path = tmp_path / "journal"
    if left_over:
        with unix_server(path):
            pass
    kind, fd = open_sink("", str(path))
    os.close(fd)
    assert kind is SinkKind.STDERR


def test_default_is_the_journal_where_it_answers(tmp_path: Path) -> None:
    with unix_server(tmp_path / "journal"):
        kind, fd = open_sink("", str(tmp_path / "journal"))
        os.close(fd)
    assert kind is SinkKind.JOURNAL


def test_stderr_does_not_block_and_leaves_the_shared_pipe_alone(pipe: tuple[int, int]) -> None:
    read, write = pipe
    with standard_error_is(write):
        kind, fd = open_sink("stderr")
        assert os.get_blocking(2)
    os.close(write)
    assert not os.get_blocking(fd)
    assert not os.get_inheritable(fd)
    with logger_on(kind, fd) as logger:
        logger.log(EventName.START, Level.NOTICE)
        logger.flush()
        assert read_all(read) == STAMP + b"start\n"


def test_stderr_in_a_file_is_shared_with_whoever_else_writes_there(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb", buffering=0) as file:
        file.write(b"before\n")
        with standard_error_is(file.fileno()):
            kind, fd = open_sink("stderr")
        with logger_on(kind, fd) as logger:
            logger.log(EventName.START, Level.NOTICE)
        file.write(b"after\n")
    assert path.read_bytes() == b"before\n" + STAMP + b"start\nafter\n"


def test_stderr_to_a_pipe_nobody_reads_is_opened_all_the_same() -> None:
    read, write = os.pipe()
    os.close(read)
    with standard_error_is(write):
        kind, fd = open_sink("stderr")
    os.close(write)
    with logger_on(kind, fd) as logger:
        logger.log(EventName.START, Level.NOTICE)
        logger.flush()
        assert logger.pending


def test_stderr_that_the_journal_reads_gets_priorities(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, journald = socket.socketpair()
    with journald:
        status = os.fstat(ours.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        with ours, standard_error_is(ours.fileno()):
            kind, fd = open_sink("stderr")
        with logger_on(kind, fd) as logger:
            logger.log(EventName.ERROR, Level.ERR, "no")
            logger.flush()
            assert journald.recv(1024) == b"<3>error level=err message=no\n"


# Files


def test_file_is_appended_to_and_not_for_everyone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for event in (EventName.START, EventName.STOP):
        with logger_on(*open_sink(str(path))) as logger:
            logger.log(event, Level.NOTICE)
    assert path.read_bytes() == STAMP + b"start\n" + STAMP + b"stop\n"
    assert stat.S_IMODE(path.stat().st_mode) & ~0o640 == 0


def test_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "log").symlink_to("target")
    with pytest.raises(OSError, match="symbolic link") as caught:
        open_sink(str(tmp_path / "log"))
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/full"])
def test_odd_device_is_refused(path: str) -> None:
    with pytest.raises(OSError, match="neither a file"):
        open_sink(path)


def test_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_sink(str(tmp_path))


def test_null_device_is_a_log() -> None:
    with logger_on(*open_sink("/dev/null")) as logger:
        logger.log(EventName.START, Level.NOTICE)
        logger.flush()
        assert not logger.pending


def test_fifo_keeps_lines_for_its_next_reader(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with logger_on(*open_sink(str(path))) as logger:
        logger.log(EventName.START, Level.NOTICE)
        logger.flush()
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert read_all(reader) == STAMP + b"start\n"
        finally:
            os.close(reader)


def test_rotated_file_is_left_for_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with logger_on(*open_sink(str(path))) as logger:
        logger.log(EventName.START, Level.NOTICE)
        path.rename(tmp_path / "log.1")
        logger.replace_sink(Sink(*open_sink(str(path))))
        logger.log(EventName.RELOAD, Level.NOTICE)
    assert (tmp_path / "log.1").read_bytes() == STAMP + b"start\n"
    assert path.read_bytes() == STAMP + b"reload\n"


def test_lines_a_full_disk_did_not_take_are_reported_by_the_next_sink(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with logger_on(SinkKind.FILE, os.open("/dev/full", os.O_WRONLY)) as logger:
        for _ in range(3):
            logger.log(EventName.STATE, Level.INFO)
        logger.flush()
        assert logger.pending
        logger.replace_sink(Sink(*open_sink(str(path))))
    lost = b'lost level=warning lines=3 error=ENOSPC message="3 lines of the log were lost"\n'
    assert path.read_bytes() == STAMP + lost


# Full pipes


@pytest.mark.parametrize("blocking", [True, False])
def test_full_pipe_never_blocks_and_the_loss_is_one_line(pipe: tuple[int, int], blocking: bool) -> None:
    read, write = pipe
    os.set_blocking(write, blocking)
    said = 3 * MAX_BUFFER_BYTES // 100
    with logger_on(SinkKind.STDERR, write) as logger:
        for number in range(said):
            logger.log(EventName.STATE, Level.INFO, "x" * 60, number=number)
            if number % 100 == 0:
                logger.flush()
        found = b""
        while logger.pending:
            found += read_all(read)
            logger.flush()
        found += read_all(read)
    *kept, last = found.splitlines()
    numbers = [int(line.split(b"number=")[1].split()[0]) for line in kept]
    assert numbers == list(range(len(kept)))
    assert b"lost level=warning lines=%d error=EAGAIN" % (said - len(kept)) in last


def test_lines_in_a_pipe_are_whole_whoever_else_writes(pipe: tuple[int, int]) -> None:
    read, write = pipe
    twin = os.dup(write)
    os.set_blocking(write, False)
    with logger_on(SinkKind.STDERR, write) as one, logger_on(SinkKind.STDERR, twin) as two:
        for number in range(2000):
            one.log(EventName.STATE, Level.INFO, "x" * (number % 199), who="one")
            two.log(EventName.STATE, Level.INFO, "y" * (number % 211), who="two")
        found = b""
        while one.pending or two.pending:
            one.flush()
            two.flush()
            found += read_all(read)
        found += read_all(read)
    lines = found.splitlines()
    assert len(lines) == 4000
    assert all(line.startswith(STAMP + b"state who=") for line in lines)


def test_line_written_in_part_goes_on_where_it_stopped() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        theirs.setblocking(False)
        found = b""
        with logger_on(SinkKind.STDERR, ours.detach()) as logger:
            for number in range(100):
                logger.log(EventName.STATE, Level.INFO, "z" * 3000, number=number)
            logger.flush()
            while logger.pending:
                found += theirs.recv(100_000)
                logger.flush()
            found += theirs.recv(1_000_000)
    assert [line.split()[2] for line in found.splitlines()] == [b"number=%d" % n for n in range(100)]


def test_lines_of_one_wake_up_are_one_write() -> None:
    # A pipe in packet mode (O_DIRECT, pipe(2)) keeps writes apart.
    read, write = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
    try:
        with logger_on(SinkKind.STDERR, write) as logger:
            for _ in range(20):
                logger.connection(Connection("ssh", "192.0.2.1", 5022, 4711, "1-8"))
            logger.flush()
            assert os.read(read, 65536).count(b"\n") == 20
    finally:
        os.close(read)


# --- what can be said before it is opened ---


def test_a_log_that_can_be_opened_meets_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    for log in ("", "stderr", str(tmp_path / "there"), str(tmp_path / "new")):
        assert obstacle(log) == ""
    assert not (tmp_path / "new").exists()


def test_a_log_that_cannot_be_opened_meets_one(tmp_path: Path) -> None:
    none = str(tmp_path / "socket")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for log in (str(tmp_path), str(tmp_path / "no" / "log"), str(tmp_path / "link"), "journal", "syslog"):
        assert obstacle(log, none, none)
        with pytest.raises(OSError):
            open_sink(log, none, none)


def test_a_log_daemon_that_is_there_is_no_obstacle(tmp_path: Path) -> None:
    with unix_server(tmp_path / "socket") as server:
        path = str(server.getsockname())
        assert (obstacle("journal", path, path), obstacle("syslog", path, path)) == ("", "")
