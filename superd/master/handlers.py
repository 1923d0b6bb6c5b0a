"""The master's view of a service's handler: where its code is, which version that is, and what was wrong with it.

The master never imports one, nor reads it.
"""

from __future__ import annotations

import os
import sys

from superd.config.model import Service
from superd.errors import Fault
from superd.handler.places import locate, search_path, version


def handler_path(service: Service) -> str:
    """The file of a service's handler; empty where there is none."""
    if service.handler is None:
        return ""
    folders = search_path(service.environment.get("PYTHONPATH", ""))
    return locate(service.handler, folders, service.root_directory)


def handler_version(service: Service) -> tuple[int, ...]:
    """Which version of its code a service would be started with now; empty where there is none."""
    path = handler_path(service)
    return version(service.handler, path) if service.handler and path else ()


def handler_problem(service: Service) -> tuple[str, str] | None:
    """A problem and its remedy, or nothing."""
    if service.handler is None:
        return None
    if service.root_directory and not os.path.lexists(service.root_directory + sys.executable):
        problem = f"root_directory holds no {sys.executable}, which would import it"
        return problem, "leave root_directory out, or install Python and superd in there too"
    if handler_path(service):
        return None
    if service.handler.is_file:
        return "no such file", "install it, or name another"
    remedy = 'install it, or name its folder: environment = { PYTHONPATH = "/srv/app" }'
    return "superd's Python finds no module of that name", remedy


def import_fault(service: Service, reason: str) -> Fault:
    """What status says of a service whose handler a spawner could not import."""
    value = f'"{service.handler.text}"' if service.handler else None
    return Fault(
        service.source_file,
        f"services.{service.name}.handler",
        f"cannot be used: {reason}",
        "mend it, and reload",
        value,
        service.name,
    )
