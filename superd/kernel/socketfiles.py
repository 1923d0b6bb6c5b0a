"""The file of a unix socket: made, owned and removed without following anybody else's link.

The folder is opened once and everything but bind itself works relative to that descriptor. bind gets the whole
path, since that is what getsockname then shows to programs and ss(8); it never follows a link in the last
component, and what it made is looked at again through the folder's descriptor before its owner is changed.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from superd.config.model import SocketOptions
from superd.kernel import linux
from superd.kernel.identity import IdentityError, group_id, user_id

FileId = tuple[int, int]
"""Device and inode: the identity of a file."""

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_ENTRY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH_BYTES = 107  # sun_path holds 108 with its NUL (unix(7))


def bind_file(sock: socket.socket, path: str, options: SocketOptions) -> None:
    """Bind a unix socket to an absolute path, making missing folders and replacing a stale socket.

    The file has ``socket_mode`` from its first moment. Ownership follows at once.

    Raises:
        OSError: EADDRINUSE a live socket is there, EEXIST something else is, ELOOP a symbolic link is,
            ENAMETOOLONG, EINVAL for an unknown ``socket_user`` or ``socket_group``, and what bind says;
            ``strerror`` tells which in words.
    """
    if len(os.fsencode(path)) > _PATH_BYTES:
        raise OSError(errno.ENAMETOOLONG, f"longer than {_PATH_BYTES} bytes")
    owner = _owner(options)
    parent, name = os.path.split(path)
    with _opened_folder(parent, options.directory_mode) as folder:
        _clear_place(folder, name, path, sock.type)
        with _umask(0o777 & ~options.socket_mode):
            sock.bind(path)
        if owner != (-1, -1):
            _give(folder, name, owner)


def socket_file_id(path: str) -> FileId | None:
    """Return the identity of the socket file at ``path``, for ``remove_file``; None when there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISSOCK(status.st_mode) else None


def remove_file(path: str, file_id: FileId) -> bool:
    """Remove a socket file if it still is the one of ``file_id``; return whether it was.

    Call it before closing the socket: an open socket keeps its inode number from being used again.

    Raises:
        OSError: the folder may not be written.
    """
    parent, name = os.path.split(path)
    try:
        folder = os.open(parent, _FOLDER)
    except FileNotFoundError:
        return False
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (status.st_dev, status.st_ino) != file_id:
            return False
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    finally:
        os.close(folder)
    return True


def _owner(options: SocketOptions) -> tuple[int, int]:
    """Return uid and gid for the file, -1 for what is to stay."""
    try:
        uid = -1 if options.socket_user is None else user_id(options.socket_user)
        gid = -1 if options.socket_group is None else group_id(options.socket_group)
    except IdentityError as error:
        raise OSError(errno.EINVAL, f"its owner: {error}") from error
    return uid, gid


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    """Set the umask, which is the whole process's: superd opens sockets from one thread."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _opened_folder(path: str, mode: int) -> Iterator[int]:
    """Open a folder, making what is missing on the way with exactly ``mode``.

    Links on the way are followed (/var/run is one), but never to a folder that was only just made.
    """
    folder = os.open("/", _FOLDER)
    try:
        for part in filter(None, path.split("/")):
            below = _descend(folder, part, mode)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _descend(folder: int, part: str, mode: int) -> int:
    try:
        return os.open(part, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        with _umask(0):
            os.mkdir(part, mode, dir_fd=folder)
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def _clear_place(folder: int, name: str, path: str, kind: int) -> None:
    """Make sure that nothing is in the way; only a socket that nobody listens on is removed."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "a symbolic link is there, and is not followed; remove it")
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "something else than a socket is there; move it away")
    if not _is_stale(path, kind):
        raise OSError(errno.EADDRINUSE, "another program listens on it")
    os.unlink(name, dir_fd=folder)


def _is_stale(path: str, kind: int) -> bool:
    """Return whether a socket file has no socket any more.

    connect then says ECONNREFUSED. Anything else means life: success, EAGAIN (its backlog is full), EPROTOTYPE
    (a socket of another type), EACCES (we may not know).
    """
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED


def _give(folder: int, name: str, owner: tuple[int, int]) -> None:
    """Change the owner of the socket file just bound, and of nothing that was put in its place.

    The entry is pinned by a descriptor first. It must be a socket of ours with a single name: in a folder that
    others may write to, a hard link to a third party's socket could stand here.
    """
    entry = os.open(name, _ENTRY, dir_fd=folder)
    try:
        status = os.fstat(entry)
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise OSError(errno.EPERM, "the socket file was replaced while it was being made")
        linux.fchownat(entry, "", *owner, linux.AT_EMPTY_PATH)
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(entry)
