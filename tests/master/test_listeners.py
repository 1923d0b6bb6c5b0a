"""Sockets that systemd opened are taken by the service they were meant for, and the rest is told."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.services import service

from superd.config.model import Mode
from superd.master.listeners import Adoptable, close_one, open_one, plan


def inode(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def passed() -> tuple[int, int, int]:
    """A listener as systemd passes it: descriptor, inode, port."""
    sock = socket.create_server(("127.0.0.1", 0))
    port, number = sock.getsockname()[1], inode(sock)
    return sock.detach(), number, port


def test_a_passed_socket_is_taken_and_made_what_the_service_needs() -> None:
    descriptor, number, port = passed()
    (listener,) = plan(one := service("ftp", f"tcp://127.0.0.1:{port}"))
    assert open_one(listener, one, Adoptable([descriptor]))
    assert listener.sock is not None
    assert inode(listener.sock) == number
    assert not listener.sock.getblocking(), "superd accepts from it"
    close_one(listener)


def test_a_program_that_owns_its_listener_gets_it_blocking() -> None:
    descriptor, _, port = passed()
    (listener,) = plan(one := service("ftp", f"tcp://127.0.0.1:{port}", mode=Mode.WAIT))
    assert open_one(listener, one, Adoptable([descriptor]))
    assert listener.sock is not None and listener.sock.getblocking()
    close_one(listener)


def test_each_socket_is_taken_once() -> None:
    descriptor, _, port = passed()
    adoptable = Adoptable([descriptor])
    (first,) = plan(one := service("ftp", f"tcp://127.0.0.1:{port}"))
    (second,) = plan(one)
    assert open_one(first, one, adoptable)
    assert not open_one(second, one, adoptable)
    assert second.reason.startswith("Address already in use")
    close_one(first)


@pytest.mark.parametrize(
    ("family", "kind", "address", "text"),
    [
        (socket.AF_INET6, socket.SOCK_DGRAM, ("::1", 0), r"udp://\[::1\]:[0-9]+"),
        (
            socket.AF_UNIX,
            socket.SOCK_STREAM,
            "\0superd-test-of-addresses",
            "unix://@superd-test-of-addresses",
        ),
        (socket.AF_UNIX, socket.SOCK_DGRAM, "/socket", "unix-dgram://.*/socket"),
        (socket.AF_UNIX, socket.SOCK_SEQPACKET, "/socket", "unix-seqpacket://.*/socket"),
    ],
)
def test_a_socket_that_nobody_takes_is_told_as_listen_would_name_it(
    tmp_path: Path, family: int, kind: int, address: Any, text: str
) -> None:
    with socket.socket(family, kind) as sock:
        sock.bind(f"{tmp_path}{address}" if address == "/socket" else address)
        assert re.fullmatch(text, Adoptable([sock.detach()]).close()[0])


def test_what_nobody_takes_is_closed_and_told(free_port: Callable[[], int]) -> None:
    descriptor, _, port = passed()
    reader, writer = os.pipe()
    adoptable = Adoptable([descriptor, reader])
    (listener,) = plan(one := service("ftp", f"tcp://127.0.0.1:{free_port()}"))
    assert open_one(listener, one, adoptable)
    assert adoptable.close() == [f"tcp://127.0.0.1:{port}", f"descriptor {reader}"]
    assert adoptable.close() == []
    socket.create_server(("127.0.0.1", port)).close()
    os.close(writer)
    close_one(listener)
