"""A child for each peer of a UDP port: it has its peer to itself, from the first datagram on."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE_S, Superd, is_alive, output, run, wait_until, written

pytestmark = pytest.mark.live

TELL = """
import json, os, socket
peer = socket.socket(fileno=0)
while True:
    data, source = peer.recvfrom(70000)
    words = {name: value for name, value in os.environ.items() if name.startswith(("PROTO", "UDP", "REMOTE"))}
    if data == b"bye":
        break
    told = {"pid": os.getpid(), "uid": os.getuid(), "length": len(data), "data": data[:100].decode(),
            "source": source, "environment": words}
    peer.send(json.dumps(told).encode())
"""
"""Answers each datagram with what it knows, until it is told bye."""


ONCE = """
import socket
listener = socket.socket(fileno=0)
listener.sendto(b"{}", listener.recvfrom(100)[1])
"""


def service(folder: Path, *listens: str, more: str = "") -> str:
    script = written(folder / "tell.py", TELL)
    return f"""
        [services.tell]
        listen = {json.dumps(listens)}
        exec = ["/usr/bin/python3", "-I", "-S", "{script}"]
        user = "nobody"
        {more}
        """


class Client:
    """A peer of ``host``, connected: it takes answers from where it asks alone."""

    def __init__(self, host: str, port: int, at: str = "") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.settimeout(PATIENCE_S)
        if at:
            self.sock.bind((at, 0))
        self.sock.connect((host, port))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    @property
    def place(self) -> list[Any]:
        return list(self.sock.getsockname())

    def say(self, data: str) -> None:
        self.sock.send(data.encode())

    def hear(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.sock.recv(70000))
        return told

    def ask(self, data: str) -> dict[str, Any]:
        self.say(data)
        return self.hear()


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_eight_peers_at_once_have_a_child_each_and_hear_of_nobody_else(
    address: str, folder: Path, family: str
) -> None:
    listen = f"udp://{address}:69" if family == "ipv4" else f"udp://[::1]:{free_port('::1')}"
    host, port = place_of(listen)
    with Superd(service(folder, listen), folder=folder) as superd, ExitStack() as stack:
        clients = [stack.enter_context(Client(host, port)) for _ in range(8)]
        for number, client in enumerate(clients):
            client.say(f"first of {number}")
            client.say(f"second of {number}")
        answers = [(client.hear(), client.hear()) for client in clients]
        for number, (client, both) in enumerate(zip(clients, answers, strict=True)):
            assert [told["data"] for told in both] == [f"first of {number}", f"second of {number}"]
            for told in (*both, client.ask("third")):
                assert told["source"] == client.place
                assert told["pid"] == both[0]["pid"]
                assert told["environment"] == environment(client, host, port)
        assert len({first["pid"] for first, _ in answers}) == 8
        status = superd.status("tell")
        assert (status["children"], status["accepted"]) == (8, 8)
        logged = {(event["source"], event["port"]) for event in superd.log_events("connection")}
        assert logged == {(client.place[0], client.place[1]) for client in clients}


def environment(client: Client, host: str, port: int) -> dict[str, str]:
    ip, its_port = client.place[0], str(client.place[1])
    return {
        "PROTO": "UDP",
        "UDPREMOTEIP": ip,
        "UDPREMOTEPORT": its_port,
        "UDPLOCALIP": host,
        "UDPLOCALPORT": str(port),
        "REMOTE_ADDR": ip,
        "REMOTE_PORT": its_port,
        "REMOTE_HOST": ip,
    }


def place_of(listen: str) -> tuple[str, int]:
    host, _, port = listen.partition("://")[2].rpartition(":")
    return host.strip("[]"), int(port)


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def test_every_address_of_the_machine(folder: Path) -> None:
    port = free_port("0.0.0.0")
    with Superd(service(folder, f"udp://*:{port}"), folder=folder):
        for host in ("127.0.0.1", "::1"):
            with Client(host, port) as client:
                assert client.ask("x")["environment"] == environment(client, host, port)


def test_a_large_datagram_is_not_cut(address: str, folder: Path) -> None:
    with Superd(service(folder, f"udp://{address}:69"), folder=folder), Client(address, 69) as client:
        assert client.ask("x" * 60_000)["length"] == 60_000
        assert client.ask("y" * 65_507)["length"] == 65_507


def test_a_peer_whose_child_ended_gets_another(address: str, folder: Path) -> None:
    with (
        Superd(service(folder, f"udp://{address}:69"), folder=folder) as superd,
        Client(address, 69) as client,
    ):
        first = client.ask("x")["pid"]
        client.say("bye")
        superd.wait_for("end", pid=first, outcome="clean")
        second = client.ask("x")["pid"]
        assert second != first


def test_runtime_max_ends_a_child_that_would_wait_for_ever(address: str, folder: Path) -> None:
    services = service(folder, f"udp://{address}:69", more='runtime_max = "300ms"')
    with Superd(services, folder=folder) as superd, Client(address, 69) as client:
        pid = client.ask("x")["pid"]
        assert superd.wait_for("end", pid=pid)["outcome"] == "timed-out"
        assert superd.status("tell")["children"] == 0


def test_more_peers_than_credits_are_served_one_after_the_other(address: str, folder: Path) -> None:
    services = service(folder, f"udp://{address}:69")
    with Superd(services, folder=folder, prefix=["prlimit", "--nofile=64:64"]), ExitStack() as stack:
        clients = [stack.enter_context(Client(address, 69)) for _ in range(100)]
        for number, client in enumerate(clients):
            client.say(str(number))
        for number, client in enumerate(clients):
            told = client.hear()
            assert told["data"] == str(number)
            client.say("bye")


# --- reload, restart, crash ---


def test_children_keep_their_peers_over_a_reload_of_their_service(address: str, folder: Path) -> None:
    listen = f"udp://{address}:69"
    with Superd(service(folder, listen), folder=folder) as superd, Client(address, 69) as old:
        child = old.ask("x")["pid"]
        superd.reload(service(folder, listen, more='environment = { REMARK = "new" }'))
        assert old.ask("y")["pid"] == child
        with Client(address, 69) as new:
            assert new.ask("z")["environment"]["UDPREMOTEPORT"] == str(new.place[1])


def test_a_service_goes_from_wait_to_a_child_a_peer_and_back(address: str, folder: Path) -> None:
    """Where another service has UDP peers too: what that takes is kept from the start."""
    script = written(folder / "once.py", ONCE)
    other = f"""
        [services.other]
        listen = ["udp://{address}:9"]
        exec = ["/bin/cat"]
        user = "games"
    """
    wait = f"""
        {other}
        [services.tell]
        listen = ["udp://{address}:69"]
        mode = "wait"
        exec = ["/usr/bin/python3", "-I", "-S", "{script}"]
        user = "nobody"
        """
    nowait = service(folder, f"udp://{address}:69") + other
    with Superd(wait, folder=folder) as superd, Client(address, 69) as client:
        assert client.ask("x") == {}
        superd.reload(nowait)
        child = client.ask("x")["pid"]
        superd.reload(wait)
        assert client.ask("x")["pid"] == child
        client.say("bye")
        superd.wait_for("end", pid=child)
        assert client.ask("x") == {}


def test_children_outlive_superd_and_the_next_one_listens_beside_them(address: str, folder: Path) -> None:
    services = service(folder, f"udp://{address}:69")
    with ExitStack() as stack:
        old, new = (stack.enter_context(Client(address, 69)) for _ in range(2))
        first = stack.enter_context(Superd(services))
        child = old.ask("x")["pid"]
        first.stop()
        with Superd(services):
            assert is_alive(child)
            other = new.ask("x")["pid"]
            assert other != child
            assert old.ask("y")["pid"] == child


def test_a_second_superd_is_told_that_the_port_is_taken(address: str, folder: Path) -> None:
    services = service(folder, f"udp://{address}:69")
    with Superd(services), Client(address, 69) as client:
        client.ask("x")
        with Superd(services) as second:
            event = second.wait_for("error", service="tell")
            assert event["message"].startswith("cannot listen: Address already in use: superd: master")


def test_a_new_acceptor_hears_the_peers_that_have_none(address: str, folder: Path) -> None:
    with Superd(service(folder, f"udp://{address}:69"), folder=folder) as superd, ExitStack() as stack:
        old, new = (stack.enter_context(Client(address, 69)) for _ in range(2))
        child = old.ask("x")["pid"]
        killed = superd.acceptor_pid
        os.kill(killed, signal.SIGKILL)
        assert old.ask("y")["pid"] == child
        assert new.ask("x")["pid"] != child
        wait_until(lambda: superd.status("tell")["children"] == 2, "both children to be known")
        old.say("bye")
        ended = superd.wait_for("end", pid=child)
        assert (ended["source"], ended["outcome"]) == ("127.0.0.1", "clean")


# --- who may ---


def test_an_ordinary_user_is_told_what_to_write_instead(folder: Path) -> None:
    script = written(folder / "tell.py", TELL)
    services = f"""
        [services.tell]
        listen = ["udp://127.0.0.1:{free_port("127.0.0.1")}"]
        exec = ["/usr/bin/python3", "{script}"]
        """
    with Superd(services, run_as="games") as superd:
        event = superd.wait_for("error", service="tell")
        assert event["message"].endswith(
            'services.tell.mode = "nowait": needs root: the first datagram of each peer is delivered through a '
            'raw socket; use mode = "wait"'
        )
        assert superd.status("tell")["state"] == "faulty"


# --- from another machine ---

OTHER = """
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(30)
    sock.connect(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4])
    sock.send(b"x")
    print(sock.recv(70000).decode())
