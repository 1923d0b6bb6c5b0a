"""A whole xinetd.conf with what it includes, or one file of xinetd.d, as a ``Carried``."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from superd.config.findings import RejectedError
from superd.config.keys import Key
from superd.config.legacy.carried import Carried, Fate, Remark, ServiceTable, nested
from superd.config.legacy.names import fresh_name
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.xinetd.files import Pages
from superd.config.legacy.xinetd.mapping import Translation
from superd.config.legacy.xinetd.resolve import (
    Resolved,
    copied_from,
    filled,
    late_from,
    read_defaults,
    read_service,
)
from superd.config.schema import SERVICE, TABLES
from superd.errors import UnitError

DIALECT = "xinetd"

_RATE = "50/s"
_HEAD = (
    "xinetd gives a program the connection as its standard error too, so that messages end up at the client. "
    'Here they go to the log: standard_error = "socket" brings the old way back.',
    "xinetd gives a program its own whole environment, unless passenv names a part. superd gives it PATH, HOME, USER, "
    "LOGNAME, SHELL, what is written here, and who the client is.",
    "xinetd takes 50 connections a second and then switches the service off for 10 s, unless cps says otherwise. "
    "superd refuses what is too much, and no client can switch a service off.",
    "xinetd has no limits unless instances and per_source say so; superd has 256 connections a service, and 64 a "
    "source.",
    "xinetd asks hosts.allow and hosts.deny for every service without flags = NOLIBWRAP.",
    "Programs are not in the groups of their user unless groups = yes says so.",
)
_FAITHFUL = {
    "standard_error": "socket",
    "socket.dual_stack": True,
    "limits.max_connections": "infinity",
    "limits.max_connections_per_source": "infinity",
}


def read_xinetd(file: str, content: bytes, surroundings: Surroundings, wishes: Wishes) -> Carried:
    """Import an xinetd.conf and what it includes, or one file of xinetd.d.

    Args:
        file: its name, for messages and for what it includes.
        content: what is in it.
        surroundings: how other files are read, and names looked up.
        wishes: the options of the import.
    """
    pages = Pages(surroundings)
    pages.read(file, content)
    return _carried(pages, wishes)


def _carried(pages: Pages, wishes: Wishes) -> Carried:
    faithful = wishes.faithful
    services, defaults, comes_first = _resolved(pages)
    remarks = [*pages.remarks, *(defaults.remarks if defaults else ())]
    settings = _settings(defaults, remarks)
    keys = _default_keys(services, defaults, comes_first=comes_first, faithful=faithful)
    kept = _known(keys, defaults, remarks)
    tables: list[ServiceTable] = []
    taken: set[str] = set()
    late = late_from(defaults)
    for service in services:
        name = fresh_name(service.id, taken, service.word("protocol") or service.word("socket_type"))
        taken.add(name)
        mapping = Translation(
            filled(service, late), name, pages.surroundings, kept, _off(service, defaults), wishes
        )
        tables.append(mapping.table())
        remarks += mapping.remarks
    return Carried(
        dialect=DIALECT,
        services=tuple(tables),
        settings=settings,
        defaults=nested(kept),
        head=() if not services and not kept else _HEAD[2:] if faithful else _HEAD,
        comments=tuple(pages.comments),
        remarks=tuple(remarks),
        files=tuple(pages.files),
    )


def _resolved(pages: Pages) -> tuple[list[Resolved], Resolved | None, bool]:
    """The services, the defaults, and whether these come before every service."""
    services: list[Resolved] = []
    defaults: Resolved | None = None
    copied = copied_from(None)
    comes_first = True
    for stanza in pages.stanzas:
        if stanza.kind == "service":
            services.append(read_service(stanza, copied))
            continue
        comes_first = comes_first and not services
        block = read_defaults(stanza)
        defaults = block if defaults is None else evolve(block, held={**defaults.held, **block.held})
        copied = copied_from(defaults)
    if not comes_first and defaults:
        services = [_warned(service, defaults) for service in services]
    return services, defaults, comes_first


def _warned(service: Resolved, defaults: Resolved) -> Resolved:
    """A service before the block has none of its lists, which whoever wrote it may not know."""
    missed = [
        name for name in ("only_from", "no_access") if name in defaults.held and name not in service.held
    ]
    if not missed:
        return service
    reason = f"{' and '.join(missed)} of defaults hold only for services that come after that block; not for this one"
    return evolve(service, remarks=(*service.remarks, Remark(service.stanza.origin, Fate.NOTED, reason)))


def _settings(defaults: Resolved | None, remarks: list[Remark]) -> dict[str, object]:
    """``[superd]``: where the log goes."""
    kind, *rest = (defaults.items("log_type") if defaults else ()) or ("",)
    if not defaults or not kind:
        return {}
    origin = defaults.held["log_type"].origin
    if kind == "SYSLOG":
        remarks.append(Remark(origin, Fate.SETTING, "superd.log and superd.syslog_facility"))
        return {"log": "syslog", "syslog_facility": rest[0]}
    problem = _problem(TABLES["superd"]["log"], rest[0])
    if problem:
        remarks.append(Remark(origin, Fate.FAULT, problem))
        return {}
    remarks.append(Remark(origin, Fate.SETTING, "superd.log; the lines in it look differently"))
    return {"log": rest[0]}


def _default_keys(
    services: list[Resolved], defaults: Resolved | None, *, comes_first: bool, faithful: bool
) -> dict[str, object]:
    """What holds for every service that does not say otherwise, by dotted name."""
    keys: dict[str, object] = {"init_groups": False, "limits.rate": _RATE, "access.hosts_access": True}
    if faithful:
        keys.update(_FAITHFUL)
    lists = ("only_from", "no_access")
    for name, held in defaults.held.items() if defaults else ():
        is_shared = all(name in service.held and service.items(name) for service in services)
        if name not in lists or (comes_first and is_shared):
            keys.update({key: value for key, value in held.reading.keys.items() if value != []})
    total, each = keys.get("limits.max_connections"), keys.get("limits.max_connections_per_source")
    if isinstance(total, int) and isinstance(each, int) and each > total:
        keys["limits.max_connections_per_source"] = total
    return keys if services or defaults else {}


def _known(keys: Mapping[str, object], defaults: Resolved | None, remarks: list[Remark]) -> dict[str, object]:
    """The keys that this version of superd has, with values that it takes; the others are said."""
    known = {}
    for key, value in keys.items():
        table, _, name = key.rpartition(".")
        row = TABLES[table or SERVICE].get(name)
        problem = f"this version of superd has no {key}" if row is None else _problem(row, value)
        if not problem:
            known[key] = value
        elif defaults:
            remarks.append(Remark(defaults.stanza.origin, Fate.NOT_CARRIED, problem))
    return known


def _problem(row: Key, value: object) -> str:
    """What superd has against a value; empty when it takes it."""
    try:
        row.kind.parse(value)
    except (RejectedError, UnitError) as error:
        return f"{row.name}: {error}"
    return ""


def _off(service: Resolved, defaults: Resolved | None) -> str:
    """Why the lists of defaults switch a service off; empty when they do not. They go by id."""
    if defaults is None:
        return ""
    own = service.id.lower()
    if "enabled" in defaults.held and own not in map(str.lower, defaults.items("enabled")):
        return f"enabled of defaults does not name {service.id}"
    if own in map(str.lower, defaults.items("disabled")):
        return f"disabled of defaults names {service.id}"
    return "defaults cannot be read, and xinetd does not start" if defaults.faults else ""
