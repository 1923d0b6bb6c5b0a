"""Where the log goes: opening what ``log`` names. Done by the master, as root."""

from __future__ import annotations

import errno
import os
import socket
import stat
from enum import StrEnum

JOURNAL_SOCKET = "/run/systemd/journal/socket"
SYSLOG_SOCKET = "/dev/log"

_NULL_DEVICE = os.makedev(1, 3)  # /dev/null; Linux, Documentation/admin-guide/devices.txt


class SinkKind(StrEnum):
    """What a log's descriptor leads to, as far as the form of the lines is concerned."""

    JOURNAL = "journal"  # the journal's native protocol, a datagram a line
    JOURNAL_STREAM = "journal-stream"  # standard error that the journal reads, line by line
    SYSLOG = "syslog"  # /dev/log, a datagram a line
    SYSLOG_STREAM = "syslog-stream"  # /dev/log of the syslogd that wants a stream
    STDERR = "stderr"
    FILE = "file"


def open_sink(
    log: str, journal_socket: str = JOURNAL_SOCKET, syslog_socket: str = SYSLOG_SOCKET
) -> tuple[SinkKind, int]:
    """Opens the log.

    Args:
        log: ``[superd] log``: ``journal``, ``stderr``, ``syslog`` or an absolute path; empty for the journal
            where its socket answers, else standard error.
        journal_socket: where the journal listens.
        syslog_socket: where the syslog daemon listens.

    Returns:
        The kind and a descriptor of its own (close-on-exec, never 2), for ``Sink`` here or in another process.

    Raises:
        OSError: it cannot be opened, or the path is neither a file, a fifo, a terminal nor /dev/null.
    """
    match log:
        case "":
            return _open_default(journal_socket)
        case "journal":
            return SinkKind.JOURNAL, _connect(journal_socket, socket.SOCK_DGRAM)
        case "syslog":
            return _open_syslog(syslog_socket)
        case "stderr":
            return _open_stderr()
        case path:
            return SinkKind.FILE, _open_file(path)


def obstacle(log: str, journal_socket: str = JOURNAL_SOCKET, syslog_socket: str = SYSLOG_SOCKET) -> str:
    """Why ``open_sink`` would fail, as far as can be seen without opening or making anything.

    Args:
        log, journal_socket, syslog_socket: as for ``open_sink``.

    Returns:
        The reason; empty when nothing speaks against it.
    """
    if log in ("", "stderr"):
        return ""
    daemon = {"journal": journal_socket, "syslog": syslog_socket}.get(log)
    if daemon:
        return "" if os.path.exists(daemon) else f"nothing listens on {daemon}"
    if os.path.islink(log):
        return "a symbolic link"
    if os.path.isdir(log):
        return "a folder"
    return "" if os.path.isdir(os.path.dirname(log)) else "its folder does not exist"


def _open_default(journal_socket: str) -> tuple[SinkKind, int]:
    try:
        return SinkKind.JOURNAL, _connect(journal_socket, socket.SOCK_DGRAM)
    except OSError:  # no systemd here, or a socket left in an image: what the default is for
        return _open_stderr()


def _open_syslog(path: str) -> tuple[SinkKind, int]:
    try:
        return SinkKind.SYSLOG, _connect(path, socket.SOCK_DGRAM)
    except OSError as error:
        if error.errno != errno.EPROTOTYPE:  # unix(7): the other end is of another type
            raise
    return SinkKind.SYSLOG_STREAM, _connect(path, socket.SOCK_STREAM)


def _connect(path: str, kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.setblocking(False)  # a full backlog of a stream is an error, not a wait
        try:
            sock.connect(path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        return sock.detach()


def _open_stderr() -> tuple[SinkKind, int]:
    """Standard error, opened anew where possible, so that its O_NONBLOCK is ours alone.

    The flag belongs to the open file description (open(2)), which superd shares with its children and with
    the shell that started it: set there, their writes would fail. A socket needs no flag (MSG_DONTWAIT), nor does
    a file, whose offset must stay the one that all share: they would write over our lines. Where /proc refuses
    (EACCES after a change of user, ENXIO for a pipe nobody reads) a duplicate must do.
    """
    status = os.fstat(2)
    kind = SinkKind.JOURNAL_STREAM if _is_journal_stream(status) else SinkKind.STDERR
    if stat.S_ISSOCK(status.st_mode) or stat.S_ISREG(status.st_mode):
        return kind, os.dup(2)
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return kind, os.open("/proc/self/fd/2", flags)
    except OSError:
        return kind, os.dup(2)


def _is_journal_stream(status: os.stat_result) -> bool:
    """``JOURNAL_STREAM=dev:inode`` names the very file that 2 is. Source: systemd.exec(5)."""
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _open_file(path: str) -> int:
    """A file to append to. Never through a symbolic link: somebody else may have put it there."""
    flags = os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        fd = os.open(path, os.O_WRONLY | flags, 0o640)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "a symbolic link; name the file itself", path) from error
        if error.errno != errno.ENXIO:
            raise
        # A fifo without a reader (fifo(7)): held open for reading too, it keeps the lines for the next one.
        fd = os.open(path, os.O_RDWR | flags, 0o640)
    if not _takes_lines(fd):
        os.close(fd)
        raise OSError(errno.EINVAL, "neither a file, a fifo, a terminal nor /dev/null", path)
    return fd


def _takes_lines(fd: int) -> bool:
    status = os.fstat(fd)
    if stat.S_ISCHR(status.st_mode):
        return os.isatty(fd) or status.st_rdev == _NULL_DEVICE
    return stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)
