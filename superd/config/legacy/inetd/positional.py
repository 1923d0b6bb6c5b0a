"""A line of fields: ``[host:]service type protocol wait user program argv…``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from superd.config.legacy.carried import Fate, Origin
from superd.config.legacy.inetd.dialects import Accounts, Dialect
from superd.config.legacy.inetd.entries import Entry, EntryError, Limits, Note

FIELDS = ("service", "socket type", "protocol", "wait", "user", "program")
MAX_ARGV = 20
"""What the BSD inetds keep of a program's words."""

TYPES = ("stream", "dgram", "raw", "rdm", "seqpacket")
_WAIT = re.compile(r"(?P<word>nowait|wait)(?:(?P<mark>[.:/])(?P<rest>.*))?", re.S)
_NUMBERS = re.compile(r"\d{1,9}(?:/\d{1,9}){0,2}")
_HOST = re.compile(r"(?P<hosts>.*):(?P<service>[^:\]]*)", re.S)


def split_hosts(field: str) -> tuple[tuple[str, ...], str]:
    """The hosts before a service, and the service: what is behind the last colon.

    Returns:
        The hosts without brackets, and the service, which is empty for a line that only names hosts.
    """
    match = _HOST.fullmatch(field)
    if match is None:
        return (), field
    hosts = tuple(host.strip("[]") for host in match["hosts"].split(",") if host)
    return hosts, match["service"]


def is_service(words: Sequence[str]) -> bool:
    """Whether words look like a line of fields: for what stands behind a mark that switches a service off."""
    return len(words) >= len(FIELDS) and words[1].partition(":")[0] in TYPES and "wait" in words[3]


def entry_of(words: Sequence[str], origin: Origin, dialect: Dialect, hosts: tuple[str, ...]) -> Entry:
    """The service of a line.

    Args:
        words: of the line, continuations included.
        origin: where it stands.
        dialect: whose it is.
        hosts: of the last line that named some for all that follow.

    Raises:
        EntryError: it is none.
    """
    if len(words) < len(FIELDS):
        missing = FIELDS[len(words)]
        raise EntryError(f"{len(words)} fields of {len(FIELDS)}: no {missing}")
    name, type_, protocol, wait, user, program, *argv = words
    notes: list[Note] = []
    own, service, owner = _service(name, protocol, dialect)
    socket_type, _, accept = type_.partition(":")
    socket_type, _, most = socket_type.partition(",")
    base, *options = protocol.split(",")
    waits, limits = _wait(wait, dialect, notes)
    if most:
        limits = Limits(limits.per_min, _number(most), limits.per_source_per_min, limits.per_source)
    if len(argv) >= MAX_ARGV and dialect.accounts is not Accounts.SLASH:
        notes.append(Note(Fate.NOTED, f"{dialect.words} kept {MAX_ARGV} words; superd passes all", "exec"))
    return Entry(
        origin=origin,
        hosts=() if base == "unix" else own or hosts,
        service=service,
        socket_type=socket_type,
        protocol=base,
        wait=waits,
        user=user,
        program=program,
        argv=tuple(argv),
        buffers=_buffers(options),
        filter=accept,
        limits=limits,
        socket_owner=owner,
        notes=tuple(notes),
    )


def _service(name: str, protocol: str, dialect: Dialect) -> tuple[tuple[str, ...], str, tuple[str, str, str]]:
    """Hosts, service, and the owner of a unix socket."""
    if protocol.partition(",")[0] == "unix":
        parts = name.split(":", 4)
        if name.startswith(":") and len(parts) == 5:
            return (), parts[4], (parts[1], parts[2], parts[3])
        return (), name, ("", "", "")
    hosts, service = split_hosts(name)
    if hosts and not dialect.has_hosts:
        raise EntryError(f"{dialect.words} knows no address before the service")
    return hosts, service, ("", "", "")


def _wait(word: str, dialect: Dialect, notes: list[Note]) -> tuple[bool, Limits]:
    match = _WAIT.fullmatch(word)
    if match is None:
        found = _WAIT.match(word)
        if found is None or not dialect.is_prefix:
            raise EntryError(f"{word} is neither wait nor nowait")
        return found["word"] == "wait", Limits()
    waits, mark, rest = match["word"] == "wait", match["mark"], match["rest"]
    if not mark:
        return waits, Limits()
    if not _NUMBERS.fullmatch(rest) or (mark != "/" and "/" in rest):
        raise EntryError(f"{word}: no number behind {mark}")
    if mark not in dialect.limit_marks:
        if mark == ":":
            raise EntryError(f"{word}: {dialect.words} has no : there")
        ignored = f"{dialect.words} did not read what is behind {match['word']}"
        if mark == ".":
            notes.append(Note(Fate.NOTED, f"{ignored}; superd leaves it out too"))
            return waits, Limits()
        notes.append(Note(Fate.NOTED, f"{ignored}; superd takes it for the limits that FreeBSD has there"))
    return waits, _slashed(rest) if mark == "/" else Limits(per_min=int(rest))


def _slashed(rest: str) -> Limits:
    """FreeBSD's ``max-child[/max-connections-per-ip-per-minute[/max-child-per-ip]]``."""
    numbers = [int(number) for number in rest.split("/")]
    children, per_source_per_min, per_source = [*numbers, None, None][:3]
    return Limits(None, children, per_source_per_min, per_source)


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise EntryError(f"{text} is not a number")
    return int(text)


def _buffers(options: Sequence[str]) -> dict[str, str]:
    found = {}
    for option in options:
        name, _, value = option.partition("=")
        if name not in ("sndbuf", "rcvbuf"):
            raise EntryError(f"{option}: not an option of a protocol")
        found[name] = value
    return found
