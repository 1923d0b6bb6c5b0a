"""Grants: what is granted, what is not, and which rule is named."""

from __future__ import annotations

import ipaddress
from ipaddress import ip_network

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from superd.errors import UnitError
from superd.policy.grants import (
    Grant,
    GrantDecision,
    Ports,
    Refusal,
    Who,
    Wish,
    decide,
    grants_of,
    parse_place,
)

WWW = Grant("grants[1]", (Ports("tcp", 80, 80),), ("*",), False, (33,), (), (), False)
SOMEBODY = Who(33, frozenset({33}), "/usr/bin/caddy")
WEB = Wish("tcp", "0.0.0.0", 80)


def test_what_is_granted_names_its_rule() -> None:
    assert decide([WWW], SOMEBODY, WEB) == GrantDecision("grants[1]")


@pytest.mark.parametrize(
    "wish",
    [
        evolve(WEB, port=81),
        evolve(WEB, port=79),
        evolve(WEB, transport="udp"),
    ],
)
def test_another_port_is_not(wish: Wish) -> None:
    assert decide([WWW], SOMEBODY, wish) == GrantDecision("", Refusal.NO_GRANT)


def test_without_grants_nothing_is() -> None:
    assert decide([], SOMEBODY, WEB).refusal is Refusal.NO_GRANT


def test_root_has_no_grant_that_does_not_name_it() -> None:
    assert not decide([WWW], Who(0, frozenset({0}), "/bin/sh"), WEB).granted


def test_a_group_counts_among_all_of_the_users() -> None:
    grant = evolve(WWW, uids=(), gids=(7,))
    assert decide([grant], Who(1000, frozenset({1000, 7}), ""), WEB).granted
    assert not decide([grant], Who(1000, frozenset({1000}), ""), WEB).granted


def test_everyone_is_everyone() -> None:
    grant = evolve(WWW, uids=(), everyone=True)
    assert decide([grant], Who(12345, frozenset(), ""), WEB).granted


@pytest.mark.parametrize(
    ("addresses", "address", "granted"),
    [
        (("127.0.0.1",), "127.0.0.1", True),
        (("127.0.0.1",), "127.0.0.2", False),
        (("127.0.0.0/8",), "127.255.0.1", True),
        (("127.0.0.0/8",), "0.0.0.0", False),
        (("0.0.0.0",), "0.0.0.0", True),
        (("127.0.0.0/8",), "::ffff:127.0.0.1", True),
        (("::/0",), "127.0.0.1", False),
        (("::/0",), "::ffff:127.0.0.1", False),
        (("::/0",), "::", True),
        (("0.0.0.0/0",), "::", False),
        (("2001:db8::/32",), "2001:db8::7", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("192.0.2.1", "::1"), "::1", True),
    ],
)
def test_addresses(addresses: tuple[str, ...], address: str, granted: bool) -> None:
    assert (
        decide([evolve(WWW, addresses=addresses)], SOMEBODY, evolve(WEB, address=address)).granted is granted
    )


def test_another_program_is_told_apart_from_no_grant() -> None:
    grant = evolve(WWW, programs=("/usr/bin/caddy",))
    assert decide([grant], SOMEBODY, WEB).granted
    other = evolve(SOMEBODY, program="/usr/bin/nc")
    assert decide([grant], other, WEB) == GrantDecision("grants[1]", Refusal.PROGRAM)
    unknown = evolve(SOMEBODY, program="")
    assert decide([grant], unknown, WEB) == GrantDecision("grants[1]", Refusal.PROGRAM)


def test_a_shared_port_must_be_granted_as_one() -> None:
    shared = evolve(WEB, reuse_port=True)
    assert decide([WWW], SOMEBODY, shared) == GrantDecision("grants[1]", Refusal.REUSE_PORT)
    assert decide([evolve(WWW, reuse_port=True)], SOMEBODY, shared).granted
    assert decide([evolve(WWW, reuse_port=True)], SOMEBODY, WEB).granted


