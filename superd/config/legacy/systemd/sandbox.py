"""What systemd.exec(5) and systemd.resource-control(5) call a sandbox, as [services.X.sandbox]."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from superd.config.capabilities import Capability
from superd.config.findings import RejectedError
from superd.config.legacy.systemd.units import Assignment, Unit, boolean
from superd.config.schema import TABLES
from superd.errors import UnitError

_SECTION = "Service"
Make = Callable[[Sequence[str]], object]
"""From the values that count, in their order, to TOML."""


def _switch(values: Sequence[str]) -> object:
    """The last one, true and false as such: other words mean more."""
    value = values[-1].lower()
    return (
        boolean(value)
        if value in ("1", "0", "y", "n", "t", "f", "yes", "no", "true", "false", "on", "off")
        else value
    )


def _flag(values: Sequence[str]) -> object:
    """As a switch; what newer versions say beside yes is more than no."""
    value = _switch(values)
    return value if isinstance(value, bool) else value != "off"


def _last(values: Sequence[str]) -> object:
    return values[-1]


def _words(values: Sequence[str]) -> object:
    return [word for value in values for word in value.split()]


def _lines(values: Sequence[str]) -> object:
    """A string each, since a ~ at its beginning is for all that stands in it."""
    return list(values)


def _namespaces(values: Sequence[str]) -> object:
    return _lines(values) if not isinstance(_switch(values), bool) else _switch(values)


def _capabilities(values: Sequence[str]) -> object:
    """Lines add to each other; one with ~ takes away, from all where it is the first."""
    held = set(Capability.__members__) if values[0].startswith("~") else set[str]()
    for value in values:
        named = {word.upper() for word in value.removeprefix("~").split()}
        held = held - named if value.startswith("~") else held | named
    missing = [name for name in Capability.__members__ if name not in held]
    if values[0].startswith("~") and missing:
        return [f"~{missing[0]}", *missing[1:]]
    return [
        *(name for name in Capability.__members__ if name in held),
        *sorted(held - set(Capability.__members__)),
    ]


def _size(values: Sequence[str]) -> object:
    return f"{values[-1]}B" if values[-1].isdigit() else values[-1]


def _number(values: Sequence[str]) -> object:
    return int(values[-1]) if values[-1].isdigit() else values[-1]


_ROWS: Mapping[str, tuple[str, Make]] = {
    "NoNewPrivileges": ("no_new_privileges", _flag),
    "CapabilityBoundingSet": ("capability_bounding_set", _capabilities),
    "AmbientCapabilities": ("ambient_capabilities", _capabilities),
    "PrivateTmp": ("private_tmp", _flag),
    "PrivateDevices": ("private_devices", _flag),
    "PrivateNetwork": ("private_network", _flag),
    "PrivateUsers": ("private_users", _flag),
    "PrivatePIDs": ("private_pids", _flag),
    "ProtectSystem": ("protect_system", _switch),
    "ProtectHome": ("protect_home", _switch),
    "ProtectKernelTunables": ("protect_kernel_tunables", _flag),
    "ProtectKernelModules": ("protect_kernel_modules", _flag),
    "ProtectControlGroups": ("protect_control_groups", _flag),
    "ProtectProc": ("protect_proc", _last),
    "ReadOnlyPaths": ("read_only_paths", _words),
    "ReadWritePaths": ("read_write_paths", _words),
    "InaccessiblePaths": ("inaccessible_paths", _words),
    "NoExecPaths": ("no_exec_paths", _words),
    "SystemCallFilter": ("system_call_filter", _lines),
    "SystemCallErrorNumber": ("system_call_error_number", _last),
    "RestrictAddressFamilies": ("restrict_address_families", _lines),
    "RestrictNamespaces": ("restrict_namespaces", _namespaces),
    "RestrictSUIDSGID": ("restrict_suid_sgid", _flag),
    "RestrictRealtime": ("restrict_realtime", _flag),
    "LockPersonality": ("lock_personality", _flag),
    "MemoryDenyWriteExecute": ("memory_deny_write_execute", _flag),
    "DynamicUser": ("dynamic_user", _flag),
    "MemoryMax": ("memory_max", _size),
    "TasksMax": ("tasks_max", _number),
    "CPUQuota": ("cpu_quota", _last),
}  # fmt: skip

CARRIED = frozenset(_ROWS)
"""The directives that have a key."""

_NONE = frozenset({"CapabilityBoundingSet"})
"""An empty assignment of these means none, rather than nothing said."""


@frozen
class Carried:
    """One directive's key and value, or why it has none.

    Args:
        last: the assignment that says so.
        problem: empty where the value is one of superd's.
    """

    key: str
    value: object
    last: Assignment
    problem: str = ""


def sandbox_of(unit: Unit, resolve: Callable[[str], str]) -> Iterator[Carried]:
    """All that a service unit says about its sandbox.

    Args:
        resolve: replaces specifiers.
    """
    for name, (key, make) in _ROWS.items():
        said = [one for one in unit.assignments if (one.section, one.name) == (_SECTION, name)]
        counting = unit.all(_SECTION, name)
        if counting:
            value = make([resolve(one.value).strip() for one in counting])
            yield Carried(key, value, counting[-1], _problem(key, value))
        elif said and name in _NONE:
            yield Carried(key, [], said[-1])


def _problem(key: str, value: object) -> str:
    """Why superd would not take the value."""
    try:
        TABLES["sandbox"][key].kind.parse(value)
    except RejectedError as error:
        return _joined(finding.problem for finding in error.findings)
    except UnitError as error:
        return error.problem
    return ""


def _joined(problems: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(problems))