"""


@contextmanager
def two_machines() -> Iterator[tuple[str, str]]:
    """Two networks joined by a cable, as names for ``ip netns``; each refuses what comes from the wrong side."""
    ours, theirs = (f"superd-{side}-{os.getpid()}" for side in ("a", "b"))
    try:
        for name in (ours, theirs):
            output("ip", "netns", "add", name)
        output("ip", "link", "add", "eth0", "netns", ours, "type", "veth", "peer", "eth0", "netns", theirs)
        for number, name in ((1, ours), (2, theirs)):
            inside = ("ip", "netns", "exec", name)
            for setting in ("all.rp_filter=1", "default.rp_filter=1"):
                output(*inside, "sysctl", "-qw", f"net.ipv4.conf.{setting}")
            output("ip", "-n", name, "addr", "add", f"192.0.2.{number}/24", "dev", "eth0")
            for ip in (f"2001:db8::{number}/64", f"fe80::{number}/64"):
                output("ip", "-n", name, "addr", "add", ip, "dev", "eth0", "nodad")
            for device in ("lo", "eth0"):
                output("ip", "-n", name, "link", "set", device, "up")
        yield ours, theirs
    finally:
        for name in (ours, theirs):
            run("ip", "netns", "del", name)


@pytest.mark.needs("ip", "sysctl")
def test_peers_from_a_network_link_local_ones_with_their_interface(folder: Path) -> None:
    script = written(folder / "other.py", OTHER)
    listens = ("udp://192.0.2.1:69", "udp://[2001:db8::1]:69", "udp://[fe80::1%eth0]:69", "udp://*:70")
    asked = [
        ("192.0.2.1", 69),
        ("2001:db8::1", 69),
        ("fe80::1%eth0", 69),
        ("192.0.2.1", 70),
        ("2001:db8::1", 70),
    ]
    with two_machines() as (ours, theirs):
        prefix = ["ip", "netns", "exec", ours]
        with Superd(service(folder, *listens), folder=folder, prefix=prefix) as superd:
            for host, port in asked:
                other = ("ip", "netns", "exec", theirs, "/usr/bin/python3", script, host, str(port))
                told = json.loads(output(*other))
                remote = told["environment"]["UDPREMOTEIP"]
                wanted = host.replace("::1", "::2").replace("2.1", "2.2")
                if "%" in host:
                    assert re.fullmatch(r"fe80::2%\d+", remote)
                    assert told["source"][3] == int(remote.partition("%")[2])
                else:
                    assert remote == wanted
                assert ipaddress.ip_address(told["source"][0]) == ipaddress.ip_address(
                    wanted.partition("%")[0]
                )
            assert len(superd.log_events("connection", service="tell")) == len(asked)
