"""The file that ``--pid-file`` asks for."""

from __future__ import annotations

import os

from superd.errors import SuperdError


class PidFileError(SuperdError):
    """The file cannot be written."""


class PidFile:
    """A pid file, opened before superd starts, so that one that cannot be is told at once.

    It is emptied and removed only by the superd that wrote it: a second one that cannot start leaves the file of
    the first alone.

    Args:
        path: absolute.

    Raises:
        PidFileError: it cannot be opened for writing, or is a symbolic link.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._ours, self._descriptor = _open(path)
        except OSError as error:
            remedy = "name a file that superd may write"
            raise PidFileError(f"--pid-file {path}: {error.strerror}; {remedy}") from error

    def write(self, pid: int) -> None:
        """superd serves: what the file held was of an earlier one."""
        self._ours = True
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{pid}\n".encode())

    def close(self) -> None:
        """superd ends: the file goes, if it is its own."""
        os.close(self._descriptor)
        if self._ours:
            try:
                os.unlink(self._path)
            except OSError:
                pass  # gone already


def _open(path: str) -> tuple[bool, int]:
    """Whether the file was made by this, and its descriptor."""
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return True, os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False, os.open(path, flags)
