"""Room for descriptors beyond the limit that children inherit.

Children inherit the spawner's soft limit on open files, so it must be the one the service asks for, though the
spawner itself holds a pipe for each child that lives. Where it has come near that limit it lifts it, up to the
hard one, for just as long as it takes descriptors in.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator, Sequence

from superd.wire.messages import MAX_BATCH

HEADROOM = 4 * MAX_BATCH


class DescriptorBudget:
    """Whether the soft limit is near, learnt from the numbers of descriptors received (the kernel gives the
    lowest free one)."""

    def __init__(self) -> None:
        self.soft, self.hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.crowded = False

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