def test_a_later_grant_may_allow_what_an_earlier_one_does_not() -> None:
    narrow = evolve(WWW, programs=("/usr/bin/nginx",))
    wide = evolve(WWW, name="grants[2]")
    assert decide([narrow, wide], SOMEBODY, WEB) == GrantDecision("grants[2]")


def test_the_grants_of_a_user() -> None:
    group = evolve(WWW, name="grants[2]", uids=(), gids=(7,))
    assert list(grants_of([WWW, group], 33, frozenset())) == [WWW]
    assert list(grants_of([WWW, group], 1000, frozenset({7}))) == [group]


def test_ports_are_told_as_they_are_written() -> None:
    assert [str(Ports("tcp", 80, 80)), str(Ports("udp", 53, 60))] == ["tcp/80", "udp/53-60"]


PORTS = st.builds(
    lambda transport, ends: Ports(transport, min(ends), max(ends)),
    st.sampled_from(["tcp", "udp"]),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
)


def _can_be_written(text: str) -> bool:
    try:
        return text == "*" or bool(parse_place(text))
    except UnitError:  # IPv4 in the clothes of IPv6
        return False


NETWORKS = st.one_of(
    st.just("*"),
    st.ip_addresses().map(str),
    st.builds(lambda ip, bits: str(ip_network((ip, bits), False)), st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda ip, bits: str(ip_network((ip, bits), False)), st.ip_addresses(v=6), st.integers(0, 96)),
).filter(_can_be_written)
GRANTS = st.builds(
    Grant,
    st.sampled_from(["grants[1]", "grants[2]", "grants[3]"]),
    st.lists(PORTS, min_size=1, max_size=3).map(tuple),
    st.lists(NETWORKS, min_size=1, max_size=3).map(tuple),
    st.booleans(),
    st.lists(st.integers(0, 5), max_size=3).map(tuple),
    st.lists(st.integers(0, 5), max_size=3).map(tuple),
    st.lists(st.sampled_from(["/a", "/b"]), max_size=2).map(tuple),
    st.booleans(),
)
WHOS = st.builds(Who, st.integers(0, 5), st.frozensets(st.integers(0, 5)), st.sampled_from(["", "/a", "/b"]))
WISHES = st.builds(
    Wish, st.sampled_from(["tcp", "udp"]), st.ip_addresses().map(str), st.integers(1, 20), st.booleans()
)


def _plainly(grant: Grant, who: Who, wish: Wish) -> bool:
    """One grant, asked as slowly and obviously as can be."""
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(wish.address)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return (
        any(
            f"{ports.transport}{port}" == f"{wish.transport}{wish.port}"
            for ports in grant.ports
            for port in range(ports.first, ports.last + 1)
        )
        and any(text == "*" or address in ipaddress.ip_network(text) for text in grant.addresses)
        and (grant.everyone or who.uid in grant.uids or any(gid in who.gids for gid in grant.gids))
        and (not grant.programs or who.program in grant.programs)
        and (grant.reuse_port or not wish.reuse_port)
    )


@given(st.lists(GRANTS, max_size=4), WHOS, WISHES)
def test_a_port_is_granted_when_some_grant_plainly_says_so(grants: list[Grant], who: Who, wish: Wish) -> None:
    decision = decide(grants, who, wish)
    fitting = [grant for grant in grants if _plainly(grant, who, wish)]
    assert decision.granted is bool(fitting)
    if fitting:
        assert decision.rule == fitting[0].name


@given(st.lists(GRANTS, max_size=4), GRANTS, WHOS, WISHES)
def test_another_grant_never_takes_anything_away(
    grants: list[Grant], more: Grant, who: Who, wish: Wish
) -> None:
    if decide(grants, who, wish).granted:
        assert decide([more, *grants], who, wish).granted
