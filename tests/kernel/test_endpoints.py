"""Which sockets a ``listen`` value opens."""

from __future__ import annotations

import socket

import pytest
from kernel_endpoints import endpoint, plan

from superd.config.model import Mode

INET, INET6 = socket.AF_INET, socket.AF_INET6

Row = tuple[str, int, str, bool | None]  # name, family, host, v6only


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("text", "mode", "ipv6", "expected"),
    [
        (
            "X://*:21",
            Mode.NOWAIT,
            True,
            [("X4://*:21", INET, "0.0.0.0", None), ("X6://*:21", INET6, "::", True)],
        ),
        ("X://*:21", Mode.NOWAIT, False, [("X://*:21", INET, "0.0.0.0", None)]),
        ("X://*:21", Mode.WAIT, True, [("X://*:21", INET6, "::", False)]),
        ("X://*:21", Mode.ALWAYS, True, [("X://*:21", INET6, "::", False)]),
        ("X://*:21", Mode.WAIT, False, [("X://*:21", INET, "0.0.0.0", None)]),
        ("X4://*:21", Mode.WAIT, True, [("X4://*:21", INET, "0.0.0.0", None)]),
        ("X6://*:21", Mode.WAIT, True, [("X6://*:21", INET6, "::", True)]),
        ("X6://*:21", Mode.NOWAIT, False, [("X6://*:21", INET6, "::", True)]),
        ("X://[::]:21", Mode.WAIT, True, [("X://[::]:21", INET6, "::", True)]),
        ("X://0.0.0.0:21", Mode.WAIT, True, [("X://0.0.0.0:21", INET, "0.0.0.0", None)]),
        (
            "X://localhost:21",
            Mode.WAIT,
            True,
            [("X4://localhost:21", INET, "127.0.0.1", None), ("X6://localhost:21", INET6, "::1", True)],
        ),
        ("X://localhost:21", Mode.NOWAIT, False, [("X://localhost:21", INET, "127.0.0.1", None)]),
        ("X4://localhost:21", Mode.NOWAIT, True, [("X4://localhost:21", INET, "127.0.0.1", None)]),
        ("X6://localhost:21", Mode.NOWAIT, True, [("X6://localhost:21", INET6, "::1", True)]),
        ("X://[fe80::1%lo]:21", Mode.NOWAIT, True, [("X://[fe80::1%lo]:21", INET6, "fe80::1", True)]),
    ],
)
def test_a_value_opens(scheme: str, text: str, mode: Mode, ipv6: bool, expected: list[Row]) -> None:
    kind = socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM
    found = plan(text.replace("X", scheme), mode=mode, ipv6=ipv6)
    assert [(e.name, e.family, e.address[0], e.v6only) for e in found] == [
        (name.replace("X", scheme), family, host, v6only) for name, family, host, v6only in expected
    ]
    assert {e.type for e in found} == {kind}
    assert {e.address[1] for e in found} == {21}


@pytest.mark.parametrize(
    ("text", "mode", "dual_stack", "sockets"),
    [
        ("tcp://*:21", Mode.NOWAIT, True, 1),
        ("tcp://*:21", Mode.WAIT, False, 2),
        ("tcp4://*:21", Mode.NOWAIT, True, 1),
        ("tcp://localhost:21", Mode.NOWAIT, True, 2),
        ("udp://*:21", Mode.NOWAIT, True, 2),
        ("udp://*:21", Mode.WAIT, False, 1),
    ],
)
def test_one_socket_for_both_families_may_be_asked_for(
    text: str, mode: Mode, dual_stack: bool, sockets: int
) -> None:
    found = plan(text, mode=mode, dual_stack=dual_stack)
    assert len(found) == sockets
    assert (found[0].v6only is False) == (sockets == 1 and text.startswith(("tcp://*", "udp://*")))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("unix:///run/x", socket.SOCK_STREAM),
        ("unix-dgram:///run/x", socket.SOCK_DGRAM),
        ("unix-seqpacket://@x", socket.SOCK_SEQPACKET),
    ],
)
def test_a_unix_value_opens_one_socket(text: str, kind: int) -> None:
    found = endpoint(text)
    assert (found.family, found.type, found.v6only) == (socket.AF_UNIX, kind, None)
    assert found.has_socket_file == ("@" not in text)


def test_the_order_is_that_of_the_file() -> None:
    names = [e.name for e in plan("unix:///run/x", "tcp://*:21", "tcp://127.0.0.1:22")]
    assert names == ["unix:///run/x", "tcp4://*:21", "tcp6://*:21", "tcp://127.0.0.1:22"]
