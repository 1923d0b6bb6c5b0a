"""Changes to a service that runs: the same words, the same checks, and everything wrong at once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.model import Listen, Mode, Scheme, Service
from superd.config.traits import traits_of
from superd.config.tuning import retune
from superd.errors import ConfigError
from superd.policy.rules import NO_RATE, NS_PER_S, UNLIMITED, Access, Limits, ProxyProtocol, Rate

from .values import TOML_VALUES


def _service(scheme: Scheme = Scheme.TCP, mode: Mode = Mode.NOWAIT) -> Service:
    return Service("x", (Listen("x", scheme, "*", 1),), ("/bin/x",), mode)


_TCP = traits_of(_service())
_Rules = tuple[Limits, Access, ProxyProtocol]
_PLAIN: _Rules = (Limits(), Access(), ProxyProtocol())


def _faults(
    assignments: Mapping[str, object], rules: _Rules = _PLAIN, traits: frozenset[str] = _TCP
) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        retune(*rules, traits, assignments)
    return [str(fault) for fault in raised.value.faults]


def test_a_bare_name_is_a_limit_and_others_are_dotted() -> None:
    assignments = {
        "rate": "50/s",
        "limits.max_connections": "infinity",
        "access.deny": ["192.0.2.66"],
        "proxy_protocol.accept_from": ["10.0.0.0/8"],
        "proxy_protocol.timeout": "2s",
    }
    before = (Limits(burst=7, max_load=2.0), Access(allow=("192.0.2.0/24",)), ProxyProtocol())
    assert retune(*before, _TCP, assignments) == (
        Limits(max_connections=UNLIMITED, rate=Rate(50, NS_PER_S), burst=7, max_load=2.0),
        Access(("192.0.2.0/24",), ("192.0.2.66",)),
        ProxyProtocol(("10.0.0.0/8",), 2.0),
    )


def test_nothing_assigned_is_nothing_changed() -> None:
    before = (Limits(max_connections=1, penalty_s=5), Access(), ProxyProtocol())  # whoever wrote that
    assert retune(*before, _TCP, {}) == before


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("rate", 10, 'limits.rate = 10: no unit; write "10/s"'),
        ("limits.rate", "x", 'limits.rate = "x": not a rate; write "50/s", "60/min", "1000/h" or "5/d"'),
        ("access.allow", [], "access.allow = []: an empty list; remove the key, or name somebody"),
        ("rat", "5/s", "rat: unknown key; did you mean rate?"),
        ("limits.rat", "5/s", "limits.rat: unknown key; did you mean limits.rate?"),
        ("allow", ["192.0.2.1"], "allow: unknown key; write access.allow"),
        ("limits.allow", ["192.0.2.1"], "limits.allow: unknown key; write access.allow"),
        ("access.rate", "5/s", "access.rate: unknown key; write rate"),
        ("timeout", "5s", "timeout: unknown key; write proxy_protocol.timeout"),
        ("cps", 5, "cps: unknown key; write rate"),
        ("only_from", 5, "only_from: unknown key; write access.allow"),
        ("user", "x", "user: cannot be tuned live; write it in the configuration and reload"),
        ("limit_nofile", 5, "limit_nofile: cannot be tuned live; write it in the configuration and reload"),
        (
            "socket.backlog",
            5,
            "socket.backlog: cannot be tuned live; write it in the configuration and reload",
        ),
        (
            "banner_limited",
            "/x",
            "limits.banner_limited: cannot be tuned live; write it in the configuration and reload",
        ),
        (
            "access.hosts_access",
            True,
            "access.hosts_access: cannot be tuned live; write it in the configuration and reload",
        ),
        ("backlog", 5, "backlog: cannot be tuned live; write it in the configuration and reload"),
        (
            "superd.max_connections",
            5,
            "superd.max_connections: cannot be tuned live; write it in the configuration and reload",
        ),
        ("proxy_protocol.send", 2, "proxy_protocol.send = 2: only for forward; remove it"),
        ("forward", "x", "forward: cannot be tuned live; write it in the configuration and reload"),
        ("frobnicate", 5, "frobnicate: unknown key; superd.toml(5) lists the keys"),
        ("", 5, "unknown key; superd.toml(5) lists the keys"),
        ("\x1b[2J.x y", 5, '"\\u001B[2J"."x y": unknown key; superd.toml(5) lists the keys'),
        ("burst", 5, 'limits.burst = 5: means nothing without rate; remove it, or write rate = "50/s" too'),
        ("penalty_max", "1s", 'limits.penalty_max = "1s": shorter than penalty ("5s"); write at least "5s"'),
    ],
)
def test_a_faulty_assignment(name: str, value: object, fault: str) -> None:
    rules = (Limits(rate_per_source=Rate(1), penalty_s=5), Access(), ProxyProtocol())
    assert _faults({name: value}, rules) == [f"tune: {fault}"]


def test_everything_wrong_is_said_at_once() -> None:
    assignments = {"rate": 5, "nice": 1, "limits.rate": "5/s", "max_load": 0, "access.deny": ["10.", "*"]}
    assert _faults(assignments) == [
        "tune: nice: cannot be tuned live; write it in the configuration and reload",
        "tune: limits.rate: stands there twice; keep one of them",
        'tune: limits.rate = 5: no unit; write "5/s"',
        'tune: limits.max_load = 0: out of range; write 0.01 to 10000, or "infinity"',
        'tune: access.deny = "10.": not a whole address; write "10.0.0.0/8"',
        'tune: access.deny = "*": a word; write "0.0.0.0/0", "::/0" if everyone is meant',
    ]


def test_a_key_needs_what_it_needs_in_the_configuration() -> None:
    always = traits_of(_service(mode=Mode.ALWAYS))
    assert _faults({"rate_per_source": "5/s"}, traits=always) == [
        'tune: limits.rate_per_source = "5/s": only for mode = "nowait", and "wait" with datagrams alone; '
        'remove it, or use mode = "nowait"'
    ]
    assert retune(*_PLAIN, always, {"rate": "5/s"})[0].rate == Rate(5)
    datagrams = traits_of(_service(Scheme.UDP, Mode.WAIT))
    assert retune(*_PLAIN, datagrams, {"rate_per_source": "5/s"})[0].rate_per_source == Rate(5)
    unix = traits_of(_service(Scheme.UNIX))
    assert _faults({"access.deny": ["192.0.2.1"]}, traits=unix) == [
        'tune: access.deny = ["192.0.2.1"]: only for tcp and udp listeners; remove it'
    ]


def test_a_limit_can_be_lifted_or_lowered_whatever_else_was_written() -> None:
    rules = (Limits(rate=Rate(5), burst=9, max_connections_per_source=50), Access(), ProxyProtocol())
    limits = retune(*rules, _TCP, {"rate": "infinity", "max_connections": 10})[0]
    assert (limits.rate, limits.burst, limits.max_connections) == (NO_RATE, 9, 10)
    assert retune(limits, Access(), ProxyProtocol(), _TCP, {"max_load": 4})[0].max_load == 4
    assert _faults({"max_connections": 10, "max_connections_per_source": 11}) == [
        "tune: limits.max_connections_per_source = 11: above max_connections; "
        "write at most 10, or a larger max_connections"
    ]


_NAMES = st.sampled_from(
    (
        *(
            "rate",
            "burst",
            "max_load",
            "penalty",
            "exempt",
            "on_excess",
            "banner_limited",
            "source_prefix_ipv4",
        ),
        *(
            "access.allow",
            "access.hours",
            "access.hosts_access",
            "proxy_protocol.timeout",
            "limits.rate",
            "user",
        ),
    )
)


@given(st.dictionaries(_NAMES | st.text(), TOML_VALUES, max_size=4))
def test_any_assignment_is_obeyed_or_faulty(assignments: dict[str, object]) -> None:
    try:
        retune(*_PLAIN, _TCP, assignments)
    except ConfigError as error:
        assert all(fault.problem and str(fault).isprintable() for fault in error.faults)


JSON_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None), max_size=9)
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(st.dictionaries(_NAMES, JSON_VALUES, max_size=2))
def test_whatever_the_control_socket_carries_is_obeyed_or_faulty(assignments: dict[str, object]) -> None:
    """JSON has null, half surrogate pairs and numbers that TOML has not."""
    try:
        retune(*_PLAIN, _TCP, assignments)
    except ConfigError as error:
        assert all(fault.problem for fault in error.faults)
