"""restrict_address_families and restrict_namespaces say what systemd's options of those names say."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superd.config.findings import RejectedError
from superd.config.sandbox_values import (
    FAMILIES,
    NAMESPACES,
    Families,
    allowed_namespaces,
    families,
    parse_family_string,
    parse_namespace_string,
)

EVERY = frozenset(NAMESPACES)


def test_the_numbers_of_families_are_those_of_this_machine() -> None:
    known = {name: number for name, number in FAMILIES.items() if hasattr(socket, name)}
    assert {
        "AF_UNIX",
        "AF_INET",
        "AF_INET6",
        "AF_NETLINK",
        "AF_PACKET",
        "AF_VSOCK",
        "AF_QIPCRTR",
    } <= known.keys()
    assert known == {name: getattr(socket, name) for name in known}
    assert FAMILIES["AF_MCTP"] == 45  # include/linux/socket.h


@pytest.mark.parametrize(
    ("strings", "expected"),
    [
        ([], None),
        (["none"], Families(True, frozenset())),
        (["AF_UNIX AF_INET"], Families(True, frozenset({1, 2}))),
        (["AF_UNIX", "AF_LOCAL", "AF_INET6"], Families(True, frozenset({1, 10}))),
        (["~AF_NETLINK", "~AF_PACKET"], Families(False, frozenset({16, 17}))),
        (["AF_UNIX AF_INET", "~AF_INET"], Families(True, frozenset({1}))),
        (["~AF_NETLINK AF_PACKET", "AF_PACKET"], Families(False, frozenset({16}))),
        (["~AF_NETLINK", "AF_INET"], Families(False, frozenset({16}))),
    ],
)
def test_families(strings: list[str], expected: Families | None) -> None:
    assert families(strings) == expected


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("AF_INTE", "AF_INTE: no address family of that name", 'write "AF_INET"'),
        ("inet", "inet: no address family of that name", "write"),
        ("", "no address family", "none"),
        ("~none", "none: no address family of that name", "write"),
    ],
)
def test_a_mistake_in_a_family_is_named(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_family_string(text)
    assert caught.value.findings[0].problem == problem
    assert remedy in caught.value.findings[0].remedy


def test_none_stands_alone() -> None:
    with pytest.raises(RejectedError, match="beside other families"):
        families(["none", "AF_INET"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (False, EVERY),
        ((), EVERY),
        (True, frozenset()),
        (("user",), {"user"}),
        (("user mnt", "~mnt"), {"user"}),
        (("~user",), EVERY - {"user"}),
        (("~user mnt", "mnt"), EVERY - {"user"}),
    ],
)
def test_namespaces(value: bool | tuple[str, ...], expected: frozenset[str]) -> None:
    assert allowed_namespaces(value) == expected


def test_a_mistake_in_a_namespace_is_named() -> None:
    with pytest.raises(RejectedError, match="network: no kind of namespace of that name"):
        parse_namespace_string("network")


@given(st.lists(st.text(max_size=12), max_size=3))
@settings(deadline=None)
def test_any_text_is_taken_or_refused(strings: list[str]) -> None:
    for read in (families, allowed_namespaces):
        try:
            read(strings)
        except RejectedError as error:
            assert error.findings
