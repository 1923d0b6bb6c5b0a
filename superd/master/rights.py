"""The master's own privileges: what no service needs is given up when all is open, and cannot come back.

Nothing is kept in reserve: a capability in the permitted set is as good as one in force to whoever takes the process
over. So a reload that needs more than was kept changes nothing and says so; a restart gets it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from attrs import evolve

from superd.config.capabilities import Capability
from superd.config.model import Config
from superd.errors import Fault
from superd.kernel import linux, privileges
from superd.kernel.identity import IdentityError, user_id
from superd.master.needs import Need, needs


def roots(config: Config) -> frozenset[str]:
    """Names of the services whose programs run as root."""
    if os.geteuid() != 0:
        return frozenset()
    return frozenset(
        service.name for service in config.services.values() if service.exec and _is_root(service.user)
    )


def _is_root(user: str) -> bool:
    try:
        return user_id(user) == 0
    except IdentityError:  # which disables the service
        return False


class Rights:
    """What the master holds, and what it gave up."""

    def __init__(self) -> None:
        self._given_up = 0

    def settle(self, config: Config) -> str:
        """Give up what a configuration does not need; returns what is kept, to be told.

        Raises:
            PrivilegeError: it could not be given up.
        """
        held = linux.capget().permitted
        service = next(iter(sorted(roots(config))), "")
        wanted = _mask(need.capability for need in needs(config, roots(config)))
        if service:
            wanted |= held  # whatever this kernel knows
        self._given_up = held & ~wanted
        privileges.keep_only(wanted, no_new_privs=not service)
        if service:
            return f"all capabilities, for programs of root ({service})"
        return " ".join(_names(held & wanted)) or "no capability"

    def faults(self, config: Config, others: Sequence[Fault] = ()) -> list[Fault]:
        """Why a configuration cannot be put into force without a restart: one fault a key.

        Args:
            others: what else is wrong; returned too, less what only follows from this.
        """
        lacking: dict[tuple[str, str], list[Need]] = {}
        for need in needs(config, roots(config)):
            if self._given_up >> need.capability & 1:
                lacking.setdefault((need.service.name if need.service else "", need.key), []).append(need)
        own = [_fault(config, several) for several in lacking.values()]
        explained = {fault.service for fault in own if fault.service}
        return [*own, *(fault for fault in others if fault.service not in explained)]


def _fault(config: Config, lacking: list[Need]) -> Fault:
    need = lacking[0]
    several = len(lacking) > 1
    what = f"{len(lacking)} capabilities" if several else need.capability.name
    problem = f"it takes {what}, which superd gave up when nothing needed {'them' if several else 'it'}"
    fault = Fault(config.files[0], f"superd.{need.key}", problem, "restart superd")
    if need.service is None:
        return fault
    name = need.service.name
    return evolve(fault, file=need.service.source_file, key=f"services.{name}.{need.key}", service=name)


def _mask(capabilities: Iterable[Capability]) -> int:
    mask = 0
    for capability in capabilities:
        mask |= 1 << capability
    return mask


def _names(mask: int) -> list[str]:
    return [capability.name for capability in Capability if mask >> capability & 1]
