"""A spawner that starts its first child before the acceptor has greeted it: nothing is lost or told twice."""

from __future__ import annotations

import os
import signal
import socket

import pytest
from harness import PATIENCE_S, Superd, stat_fields, wait_until

pytestmark = pytest.mark.live


def hold(pid: int) -> None:
    """Has a process stand still; returns when it does."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: (fields := stat_fields(pid)) is not None and fields[1] == "T", f"{pid} to stand still")


def test_the_first_connection_is_logged_though_its_spawner_was_faster(address: str) -> None:
    services = f"""
        [services.cat]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "nobody"
    """
    with Superd(services) as superd:
        acceptor = superd.acceptor_pid
        hold(superd.master_pid)
        with socket.create_connection((address, 7), PATIENCE_S) as client:
            wait_until(lambda: superd.status("cat")["accepted"], "the acceptor to have asked for a spawner")
            hold(acceptor)
            superd.signal(signal.SIGCONT)
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
            os.kill(acceptor, signal.SIGCONT)
            began = superd.wait_for("connection", service="cat", port=client.getsockname()[1])
            assert superd.status("cat")["children"] == 1
        ended = superd.wait_for("end", service="cat")
        assert (ended["id"], ended["pid"]) == (began["id"], began["pid"])
        assert superd.acceptor_pid == acceptor
        assert len(superd.log_events("connection")) == 1
