"""The way to a file that a root process believes: no folder or link on it may be another's to change.

Else the owner of a folder could put a link there that leads to any file which root does believe: another service's
secrets would end up in the environment of his own.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections import deque
from collections.abc import Iterator

from superd.config.findings import reject

MOST_STEPS = 1024
"""Folders and links on one way; more than any path has that is not a loop."""


def is_trusted(owner: int) -> bool:
    """Whether what belongs to that uid may be believed: root, and whoever runs superd."""
    return owner in (0, os.geteuid())


def check_way(path: str) -> None:
    """Check every folder on the way to a file, each symbolic link followed by itself.

    In a folder with the sticky bit, as /tmp is, others may put files beside it, and links that are not followed.

    Raises:
        RejectedError: a folder or a link on the way belongs to somebody else, or others may write to a folder.
        OSError: the way has changed since the file was opened.
    """
    for step in steps(path):
        status = os.lstat(step)
        if not is_trusted(status.st_uid):
            remedy = f"chown -h root {shlex.quote(step)}, or move the file"
            raise reject(f"{step} is owned by uid {status.st_uid}, who could replace it", remedy)
        others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
        if others and stat.S_ISDIR(status.st_mode):
            remedy = f"chmod go-w {shlex.quote(step)}, or move the file"
            raise reject(f"others may write to {step} and replace it", remedy)


def steps(path: str) -> Iterator[str]:
    """The folders and links that lead to a file, in their order; not the file itself."""
    here, parts = "/", deque(os.path.join(os.getcwd(), path).split("/"))
    for _ in range(MOST_STEPS):
        if not parts:
            return
        part = parts.popleft()
        if part in ("", ".", ".."):
            here = os.path.dirname(here) if part == ".." else here
            continue
        yield here
        step = os.path.join(here, part)
        if not os.path.islink(step):
            here = step
            continue
        yield step
        target = os.readlink(step)
        here = "/" if target.startswith("/") else here
        parts.extendleft(reversed(target.split("/")))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
