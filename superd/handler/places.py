"""Where a handler's code is, found without running any of it: the master looks, and it is root.

The same folders are searched here and by the spawner that imports the handler: those of ``PYTHONPATH`` in the
service's ``environment``, then those of superd's own interpreter. Of a file, its own folder comes before them.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder

from superd.config.model import Handler

MOST_FILES = 2000
"""Files of one handler whose changes are noticed."""


def search_path(pythonpath: str = "") -> list[str]:
    """The folders in which modules are looked for.

    Args:
        pythonpath: absolute paths with colons in between; others are left out, since they would depend on the
            folder that a process is in. So is the folder of the program that superd was started by.
    """
    own = sys.path if sys.flags.safe_path else sys.path[1:]
    return [path for path in (*pythonpath.split(os.pathsep), *own) if os.path.isabs(path)]


def locate(handler: Handler, folders: Sequence[str], root: str = "") -> str:
    """The file that holds a handler; empty when there is none.

    Args:
        folders: as ``search_path`` gives them.
        root: the folder that will be / when the handler is imported.
    """
    if handler.is_file:
        path = root + handler.source
        return path if os.path.isfile(path) else ""
    importlib.invalidate_caches()
    where, origin = [root + folder for folder in folders], ""
    for name in handler.source.split(
        "."
    ):  # each by its own name: a dotted one would have its parent imported
        spec = PathFinder.find_spec(name, where)
        if spec is None:
            return ""
        where, origin = list(spec.submodule_search_locations or ()), spec.origin or ""
    return origin


def version(handler: Handler, path: str) -> tuple[int, int]:
    """What changes when a handler's code does: a module's file, a package's files, the ``.py`` files beside a file.

    Args:
        path: as ``locate`` found it.

    Returns:
        How many files there are, and a hash of their names, sizes, inodes and times.
    """
    found = []
    for file in _files(handler, path):
        try:
            status = os.stat(file)
        except OSError:  # removed in the meantime: another version
            continue
        found.append((file, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        if len(found) == MOST_FILES:
            break
    return len(found), hash(tuple(sorted(found)))


def _files(handler: Handler, path: str) -> Iterator[str]:
    yield path
    depth = 0 if handler.is_file else handler.source.count(".") + (os.path.basename(path) == "__init__.py")
    if not handler.is_file and depth == 0:
        return
    top = os.path.dirname(path)
    for _ in range(depth - 1):
        top = os.path.dirname(top)
    for folder, folders, names in os.walk(top):
        yield from (os.path.join(folder, name) for name in names if name.endswith(".py"))
        if handler.is_file:
            folders.clear()
