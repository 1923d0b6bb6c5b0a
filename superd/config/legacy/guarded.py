"""Reading old files that somebody else may have written, for an administrator who may read anything.

What is imported is shown again: in the report, and in a superd.toml that many may read. So a stranger's file or link
leads to nothing that the stranger could not read himself, and what it leads to is a file, of which there are only so
many.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import IO

from attrs import field, mutable

from superd.config.files import MAX_BYTES
from superd.config.legacy.carried import LegacyError
from superd.config.legacy.folders import entries
from superd.config.ways import is_trusted, steps

MAX_TOTAL_BYTES = 4 * MAX_BYTES
"""Of all files of one import."""

MAX_LINES = 500_000
"""Of one file; a hundred bytes of memory go into each."""

_READABLE = stat.S_IROTH
_PASSABLE = stat.S_IXOTH


@mutable
class GuardedFiles:
    """The files of one import.

    Args:
        strangers: who wrote what was read so far, but root and the caller.
        read_bytes: how much that was.
    """

    strangers: set[int] = field(factory=set)
    read_bytes: int = 0

    def named(self, path: str) -> bytes:
        """The content of a file that the administrator named; it may be a pipe.

        Raises:
            LegacyError: it cannot be read, is too large, or a stranger's link leads to it who may not read it.
        """
        return self._read(path, os.O_RDONLY, set())

    def read(self, path: str) -> bytes:
        """The content of a file that another one names, or that lies in a folder.

        Raises:
            LegacyError: as ``named``; or it is no regular file, or all files together are too large.
        """
        return self._read(path, os.O_RDONLY | os.O_NONBLOCK, self.strangers)

    def stream(self, stream: IO[bytes]) -> bytes:
        """The content of standard input.

        Raises:
            LegacyError: it is too large.
        """
        content = stream.read(MAX_BYTES + 1)
        _check_size("standard input", content, len(content))
        return content

    def entries(self, folder: str) -> Sequence[str]:
        """The names in a folder.

        Raises:
            LegacyError: it cannot be read, or not by a stranger who names it.
        """
        names = entries(folder)
        _check_strangers(os.stat(folder), folder, self.strangers)
        return names

    def _read(self, path: str, flags: int, strangers: set[int]) -> bytes:
        try:
            descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOCTTY)
            with open(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if flags & os.O_NONBLOCK and not stat.S_ISREG(status.st_mode):
                    raise LegacyError(path, "not a regular file", "name a file")
                _check_strangers(status, path, strangers)
                content = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            told = os.strerror(error.errno or 0).lower() if isinstance(error, OSError) else "not a path"
            raise LegacyError(path, told, "check the path") from None
        self.read_bytes += len(content)
        _check_size(path, content, self.read_bytes)
        if not is_trusted(status.st_uid):
            self.strangers.add(status.st_uid)
        return content


def _check_size(path: str, content: bytes, read_bytes: int) -> None:
    if len(content) > MAX_BYTES:
        raise LegacyError(path, "larger than 16 MiB", "split it")
    if read_bytes > MAX_TOTAL_BYTES:
        raise LegacyError(path, "more than 64 MiB with the files before it", "import fewer at once")
    if content.count(b"\n") > MAX_LINES:
        raise LegacyError(path, f"more than {MAX_LINES} lines", "split it")


def _check_strangers(status: os.stat_result, path: str, strangers: set[int]) -> None:
    """Check that all strangers who lead to a file could read it: those who named it, and the owners of links to it."""
    way = [(step, os.lstat(step)) for step in steps(path)]
    linkers = {found.st_uid for _, found in way if stat.S_ISLNK(found.st_mode)}
    closed = {
        found.st_uid for _, found in way if stat.S_ISDIR(found.st_mode) and not found.st_mode & _PASSABLE
    }
    for stranger in sorted(uid for uid in strangers | linkers if not is_trusted(uid)):
        if stranger != status.st_uid and (not status.st_mode & _READABLE or closed - {stranger}):
            raise LegacyError(
                path, f"uid {stranger}, who leads there, may not read it", "name the file itself"
            )
