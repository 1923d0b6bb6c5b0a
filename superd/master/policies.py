"""What the acceptor needs to decide, and may not read itself: banners, hosts.allow and hosts.deny."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from superd.config.files import read_trusted
from superd.config.findings import RejectedError, reject
from superd.config.model import Builtin, Service
from superd.config.places import HOSTS_ALLOW, HOSTS_DENY
from superd.config.quotes import MAX_QUOTES_BYTES, split_quotes
from superd.errors import ConfigError, Fault
from superd.master.loop import Loop
from superd.master.services import Managed
from superd.policy.hosts_access import parse_rules
from superd.wire.policies import HostsFiles, ServicePolicy

MAX_BANNER_BYTES = 8 * 1024
"""A banner is sent without waiting, so it must fit what the kernel takes at once."""

MAX_HOSTS_CHARS = 512 * 1024
"""Of one of the files. Even if JSON needs six bytes for each, both fit a ``HostsFiles``."""

LOOK_S = 2.0
"""How often superd looks whether hosts.allow or hosts.deny has changed, while a service asks them."""


def policy_of(id_: int, service: Service) -> ServicePolicy:
    """``ServicePolicy`` of a service, with its banners as they are now (empty where one cannot be read any more), and
    without a note."""
    return ServicePolicy(
        service=id_,
        limits=service.limits,
        access=service.access,
        proxy_protocol=service.proxy_protocol,
        banner_denied=_banner(service.access.banner_denied),
        banner_limited=_banner(service.limits.banner_limited),
        note="",
        banner=_banner(service.banner, quotes=service.builtin is Builtin.QOTD),
    )


def _banner(path: str, *, quotes: bool = False) -> str:
    try:
        return read_banner(path, quotes=quotes) if path else ""
    except RejectedError:  # preflight.py has said so
        return ""


def read_banner(path: str, *, quotes: bool = False) -> str:
    """The text that clients are sent.

    Args:
        quotes: it is a file of quotes, of which each client is sent one.

    Raises:
        RejectedError: it cannot be read, others could have written it (clients would then be shown any file that
            root can read), it is too long, or no file of quotes.
    """
    text = read_trusted(path)
    size_bytes, most = len(text.encode()), MAX_QUOTES_BYTES if quotes else MAX_BANNER_BYTES
    if size_bytes > most:
        raise reject(f"{size_bytes} bytes", f"use at most {most}")
    if quotes:
        split_quotes(text)
    return text


def daemons_of(service: Service) -> frozenset[str]:
    """The names under which hosts.allow and hosts.deny know a service: its program's, as tcpd has it, and its own."""
    program = {os.path.basename(service.exec[0])} if service.exec else set[str]()
    return frozenset({*program, service.name})


def read_hosts() -> HostsFiles:
    """Both files as they are; one that does not exist is empty. Source: hosts_access(5).

    Raises:
        ConfigError: one cannot be read, others could have written it, or it is no such file.
    """
    texts = [_read_hosts(path) for path in (HOSTS_ALLOW, HOSTS_DENY)]
    return HostsFiles(*texts)


def _read_hosts(path: str) -> str:
    if not os.path.lexists(path):
        return ""
    try:
        text = read_trusted(path)
        if len(text) > MAX_HOSTS_CHARS:
            raise reject(f"{len(text)} characters", f"use at most {MAX_HOSTS_CHARS}")
    except RejectedError as error:
        found = error.findings[0]
        raise ConfigError([Fault(path, "", found.problem, found.remedy)]) from error
    return text


def hosts_faults(files: HostsFiles, services: Iterable[Service]) -> list[Fault]:
    """What superd cannot obey of the rules that concern these services, each of them by itself."""
    try:
        both = [
            parse_rules(text, path, grants=grants)
            for path, text, grants in ((HOSTS_ALLOW, files.allow, True), (HOSTS_DENY, files.deny, False))
        ]
    except ConfigError as error:
        return list(error.faults)
    found = (
        fault for service in services for rules in both for fault in rules.faults_for(daemons_of(service))
    )
    return list(dict.fromkeys(found))


class HostsWatch:
    """Notices when hosts.allow or hosts.deny changes, as those expect who are used to tcpd.

    Args:
        services: those that ask the files. What one that is off has in them, which may be why, counts for nothing:
            the others would wait for the files as long.
        changed: given the files when they are in order.
        complain: told what is wrong with them; those that were good last stay in force.
    """

    def __init__(
        self,
        loop: Loop,
        services: Callable[[], list[Managed]],
        changed: Callable[[HostsFiles], None],
        complain: Callable[[str], None],
    ) -> None:
        self.files: HostsFiles | None = None
        self._loop = loop
        self._services = services
        self._changed = changed
        self._complain = complain
        self._seen: object = None
        self._watching = False

    def look(self) -> None:
        """Read the files if a service asks them, unless they, and the services, are those of the last time."""
        services = self._services()
        if services and not self._watching:
            self._watching = True
            self._loop.after(LOOK_S, self._look_again)
        sound = [managed.service for managed in services if not managed.fault]
        seen = *map(_signature, (HOSTS_ALLOW, HOSTS_DENY)), *(service.name for service in sound)
        if not services or seen == self._seen:
            return
        self._seen = seen
        try:
            files = read_hosts()
            faults = hosts_faults(files, sound)
            if faults:
                raise ConfigError(faults)
        except ConfigError as error:
            for fault in error.faults:
                self._complain(f"not taken over: {fault}")
            return
        if files != self.files:
            self.files = files
            self._changed(files)

    def _look_again(self) -> None:
        self._watching = False
        self.look()


def _signature(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
