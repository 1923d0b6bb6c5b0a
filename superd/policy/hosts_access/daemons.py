"""Patterns of the daemon that a client wants: ``sshd``, ``in.*``, ``22``, ``sshd@192.0.2.1``."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from attrs import frozen

from superd.policy.hosts_access.hosts import EVERYONE, Endpoint, HostPattern, Note, host_pattern
from superd.policy.hosts_access.lines import split_at
from superd.policy.hosts_access.texts import TextMatch, daemon_match

_is_number = re.compile(r"\+?[0-9]+").fullmatch
_MAX_PORT = 65535


@frozen(eq=False)  # compared often, and then as the object that it is: one word is one pattern
class DaemonPattern:
    """One pattern.

    Args:
        name: what the daemon's name must match; None when the port is asked for instead.
        port: the server's port.
        host: what the address that the client connected to must match.
    """

    name: TextMatch | None
    port: int
    host: HostPattern

    def matches(self, daemons: Collection[str], local: Endpoint, ports: Collection[int] | None) -> bool:
        """Whether it matches a daemon, by any of its names, at an address and one of these ports (None: any)."""
        return self.may_match(daemons, ports) and self.host.matches(local)

    def may_match(self, daemons: Collection[str], ports: Collection[int] | None) -> bool:
        """Whether it matches the daemon at some address and one of these ports (None: any)."""
        if self.name is None:
            return ports is None or self.port in ports
        return any(map(self.name, daemons))

    def must_match(self, daemons: Collection[str]) -> bool:
        """Whether it matches the daemon at every address and port."""
        return self.host is EVERYONE and self.name is not None and any(map(self.name, daemons))


DaemonGroups = tuple[tuple[DaemonPattern, ...], ...]


@lru_cache(maxsize=1024)
def daemon_pattern(word: str) -> tuple[DaemonPattern, Note | None]:
    """One word of a list of daemons, and what there is to say about it."""
    daemon, at = split_at(word, "@", 1)
    host, note = (EVERYONE, None) if at is None else host_pattern(at)
    if _is_number(daemon) and int(daemon) <= _MAX_PORT:
        return DaemonPattern(None, int(daemon), host), note
    return DaemonPattern(daemon_match(daemon), 0, host), note


def daemons_match(
    groups: DaemonGroups, daemons: Collection[str], local: Endpoint, port: int | None, *, grants: bool
) -> bool:
    """Whether a list with its exceptions matches; each group does unless the next one does.

    Args:
        port: what the client connected to; None: not known, and then whatever admits fewer.
        grants: whether the rule admits.
    """
    matched = False
    for depth in reversed(range(len(groups))):
        admits = grants == (depth % 2 == 0)
        ports = (port,) if port is not None else () if admits else None
        matched = not matched and any(one.matches(daemons, local, ports) for one in groups[depth])
    return matched


def foresee(
    groups: DaemonGroups, daemons: Collection[str], ports: Collection[int] | None = None
) -> tuple[bool, bool]:
    """Whether a list may match a daemon, and whether it must, before it is known where a client connects to.

    Args:
        daemons: the names that the daemon is known by.
        ports: the ports that it can be reached at; None: not known.
    """
    may = must = False
    for group in reversed(groups):
        may, must = (
            not must and any(one.may_match(daemons, ports) for one in group),
            not may and any(one.must_match(daemons) for one in group),
        )
    return may, must
