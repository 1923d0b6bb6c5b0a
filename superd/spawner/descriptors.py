"""Room for descriptors beyond the limit that children inherit.

Children inherit the spawner's soft limit on open files, so it must be the one the service asks for, though the
spawner itself holds a pipe for each child that lives. Where it has come near that limit it lifts it, up to the
hard one, for just as long as it takes descriptors in.

What ``posix_spawn`` is to place goes through two low numbers kept for that: glibc refuses any at or above the soft
limit (EBADF, posix_spawn_file_actions_adddup2(3)).
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator, Mapping, Sequence

from superd.config.model import ResourceLimit
from superd.wire.messages import MAX_BATCH

HEADROOM = 4 * MAX_BATCH


class DescriptorBudget:
    """Whether the soft limit is near, learnt from the numbers of descriptors received (the kernel gives the
    lowest free one)."""

    def __init__(self) -> None:
        self.soft, self.hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.crowded = False
        self._seats = (os.dup(0), os.dup(0))

    def seen(self, descriptors: Sequence[int]) -> None:
        self.crowded = max(descriptors, default=0) + HEADROOM > self.soft

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        if not self.crowded or self.soft == self.hard:
            yield
            return
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.hard, self.hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.soft, self.hard))

    @contextlib.contextmanager
    def seated(self, descriptors: Sequence[int]) -> Iterator[list[int]]:
        """At most two descriptors, some perhaps more than once, under numbers below the soft limit."""
        seats: dict[int, int] = {}
        for descriptor in descriptors:
            if descriptor >= self.soft and descriptor not in seats:
                seats[descriptor] = os.dup2(descriptor, self._seats[len(seats)], inheritable=False)
        try:
            yield [seats.get(descriptor, descriptor) for descriptor in descriptors]
        finally:
            for seat in seats.values():
                os.dup2(0, seat, inheritable=False)  # the connection must end with its child

    def inherited(self) -> Mapping[str, ResourceLimit]:
        """What a child that is forked while the limit is lifted has to lower again."""
        return {"nofile": ResourceLimit(self.soft, self.hard)} if self.crowded else {}
