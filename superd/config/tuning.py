"""Changes to the policy of a service that runs, as ``superctl tune`` asks for them. Pure.

A change is held to what the configuration is held to: each value by its kind, each key by what the service is,
and all of them by each other.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from attrs import evolve

from superd.config.dialects import meant, nearest, qualified
from superd.config.dump import policy_tables
from superd.config.findings import Place, RejectedError
from superd.config.policy_checks import Policy, Written, clashes
from superd.config.schema import KEYS, LATER, NESTED
from superd.errors import ConfigError, Fault, UnitError
from superd.policy.rules import Access, Limits, ProxyProtocol

PLACE = "tune"
"""What faults name in place of a file."""

_BARE = "limits."  # what a name without a table means
_TABLES = tuple(nested.name for nested in NESTED if nested.tunable)
_TUNABLE = {qualified(key.table, key.name): key for key in KEYS if key.table in _TABLES}
_FIXED = {qualified(key.table, key.name) for key in KEYS if key.table not in _TABLES}
_LATER = {qualified("superd", name) for name in LATER}
_OF_FILES = {"limits.banner_limited", "access.banner_denied", "access.hosts_access"}
_SHORT = tuple(name.removeprefix(_BARE) for name in _TUNABLE)
_NOT_LIVE = ("cannot be tuned live", "write it in the configuration and reload")


def retune(
    limits: Limits,
    access: Access,
    proxy_protocol: ProxyProtocol,
    traits: frozenset[str],
    assignments: Mapping[str, object],
    *,
    live: bool = True,
) -> tuple[Limits, Access, ProxyProtocol]:
    """The rules of a service after some of its keys were given new values.

    Args:
        limits, access, proxy_protocol: the rules as they are.
        traits: of the service, as ``traits_of`` gives them.
        assignments: values as TOML gives them, by dotted name (``access.deny``); a bare name is one of ``[limits]``.
        live: the service runs, so nothing can be changed that stands in files: the acceptor may read none, and gets
            their text from the master with a reload.

    Raises:
        ConfigError: with every fault; PLACE stands for the file, and the key is the dotted name.
    """
    faults: list[Fault] = []
    values: dict[str, object] = {}
    for name, value in assignments.items():
        dotted = name if name in _TUNABLE else f"{_BARE}{name}"
        if dotted not in _TUNABLE:
            faults.append(_fault(name, *_advice(name)))
        elif live and dotted in _OF_FILES:
            faults.append(_fault(dotted, *_NOT_LIVE))
        elif dotted in values:
            faults.append(_fault(dotted, "stands there twice", "keep one of them"))
        else:
            values[dotted] = value
    parsed = {name: held for name, value in values.items() for held in _parsed(name, value, traits, faults)}
    before = Policy(limits, access, proxy_protocol)
    after = _changed(before, parsed)
    if not faults:
        found = clashes(after, _written(before, parsed))
        faults += [_fault(clash.key, clash.problem, clash.remedy, values.get(clash.key)) for clash in found]
    if faults:
        raise ConfigError(faults)
    return after.limits, after.access, after.proxy_protocol


def _fault(name: str, problem: str, remedy: str, value: object = None) -> Fault:
    *tables, key = name.split(".")
    place = functools.reduce(Place.inside, tables, Place(PLACE))
    return place.fault(key, problem, remedy, value)


def _advice(name: str) -> tuple[str, str]:
    """Problem and remedy for a name that stands for no key that can be tuned."""
    if name in _FIXED:
        return _NOT_LIVE
    if name in _LATER:
        return "not supported by this version", "remove it"
    table, _, key = name.rpartition(".")
    namesakes = [dotted for dotted in _TUNABLE if dotted.endswith(f".{key}")]
    target = namesakes[0] if namesakes else meant(table if table in _TABLES else "limits", key)
    target = target.partition(" = ")[0]
    if target in _FIXED:
        return _NOT_LIVE
    if target in _TUNABLE:
        return "unknown key", f"write {target.removeprefix(_BARE)}"
    return "unknown key", nearest(name, (*_SHORT, *_TUNABLE)) or "superd.toml(5) lists the keys"


def _parsed(name: str, value: object, traits: frozenset[str], faults: list[Fault]) -> list[object]:
    """What the value means, alone in a list; an empty one when it, or the key, is of no use here."""
    key = _TUNABLE[name]
    need = key.unmet(traits)
    if need is not None:
        faults.append(_fault(name, f"only for {need.words}", need.remedy, value))
        return []
    try:
        return [key.kind.parse(value)]
    except (RejectedError, UnitError) as error:
        faults += Place(PLACE, key.table).faults(key.name, value, error, secret=key.kind.secret)
        return []


def _changed(policy: Policy, values: Mapping[str, object]) -> Policy:
    fields: dict[str, dict[str, object]] = {table: {} for table in _TABLES}
    for name, value in values.items():
        fields[_TUNABLE[name].table][_TUNABLE[name].field] = value
    return Policy(**{table: evolve(getattr(policy, table), **changes) for table, changes in fields.items()})


def _written(before: Policy, values: Mapping[str, object]) -> Written:
    """What is assigned is written here; a rule that is not at its default was written somewhere."""
    tables = policy_tables(before.limits, before.access, before.proxy_protocol, all_keys=False)
    earlier = {f"{table}.{name}" for table, names in tables.items() for name in names}
    return Written(values.keys(), values.keys() | earlier, (values.keys(),))
