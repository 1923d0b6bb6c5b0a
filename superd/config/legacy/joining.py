"""Several files as one configuration."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from superd.config.drafts import Layer, merge, parse_layer
from superd.config.findings import Place
from superd.config.legacy.carried import Carried, ServiceTable, dotted, nested
from superd.config.legacy.names import fresh_name
from superd.config.schema import SERVICE


def join(carried: Sequence[Carried]) -> Carried:
    """What several files said, as if it had stood in one.

    A service whose name is taken gets another one. Defaults that the files do not share move into their services.
    Settings of the last file count.

    Args:
        carried: at least one.
    """
    if len(carried) == 1:
        return carried[0]
    shared = all(one.defaults == carried[0].defaults for one in carried)
    taken: set[str] = set()
    parts = [_apart(one if shared else _without_defaults(one), taken) for one in carried]
    return Carried(
        dialect=", ".join(dict.fromkeys(one.dialect for one in carried)),
        services=tuple(service for part in parts for service in part.services),
        settings={name: value for part in parts for name, value in part.settings.items()},
        defaults=parts[0].defaults,
        grants=tuple(grant for part in parts for grant in part.grants),
        head=tuple(dict.fromkeys(said for part in parts for said in part.head)),
        comments=tuple(comment for part in parts for comment in part.comments),
        remarks=tuple(remark for part in parts for remark in part.remarks),
        files=tuple(dict.fromkeys(file for part in parts for file in part.files)),
    )


def _without_defaults(one: Carried) -> Carried:
    defaults = parse_layer(one.defaults, Place("", "defaults"), _any_port, [])
    services = tuple(evolve(service, tables=_filled(one, defaults, service)) for service in one.services)
    return evolve(one, defaults={}, services=services)


def _filled(one: Carried, defaults: Layer, service: ServiceTable) -> dict[str, object]:
    """The tables of a service, with those defaults that it can use."""
    own = parse_layer(service.tables, Place("", "services", service.name), _any_port, [])
    merged = merge(service.name, defaults, own).tables
    usable = {}
    for key, value in dotted(one.defaults).items():
        table, _, name = key.rpartition(".")
        if name in merged.get(table or SERVICE, {}):
            usable[key] = value
    return nested({**usable, **dotted(service.tables)})


def _any_port(name: str, transport: str) -> int | None:
    return 0


def _apart(one: Carried, taken: set[str]) -> Carried:
    names = {}
    for service in one.services:
        names[service.name] = fresh_name(service.name, taken)
        taken.add(names[service.name])
    services = tuple(evolve(service, name=names[service.name]) for service in one.services)
    remarks = tuple(evolve(remark, service=names.get(remark.service, "")) for remark in one.remarks)
    return evolve(one, services=services, remarks=remarks)
