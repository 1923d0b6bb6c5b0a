"""Which program of a tree of processes one is looking at: ``--depth N``.

The first program is on level 1, what it executes on level 2, and so on; a fork stays on its level. A program in memory
is known by the 16 random bytes that the kernel gives to each (AT_RANDOM, getauxval(3)), and which its forks inherit. An
attempt to execute is announced before it is known to succeed, so the level of a new program is found out when it first
asks for something: it is one below the program that announced it.
"""

from __future__ import annotations

from collections.abc import Callable

ImageOf = Callable[[int], bytes]
"""The random bytes of the program that a process runs; empty when they cannot be read."""


class Levels:
    """The levels of all programs that were seen.

    Args:
        image_of: tells which program a process runs.
    """

    def __init__(self, image_of: ImageOf) -> None:
        self._image_of = image_of
        self._levels: dict[bytes, int] = {}
        self._announced: dict[int, int] = {}  # process -> the level of what it is to execute

    def first(self, pid: int) -> None:
        """The process that will execute the first program."""
        self._levels[self._image_of(pid)] = 0

    def announce(self, pid: int) -> None:
        """A process is about to execute something."""
        self._announced[pid] = self.of(pid) + 1

    def of(self, pid: int) -> int:
        """The level that a process is on."""
        image = self._image_of(pid)
        if image not in self._levels:
            self._settle()
        if image not in self._levels and image:  # whoever executed it has forked and gone
            self._levels[image] = max(self._announced.values(), default=0)
        return self._levels.get(image, max(self._levels.values(), default=0))

    def _settle(self) -> None:
        """Note which programs those that announced one run now; forget those that are gone, or got no further."""
        for pid, level in list(self._announced.items()):
            image = self._image_of(pid)
            if image and image not in self._levels:
                self._levels[image] = level
                del self._announced[pid]
