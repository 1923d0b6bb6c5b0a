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
    services = [service for service in config.services.values() if service.has_children]
    users = {user for user in {service.user for service in services} if _is_root(user)}
    return frozenset(service.name for service in services if service.user in users)


def _is_root(user: str) -> bool:
    try:
        return user_id(user) == 0
    except IdentityError:  # which disables the service
        return False


class Rights:
    """What the master holds, and what it gave up.

    Attributes:
        kept: what it holds, in words, for the log.
    """

    def __init__(self) -> None:
        self.kept = "all"
        self._given_up = 0
        self._no_new_privs = False

    def settle(self, config: Config) -> None:
        """Give up what a configuration does not need.

        Raises:
            PrivilegeError: it could not be given up.
        """
        held = linux.capget().permitted
        wanted = tuple(needs(config, roots(config)))
        kept = _mask(need.capability for need in wanted)
        is_all = kept == _mask(Capability)
        if is_all:
            kept |= held  # whatever a newer kernel has
        self._given_up = held & ~kept
        self._no_new_privs = all(need.capability is not None for need in wanted)
        privileges.keep_only(kept, no_new_privs=self._no_new_privs)
        names = " ".join(capability.name for capability in Capability if (held & kept) >> capability & 1)
        self.kept = f"all, {_reason(wanted)}" if is_all else names or "none"

    def faults(self, config: Config, others: Sequence[Fault] = ()) -> list[Fault]:
        """Why a configuration cannot be put into force without a restart: one fault a key.

        Args:
            others: what else is wrong; returned too, less what only follows from this.
        """
        lacking: dict[tuple[str, str], list[Need]] = {}
        for need in needs(config, roots(config)):
            if self._lacks(need):
                lacking.setdefault((need.service.name if need.service else "", need.key), []).append(need)
        own = [_fault(config, several) for several in lacking.values()]
        explained = {fault.service for fault in own if fault.service}
        return [*own, *(fault for fault in others if fault.service not in explained)]

    def _lacks(self, need: Need) -> bool:
        if need.capability is None:
            return self._no_new_privs
        return bool(self._given_up >> need.capability & 1)


def _reason(wanted: Iterable[Need]) -> str:
    """Which service has the master keep everything: the first that may have what is nobody's business else."""
    need = next(need for need in wanted if need.capability is Capability.CAP_SYS_BOOT)
    return f"for services.{need.service.name}.{need.key}" if need.service else ""


def _fault(config: Config, lacking: list[Need]) -> Fault:
    need = lacking[0]
    names = {
        one.capability.name if one.capability is not None else "files that grant privileges"
        for one in lacking
    }
    what = f"{len(names)} privileges" if len(names) > 2 else " and ".join(sorted(names))
    problem = f"it takes {what}, which superd gave up when nothing needed it"
    key = need.key if need.key.startswith("grants.") else f"superd.{need.key}"
    fault = Fault(config.files[0], key, problem, "restart superd")
    if need.service is None:
        return fault
    name = need.service.name
    return evolve(fault, file=need.service.source_file, key=f"services.{name}.{need.key}", service=name)


def _mask(capabilities: Iterable[Capability | None]) -> int:
    mask = 0
    for capability in capabilities:
        mask |= 0 if capability is None else 1 << capability
    return mask
