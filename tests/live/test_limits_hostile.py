"""Limits under attack: nobody switches a service off for the others, and nothing stays counted that is over."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from clients import echo, echoes, service
from harness import Superd, read_all, wait_until, written
from helpers.proxy_headers import encode_v1, encode_v2
from sources import ask, connect_from

pytestmark = pytest.mark.live

A, B, C = "127.9.0.1", "127.9.0.2", "127.9.0.3"
V1 = encode_v1(socket.AF_INET, bytes([192, 0, 2, 7]), 1234, bytes([198, 51, 100, 1]), 443)


def limits(superd: Superd, name: str = "echo") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(superd.ctl("--json", "limits", name).stdout)["services"][name]
    return found


def is_quiet(superd: Superd, name: str) -> bool:
    used = limits(superd, name)["use"]["max_connections"]["used"]
    return bool(used == 0 and superd.status(name)["children"] == 0)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@contextmanager
def same_acceptor(superd: Superd) -> Iterator[None]:
    before = superd.acceptor_pid
    yield
    assert superd.acceptor_pid == before, superd.report()
    assert not superd.log_events("acceptor")


def proxied(address: str, port: int = 7, more: str = "") -> str:
    proxy = f'[services.tell.proxy_protocol]\naccept_from = ["127.9.0.0/16"]\ntimeout = "20s"\n{more}'
    tell = '["/bin/sh", "-c", "echo $REMOTE_ADDR"]'
    return service("tell", f"tcp://{address}:{port}", tell, "daemon", proxy)


# --- the control socket ---


def test_no_request_ends_the_acceptor(address: str) -> None:
    requests: list[bytes] = [
        b'{"command": "who-may", "service": "echo", "address": "0.0.0.0"}',
        b'{"command": "who-may", "service": "echo", "address": "::"}',
        b'{"command": "who-may", "service": "echo", "address": "192.0.2.1", "at": 1e300}',
        b'{"command": "who-may", "service": "echo", "address": "192.0.2.1", "at": NaN}',
        b'{"command": "who-may", "service": "echo", "address": [[]]}',
        b'{"command": "tune", "service": "echo", "values": {"rate": NaN}}',
        b'{"command": "tune", "service": "echo", "values": {"access.allow": ["\\ud800"]}}',
        b'{"command": "tune", "service": "echo", "values": {"banner_limited": "/\\ud800"}}',
        b'{"command": "tune", "service": "echo", "values": {"access.hosts_access": true}}',
        b'{"command": "tune", "service": "echo", "values": {"\\u0000": null, "": {}, ".": []}}',
        b'{"command": "tune", "service": "echo", "values": {"rate": %s}}' % (b"9" * 4_000),
        b'{"command": "tune", "service": "echo", "values": {"rate": %s}}' % (b"[" * 30_000),
        b'{"command": "tune", "service": "echo", "values": {"rate": "1/s"}, "seconds": 1e999}',
        b'{"command": "tune", "service": "echo", "values": {"source_prefix_ipv4": 8}}',
        b'{"command": "limits", "service": ["echo"]}',
        b'{"command": "unban", "source": "0.0.0.0"}',
        b'{"command": "bans", "service": {}}',
    ]
    with Superd(echo(address)) as superd:
        ask(A, address)
        with same_acceptor(superd):
            for request in requests:
                with socket.socket(socket.AF_UNIX) as control:
                    control.connect(str(superd.control))
                    control.sendall(request + b"\n")
                    assert json.loads(read_all(control)), request
            assert ask(A, address) == b"hello"


def test_more_than_can_be_kept_is_not_tuned(address: str) -> None:
    with Superd(echo(address)) as superd, same_acceptor(superd):
        networks = ", ".join(f'"10.{number >> 8}.{number & 255}.0/24"' for number in range(2_500))
        assert superd.ctl("tune", "echo", f"access.deny=[{networks}]").returncode == 0
        done = superd.ctl("tune", "echo", f"exempt=[{networks}]")
        assert done.returncode == 78
        assert "all that is tuned would take" in done.stderr and "configuration and reload" in done.stderr
        assert ask(A, address) == b"hello"


# --- tuning never closes the door ---


def test_a_rate_that_is_lifted_and_set_again_admits_at_once(address: str) -> None:
    more = '[services.echo.limits]\nrate = "1000/s"\n'
    with Superd(echo(address, more=more)) as superd:
        for value in ("infinity", "5/s"):
            assert ask(A, address) == b"hello"
            assert superd.ctl("tune", "echo", f"rate={value}").returncode == 0
        assert ask(A, address) == b"hello"


def test_a_queue_that_was_tuned_moves_on(address: str) -> None:
    more = '[services.echo.limits]\nrate = "1/d"\non_excess = "queue"\n'
    with Superd(echo(address, more=more)) as superd, ExitStack() as stack:
        assert ask(A, address) == b"hello"
        waiting = stack.enter_context(connect_from(A, address))
        waiting.sendall(b"x")
        assert superd.ctl("tune", "echo", "rate=4/s", "burst=1").returncode == 0
        assert waiting.recv(1) == b"x"
        assert [ask(A, address) for _ in range(3)] == [b"hello"] * 3, (
            "each waits for its token, none for a day"
        )


def test_a_start_that_waited_for_tomorrow_is_made_when_the_rate_is_tuned(address: str) -> None:
    program = '["/usr/bin/python3", "-I", "-c", "import socket; socket.socket(fileno=0).accept()[0].send(b\'served\')"]'
    more = 'mode = "wait"\n[services.echo.limits]\nrate = "1/d"\n'
    with (
        Superd(service("echo", f"tcp://{address}:7", program, "daemon", more)) as superd,
        ExitStack() as stack,
    ):
        assert ask(A, address, b"") == b"served"
        superd.wait_for("end")
        waiting = stack.enter_context(connect_from(A, address))
        wait_until(lambda: superd.status("echo")["trouble"], "the start to wait")
        assert superd.ctl("tune", "echo", "rate=100/s").returncode == 0
        assert read_all(waiting) == b"served"


# --- PROXY headers ---


def test_silent_connections_from_a_proxys_network_keep_nobody_out(address: str) -> None:
    with Superd(proxied(address)) as superd, ExitStack() as stack, same_acceptor(superd):
        half = stack.enter_context(connect_from(B, address))
        half.sendall(V1[:10])
        for _ in range(200):
            stack.enter_context(connect_from(A, address)).sendall(V1[:3])
        for _ in range(20):
            assert ask(C, address, V1) == b"192.0.2.7\n"
        half.sendall(V1[10:])
        assert read_all(half) == b"192.0.2.7\n", "who is few does not make room for who is many"
        superd.wait_for("refused", reason="proxy-header", source=A)


def test_many_sources_take_no_more_memory_than_is_allowed(address: str) -> None:
    more = '[services.tell.limits]\nrate_per_source = "1/min"\npenalty = "1min"\nmax_sources = 100\n'
    with Superd(proxied(address, more=more)) as superd, same_acceptor(superd):
        for number in range(500):
            name = struct.pack(">IIQ", 0x20010DB8, number, 1)
            header = encode_v2(socket.AF_INET6, name, 1, name, 2)
            for _ in range(2):
                ask(A, address, header)
        told = limits(superd, "tell")["use"]
        assert told["rate_per_source"]["used"] <= 100
        assert told["penalty"]["used"] <= 100
        assert len(json.loads(superd.ctl("--json", "bans").stdout)["bans"]) == told["penalty"]["used"]


# --- banners ---


def test_clients_that_read_no_banner_hold_nothing(address: str, folder: Any) -> None:
    busy = written(folder / "busy", "busy\n" * 1_500)
    more = f'[services.echo.limits]\nmax_connections = 1\nbanner_limited = "{busy}"\n'
    with Superd(echo(address, more=more)) as superd, ExitStack() as stack, same_acceptor(superd):
        assert echoes(stack.enter_context(connect_from(A, address)))
        open_before = len(os.listdir(f"/proc/{superd.acceptor_pid}/fd"))
        for _ in range(300):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.connect((address, 7))
            client.sendall(b"x" * 100)
        wait_until(lambda: superd.status("echo")["refused"].get("connections") == 300, "all to be refused")
        assert len(os.listdir(f"/proc/{superd.acceptor_pid}/fd")) <= open_before + 3


# --- nothing stays counted ---


def many(address: str, changed: bool) -> str:
    nice = "nice = 3\n" if changed else ""
    return (
        echo(address, more=nice)
        + proxied(address, 9)
        + service("peers", f"udp://{address}:7", '["/bin/dd", "bs=100", "count=1"]', "games", nice)
        + (echo(address, 11, "now-and-then", "news") if changed else "")
    )


def misbehave(address: str, rng: random.Random) -> None:
    """One client that leaves in the middle of something."""
    what = rng.randrange(5)
    if what == 0:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind((f"127.9.3.{rng.randrange(1, 250)}", 0))
            peer.sendto(b"x", (address, 7))
        return
    try:
        client = connect_from(f"127.9.3.{rng.randrange(1, 250)}", address, 9 if what < 3 else 7)
    except OSError:
        return
    try:
        client.sendall(V1[: rng.randrange(len(V1) + 1)] if what < 3 else b"hello")
    except OSError:
        pass
    reset(client) if rng.random() < 0.7 else client.close()


def replace_acceptor(superd: Superd) -> None:
    before = superd.acceptor_pid
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: superd.acceptor_pid != before, "another acceptor")


def test_whatever_happens_to_connections_none_stays_counted(address: str) -> None:
    """Resets in every state, while services change and go and their spawners and the acceptor are killed."""
    rng = random.Random(3)
    with Superd(many(address, False), settings="max_connections = 60") as superd:
        for turn in range(12):
            for _ in range(40):
                misbehave(address, rng)
            if turn % 3 == 0:
                superd.reload(many(address, turn % 2 == 0))
            elif turn % 3 == 1:
                for pid in superd.spawners("echo") + superd.spawners("tell"):
                    with suppress(ProcessLookupError):  # it has retired meanwhile
                        os.kill(pid, signal.SIGKILL)
            elif turn % 6 == 5:
                replace_acceptor(superd)
        superd.reload(many(address, False))
        for name in ("echo", "tell", "peers"):
            wait_until(partial(is_quiet, superd, name), f"nothing of {name} to be counted")
        with ExitStack() as stack:
            held = [stack.enter_context(connect_from(f"127.9.4.{one % 5}", address)) for one in range(60)]
            assert all(map(echoes, held)), "all that the total admits are admitted"
