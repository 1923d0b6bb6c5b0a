"""Equal parts of many services, kept once: of a thousand services most have the limits and programs of others."""

from __future__ import annotations

import functools
import sys
from typing import TypeVar
from weakref import WeakValueDictionary

from attrs import evolve

from superd.policy.calendar import Calendar, parse_hours
from superd.policy.rules import Access, Limits, ProxyProtocol
from superd.wire.messages import ServiceSettings
from superd.wire.policies import ServicePolicy

Rules = TypeVar("Rules", Limits, Access, ProxyProtocol)

_MOST = 64
"""Words and calendars that are remembered beyond their services."""

_rules: WeakValueDictionary[object, Limits | Access | ProxyProtocol] = WeakValueDictionary()


def share_policy(policy: ServicePolicy) -> ServicePolicy:
    """The same policy, made of rules that other services have too where they are equal."""
    return evolve(
        policy,
        limits=_same_rules(policy.limits),
        access=_same_rules(policy.access),
        proxy_protocol=_same_rules(policy.proxy_protocol),
    )


def share_settings(settings: ServiceSettings) -> ServiceSettings:
    """The same settings, made of words that other services have too where they are equal."""
    return evolve(
        settings,
        mode=sys.intern(settings.mode),
        user=sys.intern(settings.user),
        standard_error=sys.intern(settings.standard_error),
        program=_same_words(settings.program),
        traits=_same_words(settings.traits),
    )


@functools.lru_cache(maxsize=_MOST)
def calendar_of(hours: tuple[str, ...]) -> Calendar:
    """When a service with these hours is open."""
    return Calendar(tuple(map(parse_hours, hours)))


@functools.lru_cache(maxsize=_MOST)
def _same_words(words: tuple[str, ...]) -> tuple[str, ...]:
    return words


def _same_rules(rules: Rules) -> Rules:
    """Those that were there first. They go with the last service that has them: lists of addresses can be long."""
    key = type(rules), hash(rules)
    known = _rules.get(key)
    if isinstance(known, type(rules)) and known == rules:
        return known
    _rules[key] = rules
    return rules
