"""Whatever an importer made, what is written is a configuration that superd takes: the rest is set apart, and said.

A service is held against superd's own schema and checks, as if it had been read from superd.toml. A key that this
version does not know is left out; a service with a fault remains as a comment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve, field, mutable

from superd.config import checks
from superd.config.addresses import LookupPort
from superd.config.drafts import Draft, Layer, merge, parse_layer
from superd.config.findings import Place
from superd.config.forward_checks import check_loops
from superd.config.legacy.carried import Carried, Fate, Remark, ServiceTable, dotted, nested
from superd.config.legacy.moulds import Moulds
from superd.config.model import SuperdSettings
from superd.config.places import control_socket
from superd.config.schema import OF_SERVICE, SERVICE, TABLES
from superd.errors import Fault

_SERVING = frozenset({"exec", "handler", "builtin", "forward"})
_UNKNOWN = "this version of superd has no {key}"


def fit(carried: Carried, lookup_port: LookupPort) -> Carried:
    """The same, so that superd takes all that is served; what it cannot take is among the remarks.

    Args:
        carried: what an importer made.
        lookup_port: as ``parse_listen`` takes it.
    """
    defaults = parse_layer(carried.defaults, Place("", "defaults"), lookup_port, [])
    fitting = _Fitting(carried, defaults, lookup_port, Moulds(lookup_port))
    services = tuple(map(fitting.fitted, carried.services))
    services = tuple(fitting.apart(services))
    return evolve(carried, services=services, remarks=(*carried.remarks, *fitting.remarks))


@mutable
class _Fitting:
    """One run over all services."""

    carried: Carried
    defaults: Layer
    lookup_port: LookupPort
    moulds: Moulds
    remarks: list[Remark] = field(factory=list)
    drafts: dict[str, Draft] = field(factory=dict)

    @property
    def control(self) -> str:
        """The path of the control socket, where no service may listen."""
        written = str(self.carried.settings.get("control", SuperdSettings().control))
        return control_socket(written, os.geteuid(), os.environ)

    def fitted(self, service: ServiceTable) -> ServiceTable:
        """The service with what superd knows, or set apart."""
        if service.remains_out:
            return service
        place = Place("", f"services.{service.name}", service.name)
        draft = self.moulds.cast(service.name, place, service.tables)
        if draft is not None:
            self.drafts[service.name] = draft
            return service
        known, unknown = _sorted_out(service.tables)
        for key in unknown:
            reason = _UNKNOWN.format(key=key)
            self.remarks.append(Remark(service.origin, Fate.NOT_CARRIED, reason, service.name, key))
        kept = nested(known) if unknown else service.tables
        if unknown and _SERVING.isdisjoint(kept):
            return evolve(service, remains_out=True)  # nothing is left that could serve
        faults = self._faults(place, kept)
        self.remarks += [_remark(service, fault) for fault in faults]
        if faults:
            return evolve(service, remains_out=True)
        return evolve(service, tables=kept) if unknown else service

    def _faults(self, place: Place, tables: Mapping[str, object]) -> list[Fault]:
        faults: list[Fault] = []
        name = place.service or ""
        own = parse_layer(tables, place, self.lookup_port, faults)
        draft = merge(name, self.defaults, own)
        faults += checks.check_service(draft, str(self.carried.settings.get("user", "superd")))
        if not faults:
            self.drafts[name] = draft
            self.moulds.keep(tables, draft)
        return faults

    def apart(self, services: Iterable[ServiceTable]) -> Iterator[ServiceTable]:
        """The services; those switched off whose port another one has already, or that forward to themselves."""
        drafts = list(self.drafts.values())
        found = (*check_loops(drafts), *checks.check_together(drafts, {"control": self.control}))
        clashing = {fault.service: fault for fault in found}
        for service in services:
            fault = clashing.get(service.name)
            if fault is None or service.remains_out:
                yield service
                continue
            self.remarks.append(_remark(service, fault))
            yield evolve(service, tables={**service.tables, "enabled": False})


def _sorted_out(tables: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """The keys that the schema has, by their dotted names, and the names of the others."""
    known, unknown = {}, []
    for key, value in dotted(tables).items():
        table, _, name = key.rpartition(".")
        if name in TABLES.get(table or SERVICE, {}):
            known[key] = value
        else:
            unknown.append(key)
    return known, unknown


def _remark(service: ServiceTable, fault: Fault) -> Remark:
    """A fault of superd's own checks, as what became of the line."""
    path = f"services.{service.name}."
    key = fault.key.removeprefix(path) if fault.key.startswith(path) else ""
    parts = [key, "" if fault.value is None else fault.value]
    told = " = ".join(part for part in parts if part)
    reason = f"{told}: {fault.problem}" if told else fault.problem
    reason = f"{reason}; {fault.remedy}" if fault.remedy else reason
    table = key.partition(".")[0]
    at = key if table not in OF_SERVICE or "." in key else ""
    return Remark(service.origin, Fate.FAULT, reason, service.name, at)
