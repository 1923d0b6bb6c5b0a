"""hosts.allow and hosts.deny for tests, and questions to them."""

from __future__ import annotations

import ipaddress

from superd.policy.access import Verdict
from superd.policy.hosts_access import HostsAccess, Rules, parse_rules

DENY_ALL = "ALL: ALL\n"
SSHD = frozenset({"sshd"})


def address(text: str) -> tuple[int, int]:
    """Version and value, IPv4-mapped IPv6 being IPv4."""
    parsed = ipaddress.ip_address(text)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (4, int(mapped)) if mapped is not None else (parsed.version, int(parsed))


def allow_rules(text: str) -> Rules:
    return parse_rules(text, "hosts.allow", grants=True)


def deny_rules(text: str) -> Rules:
    return parse_rules(text, "hosts.deny", grants=False)


def ask(
    client: str,
    allow: str = "",
    deny: str = DENY_ALL,
    daemons: frozenset[str] = SSHD,
    local: str = "192.0.2.1",
    port: int | None = 22,
) -> Verdict:
    files = HostsAccess(allow_rules(allow), deny_rules(deny))
    return files.verdict(daemons, *address(client), *address(local), port)


def admits(rule: str, client: str, daemons: frozenset[str] = SSHD) -> bool:
    """Whether a rule alone in hosts.allow lets a client in that is refused without it."""
    return ask(client, f"{rule}\n", daemons=daemons).allowed
