"""Rules of the policy as they would be written: the inverse of loading them."""

from __future__ import annotations

from enum import StrEnum

from superd.config.policy_kinds import PERIODS_NS
from superd.config.schema import TABLES
from superd.policy.rules import NO_RATE, UNLIMITED, Access, Limits, ProxyProtocol, Rate
from superd.units import format_duration

_Rules = Limits | Access | ProxyProtocol
_UNITS = {period_ns: unit for unit, period_ns in PERIODS_NS.items()}


def policy_tables(
    limits: Limits, access: Access, proxy_protocol: ProxyProtocol, *, all_keys: bool
) -> dict[str, dict[str, object]]:
    """The three tables as TOML has them, in the order of the man page.

    Args:
        limits, access, proxy_protocol: the rules of one service.
        all_keys: those at their defaults too; but never a key that nobody may write, as an empty ``allow``.

    Returns:
        By table and key name, strings, numbers, booleans and lists of strings. A table may be empty.
    """
    rules: dict[str, _Rules] = {"limits": limits, "access": access, "proxy_protocol": proxy_protocol}
    tables = {table: _table(table, held, all_keys=all_keys) for table, held in rules.items()}
    if not proxy_protocol.accept_from:
        tables["proxy_protocol"].pop("timeout", None)  # it means nothing then
    return tables


def _table(table: str, held: _Rules, *, all_keys: bool) -> dict[str, object]:
    plain = type(held)()
    written = {}
    for key in TABLES[table].values():
        value = getattr(held, key.field)
        absent = not key.default and value == getattr(plain, key.field)
        if not absent and (all_keys or value != getattr(plain, key.field)):
            written[key.name] = _spelled(value, is_duration=key.field.endswith("_s"))
    return written


def _spelled(value: object, *, is_duration: bool) -> object:
    if isinstance(value, Rate):
        return "infinity" if value == NO_RATE else f"{value.count}/{_UNITS[value.period_ns]}"
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if is_duration:
        return format_duration(value)
    return "infinity" if value == UNLIMITED else value
