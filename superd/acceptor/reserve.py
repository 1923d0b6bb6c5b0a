"""Descriptors that no client can take: what the master sends needs some, and so does an administrator who looks.

A message whose descriptors do not fit loses them (MSG_CTRUNC), and with them the link. So the soft limit is kept below
what this process may have, and is lifted for a moment where it matters. The kernel gives out the lowest number that is
free and compares that with the limit (getrlimit(2)), so what is spare stays so.
"""

from __future__ import annotations

import resource

SPARE = 64
"""Descriptors that are kept; of a small limit a quarter."""


class Reserve:
    """Keeps descriptors back from now on; within ``with`` they may be taken."""

    def __init__(self) -> None:
        self._limits = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._spare = min(SPARE, soft // 4)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - self._spare, hard))

    def __enter__(self) -> None:
        self._limits = soft, hard = resource.getrlimit(
            resource.RLIMIT_NOFILE
        )  # prlimit(1) may have changed them
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft + self._spare, hard), hard))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)
