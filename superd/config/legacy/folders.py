"""A folder of old files: which of its entries are meant."""

from __future__ import annotations

import os
from collections.abc import Sequence

from superd.config.legacy.carried import LegacyError

MAX_FILES = 10_000
"""Of one folder."""

LEFTOVERS = (
    "~",
    ".bak",
    ".orig",
    ".rej",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
    ".rpmsave",
    ".rpmnew",
    ".swp",
)
"""How names end that editors and packages leave behind. GNU inetd reads those too, and so serves twice."""


def entries(folder: str) -> Sequence[str]:
    """The names in a folder.

    Raises:
        LegacyError: it cannot be read.
    """
    try:
        names = os.listdir(folder)
    except (OSError, ValueError) as error:
        told = os.strerror(error.errno or 0).lower() if isinstance(error, OSError) else "not a path"
        raise LegacyError(folder, told, "check the path") from None
    if len(names) > MAX_FILES:
        raise LegacyError(folder, f"more than {MAX_FILES} files", "name the files")
    return names


def sorted_out(folder: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The regular files of a folder, and what was left behind in it, each sorted.

    Args:
        folder: its path.
        names: what is in it.
    """
    files, leftovers = [], []
    for name in sorted(names):
        path = os.path.join(folder, name)
        if name.endswith(LEFTOVERS):
            leftovers.append(path)
        elif os.path.isfile(path):
            files.append(path)
    return files, leftovers
