"""Several files as one configuration."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from superd.config.legacy.carried import Carried, ServiceTable, dotted, nested
from superd.config.legacy.names import fresh_name


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
        head=tuple(dict.fromkeys(said for part in parts for said in part.head)),
        comments=tuple(comment for part in parts for comment in part.comments),
        remarks=tuple(remark for part in parts for remark in part.remarks),
        files=tuple(dict.fromkeys(file for part in parts for file in part.files)),
    )


def _without_defaults(one: Carried) -> Carried:
    services = tuple(evolve(service, tables=_filled(one, service)) for service in one.services)
    return evolve(one, defaults={}, services=services)


def _filled(one: Carried, service: ServiceTable) -> dict[str, object]:
    return nested({**dotted(one.defaults), **dotted(service.tables)})


def _apart(one: Carried, taken: set[str]) -> Carried:
    names = {}
    for service in one.services:
        names[service.name] = fresh_name(service.name, taken)
        taken.add(names[service.name])
    services = tuple(evolve(service, name=names[service.name]) for service in one.services)
    remarks = tuple(evolve(remark, service=names.get(remark.service, "")) for remark in one.remarks)
    return evolve(one, services=services, remarks=remarks)
