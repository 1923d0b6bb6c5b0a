"""How many, how fast: the numbers of an inetd as superd's limits."""

from __future__ import annotations

from superd.config.legacy.carried import Fate
from superd.config.legacy.inetd.dialects import Dialect
from superd.config.legacy.inetd.entries import Entry, Note

_CLOSED = (
    "{who} closed the service for ten minutes when it was started more often; superd refuses what is over it"
)


def limits_of(entry: Entry, dialect: Dialect, notes: list[Note]) -> dict[str, object]:
    """The keys of ``[limits]`` by their dotted names; notes are added to."""
    limits = entry.limits
    keys: dict[str, object] = {}
    starts = limits.per_min
    if starts == 0 and dialect.name == "netbsd":
        keys |= _nobody(entry, "0 starts a minute", notes)
    elif starts == 0:
        notes.append(Note(Fate.CARRIED, f"{dialect.words} took 0 for its default"))
    elif starts is not None:
        keys["limits.rate"] = f"{starts}/min"
        notes.append(Note(Fate.NOTED, _CLOSED.format(who=dialect.words), "limits.rate"))
    if limits.children:
        keys["limits.max_connections"] = limits.children
        keys["limits.on_excess"] = "queue"
    elif limits.children == 0:
        keys["limits.max_connections"] = "infinity"
    if limits.per_source:
        keys["limits.max_connections_per_source"] = limits.per_source
    elif limits.per_source == 0:
        keys["limits.max_connections_per_source"] = "infinity"
    if limits.per_source_per_min:
        keys["limits.rate_per_source"] = f"{limits.per_source_per_min}/min"
    elif limits.per_source_per_min == 0 and dialect.name == "netbsd":
        keys |= _nobody(entry, "0 connections of a source", notes)
    return _usable(entry, keys, notes)


def _nobody(entry: Entry, why: str, notes: list[Note]) -> dict[str, object]:
    """The keys of a service that listens and serves nobody."""
    told = f"{why}: NetBSD's inetd listened, and closed every connection"
    if entry.transport == "unix":
        notes.append(Note(Fate.NOTED, f"{told}; superd does not listen", "enabled"))
        return {"enabled": False}
    notes.append(Note(Fate.CARRIED, told, "access.deny"))
    return {"access.deny": ["0.0.0.0/0", "::/0"]}


def _usable(entry: Entry, keys: dict[str, object], notes: list[Note]) -> dict[str, object]:
    """Without what a service whose child owns the socket cannot have."""
    if not entry.wait or entry.is_internal:
        return keys
    unusable = {"limits.max_connections", "limits.on_excess"}
    if entry.socket_type == "stream" or entry.transport == "unix":
        unusable |= {"limits.rate_per_source", "limits.max_connections_per_source"}
    lost = [key for key in keys if key in unusable and key != "limits.on_excess"]
    if any(keys[key] not in (1, "infinity") for key in lost):
        told = f"{', '.join(lost)}: superd sees no connection of a service that gets the listening socket"
        notes.append(Note(Fate.NOT_CARRIED, told))
    return {key: value for key, value in keys.items() if key not in unusable}
