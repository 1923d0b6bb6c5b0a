"""Services that are alike are checked once, and yet each one's own faults are found."""

from __future__ import annotations

import pytest
from helpers.inetd import line, read

from superd.config.legacy.carried import Carried, dotted

PLAIN = "7001 stream tcp nowait nobody /a a\n"


def made(text: str) -> Carried:
    return read(text, "openbsd")


@pytest.mark.parametrize(
    "other",
    [
        "7002 stream tcp nowait nobody /a a\n",
        "7002 stream tcp nowait nobody /b b more words\n",
        "70000 stream tcp nowait nobody /a a\n",
        "7002 stream tcp nowait nobody /a a\x01b\n",
        "7002 stream tcp nowait nobody a a\n",
        "7002 stream tcp nowait superd /a a\n",
        "7002 stream tcp wait nobody /a a\n",
        "7002 stream tcp nowait.7 nobody /a a\n",
        "7002 dgram udp wait nobody /a a\n",
        "/run/x stream unix nowait nobody /a a\n",
        "127.0.0.1,127.0.0.2:7002 stream tcp nowait nobody /a a\n",
        line("echo", program="internal"),
    ],
)
def test_a_service_becomes_the_same_alone_and_behind_others(other: str) -> None:
    alone, behind = made(other), made(PLAIN * 2 + other)
    (service,) = alone.services
    last = behind.services[-1]
    assert (last.name, dotted(last.tables), last.remains_out) == (
        service.name,
        dotted(service.tables),
        service.remains_out,
    )
    assert [one.reason for one in behind.remarks if one.origin.line == 3] == [
        one.reason for one in alone.remarks
    ]


def test_one_port_for_two_is_found_among_those_that_are_alike() -> None:
    text = "127.0.0.1:7001 stream tcp nowait nobody /a a\n7001 stream tcp nowait nobody /a a\n"
    assert "listens there too" in made(text).remarks[-1].reason
