"""Each child holds its own connection and no other; neither clients that reset nor an unread log hold it up."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clients import connect, echo, echoes, service, stop
from harness import (
    Superd,
    exchange,
    output,
    read_all,
    wait_until,
    written,
)

pytestmark = pytest.mark.live

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, socket(7)


# --- whose sockets ---


def test_no_child_ever_holds_another_clients_socket(address: str) -> None:
    """500 connections of 16 clients at a time, on two services: each child has its own socket, and nothing else."""
    program = '["/bin/sh", "-c", "echo $REMOTE_PORT; exec ls -l /proc/self/fd"]'
    services = "".join(
        service(name, f"tcp://{address}:{port}", program, user)
        for name, port, user in (("one", 7, "daemon"), ("two", 9, "games"))
    )

    def ask(number: int) -> tuple[bool, list[str]]:
        with connect(address, (7, 9)[number % 2]) as client:
            own_port = str(client.getsockname()[1])
            told_port, *lines = read_all(client).decode().splitlines()
        return told_port == own_port, [line.split("-> ")[1] for line in lines if "-> " in line]

    with Superd(services) as superd, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(500)))
        assert all(is_own for is_own, _ in answers)
        seen = set()
        for _, descriptors in answers:
            first, second, third, of_ls = descriptors
            assert first == second and first.startswith("socket:")
            assert third.startswith("pipe:") and re.fullmatch("/proc/[0-9]+/fd", of_ls)
            seen.add(first)
        assert len(seen) == 500
        status = superd.status()
        assert [status[name]["accepted"] for name in ("one", "two")] == [250, 250]
        superd.wait_for("end", count=500)


def test_accepted_connections_inherit_the_listeners_options(address: str, folder: Path) -> None:
    program = written(
        folder / "options",
        """
        import socket
        s = socket.socket(fileno=0)
        T, I, S = socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.SOL_SOCKET
        print(s.getsockopt(S, socket.SO_KEEPALIVE), s.getsockopt(T, socket.TCP_NODELAY),
              s.getsockopt(I, socket.IP_TOS), s.getsockopt(I, socket.IP_TTL),
              s.getsockopt(S, socket.SO_SNDBUF), s.getsockopt(S, socket.SO_MARK), s.getblocking(), flush=True)
        s.detach()
        """,
    )
    more = """
        [services.options.socket]
        keep_alive = true
        no_delay = true
        ip_tos = 16
        ip_ttl = 33
        send_buffer = "256KiB"
        mark = 4711
    """
    exec = f'["{sys.executable}", "-I", "-S", "{program}"]'
    with Superd(service("options", f"tcp://{address}:7", exec, "daemon", more)):
        assert exchange(address, 7).decode().split() == [
            "1",
            "1",
            "16",
            "33",
            str(2 * 256 * 1024),
            "4711",
            "True",
        ]


# --- clients ---


def test_a_client_that_resets_before_it_is_accepted_is_no_trouble(address: str) -> None:
    with Superd(echo(address)) as superd:
        stop(acceptor := superd.acceptor_pid)
        for _ in range(20):
            with connect(address) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        with connect(address) as client:
            os.kill(acceptor, signal.SIGCONT)
            assert echoes(client)
        assert not superd.log_events("error") and not superd.log_events("acceptor")


OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")


@pytest.mark.needs("unshare", "nsenter", "ip", "nc")
def test_a_reset_client_of_a_wildcard_listener_is_no_trouble_either() -> None:
    """There the local address must be asked for, of a connection that is gone."""
    program = """
        import socket, struct
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", 7)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    """
    with Superd(echo("*"), prefix=OWN_NETWORK) as superd:
        inside = ("nsenter", "--target", str(superd.master_pid), "--net", "--")
        stop(acceptor := superd.acceptor_pid)
        script = written(superd.folder / "resetting", program)
        output(*inside, sys.executable, "-I", "-S", script)
        os.kill(acceptor, signal.SIGCONT)
        assert output(*inside, "nc", "-N", "127.0.0.1", "7", input="still there", stdin=None) == "still there"
        assert not superd.log_events("error") and not superd.log_events("acceptor")


# --- the log ---


def test_a_log_that_nobody_reads_holds_up_nobody(address: str, folder: Path) -> None:
    """It is a fifo, and full; each child writes more than it takes. Whoever reads it late misses nothing untold."""
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    noisy = '["/bin/sh", "-c", "yes quite a long line of no importance | head -n 3000 >&2; exec cat"]'
    services = service("noisy", f"tcp://{address}:7", noisy, "daemon")
    with Superd(services) as superd:
        superd.config.write_text(superd.config.read_text().replace(str(superd.log), str(fifo)))
        superd.reload()
        assert stat.S_ISFIFO(os.stat(fifo).st_mode)
        for _ in range(50):
            assert exchange(address, 7, b"served") == b"served"
        assert superd.status("noisy")["accepted"] == 50
        reader, text = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), bytearray()
        try:
            wait_until(lambda: all_is_told(text_of(reader, text)), "the log to catch up")
        finally:
            os.close(reader)


def text_of(descriptor: int, so_far: bytearray) -> bytearray:
    """What was read before and what can be read now."""
    try:
        so_far += os.read(descriptor, 65536)
    except BlockingIOError:
        pass
    return so_far


def all_is_told(text: bytearray) -> bool:
    """Every end of 50 connections is in the log, or that lines were lost is."""
    return text.count(b'"event":"end"') == 50 or b'"event":"lost"' in text
