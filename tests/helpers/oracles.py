"""What the inetds themselves said they would serve, and what superd makes of the same file, in the same words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from superd.config.legacy.carried import Carried, ServiceTable, dotted


class Served(NamedTuple):
    """One socket of a service."""

    protocol: str  # tcp4, tcp6, udp4, udp6, unix
    host: str  # * or an address
    port: str  # as written, or the path
    wait: bool
    user: str
    program: str  # the basename: tcpd is not superd's way, so what stands behind it cannot be compared

    def __str__(self) -> str:
        wait = "wait" if self.wait else "nowait"
        return f"{self.protocol} {self.host} {self.port} {wait} {self.user} {self.program}"


_DEBIAN = re.compile(
    r"(?:ADD|REDO): (?P<name>\S+) proto=(?P<protocol>\S+), wait\.max=(?P<wait>\d)\.\d+ "
    r"user:group=(?P<user>\S*):(?P<group>\S*) builtin=(?P<builtin>\S+) server=(?P<program>\S+)"
)
_GNU = re.compile(
    r"in\.conf:\d+: ADD : (?P<name>\S+) proto=(?P<protocol>\S+), wait=(?P<wait>\d), max=\d+, "
    r"user=(?P<user>\S*) group=(?P<group>\S*) builtin=(?P<builtin>\S+) server=(?P<program>\S+)"
)
_FAMILIES = {"debian": {"tcp": "4", "tcp4": "4", "tcp6": "6"}, "gnu": {"tcp": "4", "tcp4": "4", "tcp6": "46"}}


def said(dialect: str, text: str) -> set[Served]:
    """What an inetd said: the last word about a socket counts."""
    found = {}
    for match in (_DEBIAN if dialect == "debian" else _GNU).finditer(text):
        host, _, port = (
            match["name"].rpartition(":") if not match["name"].startswith("/") else ("", "", match["name"])
        )
        protocol = match["protocol"]
        if protocol.startswith("rpc/"):
            continue
        families = _FAMILIES[dialect].get(protocol.replace("udp", "tcp"), "")
        families = "6" if ":" in host else "4" if host[:1].isdigit() else families
        for family in families or ("",):
            group = "" if match["group"] in ("(default)", "") else f":{match['group']}"
            internal = match["program"] == "internal"
            scheme = protocol if protocol == "unix" else f"{protocol[:3]}{family}"
            served = Served(
                scheme,
                host or "*",
                port,
                match["wait"] == "1" and not internal,
                "" if internal else match["user"] + group,
                f"internal {port}" if internal else os.path.basename(match["program"]),
            )
            found[served[:3]] = served
    return set(found.values())


def carried(made: Carried) -> set[Served]:
    """What superd would serve; what only this version cannot serve yet counts as carried."""
    return {served for service in made.services if _is_meant(made, service) for served in _served(service)}


def _is_meant(made: Carried, service: ServiceTable) -> bool:
    keys = dotted(service.tables)
    return keys.get("enabled") is not False and (not service.remains_out or "builtin" in keys)


def _served(service: ServiceTable) -> Iterator[Served]:
    keys = dotted(service.tables)
    texts = keys["listen"]
    assert isinstance(texts, list)
    argv = keys.get("exec", [""])
    assert isinstance(argv, list)
    program = (
        "tcpd" if "access.hosts_access" in keys else os.path.basename(str(keys.get("exec_path", argv[0])))
    )
    if "builtin" in keys:
        program = f"internal {keys['builtin']}"
    for text in texts:
        scheme, _, rest = text.partition("://")
        host, _, port = rest.rpartition(":")
        if scheme == "unix":
            host, port = "*", rest
        for family in _families(scheme, host):
            yield Served(
                f"{scheme[:3] if scheme != 'unix' else scheme}{family}",
                host.strip("[]"),
                port,
                keys.get("mode") == "wait",
                str(keys.get("user", "")),
                program,
            )


def _families(scheme: str, host: str) -> tuple[str, ...]:
    """The families of a listener; one that is empty for a path."""
    if scheme == "unix":
        return ("",)
    if host != "*":
        return ("6",) if "[" in host else ("4",)
    return (scheme[3:],) if scheme[3:] else ("4", "6")


def corpus_folder(name: str, root: Path) -> Path | None:
    """A folder of the collection of real files; None where there is none."""
    place = Path(os.environ.get("SUPERD_CORPUS") or root.parent / "shared" / "corpus") / name
    return place if place.is_dir() else None
