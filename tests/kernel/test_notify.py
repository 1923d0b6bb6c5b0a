"""What a service manager hears of superd."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from superd.kernel.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(10)
        yield sock


def notifier(manager: socket.socket, **more: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": manager.getsockname(), **more})


def test_it_says_how_superd_is(manager: socket.socket) -> None:
    told = notifier(manager)
    told.ready(3)
    assert manager.recv(999).split(b"\n")[:2] == [b"READY=1", b"STATUS=serving 3 services"]
    told.alive()
    assert manager.recv(999) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("more", "every_s"),
    [
        ({"WATCHDOG_USEC": "5000000"}, 2.5),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_a_watchdog_is_told_twice_in_its_time(
    manager: socket.socket, more: dict[str, str], every_s: float
) -> None:
    assert notifier(manager, **more).watchdog_s == every_s


def test_nobody_listens() -> None:
    Notifier({}).ready(1)
    Notifier({"NOTIFY_SOCKET": "/nonexistent"}).ready(1)
    assert Notifier({"WATCHDOG_USEC": "5000000"}).watchdog_s == 0.0
