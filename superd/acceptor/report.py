"""The state of all services as plain data, for the control socket and the log."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from superd.acceptor.services import Service
from superd.config.dump import policy_tables


def status(services: Iterable[Service]) -> dict[str, Any]:
    """What ``superctl status --json`` prints under ``services``; fields may be added, none changes."""
    return {service.settings.name: _one(service) for service in services}


def _one(service: Service) -> dict[str, Any]:
    return {
        "state": service.state.value,
        "listen": list(service.settings.listen),
        "mode": service.settings.mode,
        "builtin": service.settings.builtin,
        "children": len(service.children) + len(service.served),
        "accepted": service.accepted,
        "refused": dict(service.refused),
        "user": service.settings.user,
        "spawners": [spawner.pid for spawner in service.spawners.values()],
        "fault": service.fault,
        "broken": dict(service.broken.values()),
        "trouble": service.trouble if service.retry else "",
    }


def explain(service: Service) -> dict[str, Any]:
    """What ``superctl explain`` turns into words."""
    engine = service.engine
    tables = policy_tables(engine.limits, engine.access_rules, engine.proxy_protocol, all_keys=True)
    return {**attrs.asdict(service.settings), **_one(service), **tables, "acceptor_user": _own_user()}


def _own_user() -> str:
    """Whom this process runs as: by name, where that number has one."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def state_lines(services: Iterable[Service]) -> Iterable[Mapping[str, Any]]:
    """One set of log fields a service (SIGUSR1)."""
    for service in services:
        one = _one(service)
        yield {
            "service": service.settings.name,
            "state": one["state"],
            "mode": one["mode"],
            "children": one["children"],
            "accepted": one["accepted"],
            "refused": sum(one["refused"].values()),
            "listen": " ".join(one["listen"]),
        }
