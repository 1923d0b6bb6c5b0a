"""Services that turn against superd: whatever their children do, they hurt their own service alone."""

from __future__ import annotations

import socket

import pytest
from harness import PATIENCE_S, Superd, exchange, wait_until

pytestmark = pytest.mark.live


def services(address: str) -> str:
    """A shell for everybody, and a service that must not notice."""
    return f"""
        [services.shell]
        listen = ["tcp://{address}:1"]
        exec = ["/bin/sh", "-c", "read line; eval \\"$line\\""]
        user = "daemon"

        [services.echo]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "games"
    """


def test_a_child_that_kills_its_spawner_by_a_signal_without_name_ends_its_own_service_for_a_moment(
    address: str,
) -> None:
    with Superd(services(address)) as superd:
        exchange(address, 1, b"kill -40 $PPID\n")
        superd.wait_for(
            "spawner", service="shell", message=f"its spawner (pid {killed(superd)}) was killed by SIG40"
        )
        assert exchange(address, 7, b"x") == b"x"
        assert exchange(address, 1, b"echo again\n") == b"again\n"


def killed(superd: Superd) -> int:
    """The spawner that the log tells of."""
    event = superd.wait_for("spawner", service="shell")
    return int(event["message"].split("pid ")[1].partition(")")[0])


def test_a_child_that_writes_on_standard_error_without_end_does_not_stop_its_service(address: str) -> None:
    with Superd(services(address)) as superd, socket.create_connection((address, 1), PATIENCE_S) as flood:
        flood.sendall(b"exec yes >&2\n")
        superd.wait_for("output", service="shell", message="y")
        before = superd.spawners("shell")
        assert exchange(address, 1, b"echo served\n") == b"served\n"
        assert superd.spawners("shell") == before, (
            "it took no other spawner, which would have cost connections"
        )
        (yes,) = (event["pid"] for event in superd.log_events("connection", service="shell")[:1])
        exchange(address, 1, f"kill {yes}\n".encode())
        wait_until(lambda: superd.log_events("end", service="shell", pid=yes), "the flood to end")
