"""The command line of superd-bind, and of authbind."""

from __future__ import annotations

import pytest

from superd.cli.bind import UsageError, Wanted, parse, parse_socket


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("caddy run", Wanted(0, (), ("caddy", "run"))),
        ("-- caddy --depth 3", Wanted(0, (), ("caddy", "--depth", "3"))),
        ("--depth 2 caddy", Wanted(2, (), ("caddy",))),
        ("--depth=2 -- caddy", Wanted(2, (), ("caddy",))),
        ("--fd tcp/80 --fd udp/[::1]:53 x", Wanted(0, (("tcp", "0.0.0.0", 80), ("udp", "::1", 53)), ("x",))),
    ],
)
def test_what_is_wanted(words: str, wanted: Wanted) -> None:
    assert parse(words.split()) == wanted


@pytest.mark.parametrize(
    ("words", "depth"), [("x", 1), ("--deep x", 0), ("--depth 3 x", 3), ("--depth=3 x", 3), ("-- x", 1)]
)
def test_as_authbind(words: str, depth: int) -> None:
    assert parse(words.split(), as_authbind=True) == Wanted(depth, (), ("x",))


@pytest.mark.parametrize(
    ("words", "as_authbind", "said"),
    [
        ("", False, "no program"),
        ("--", False, "no program"),
        ("--deep x", False, "unknown option --deep"),
        ("--fd tcp/80 x", True, "unknown option --fd"),
        ("--depth", False, "--depth without a value"),
        ("--depth 0 x", False, "--depth 0: write a number of 1 to 1000000"),
        ("--depth x x", False, "--depth x: write a number of 1 to 1000000"),
        ("--fd 80 x", False, "--fd 80: write tcp/80, udp/192.0.2.1:53 or tcp/[::]:80"),
        ("--fd tcp/ x", False, "--fd tcp/: write a number of 1 to 65535"),
        ("--fd tcp/0 x", False, "--fd tcp/0: write a number of 1 to 65535"),
    ],
)
def test_what_makes_no_sense(words: str, as_authbind: bool, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words.split(), as_authbind=as_authbind)
    assert str(caught.value) == said


def test_a_socket_without_an_address_is_on_all() -> None:
    assert parse_socket("tcp/80") == ("tcp", "0.0.0.0", 80)
