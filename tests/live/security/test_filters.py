"""What system call filters take from a program, key by key; and what the profiles come to together."""

from __future__ import annotations

import json
import socket
import sys

import pytest
from clients import connect
from harness import Superd, exchange

from .inside import look, seen

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("keys", "attempt", "answer"),
    [
        ('system_call_filter = ["~rmdir unlinkat"]\nsystem_call_error_number = "EXDEV"', 'os.rmdir("/x/y")', "EXDEV"),
        ('system_call_filter = ["@system-service"]\nsystem_call_error_number = "EXDEV"',
         'call("mount", b"x", b"/mnt", b"tmpfs", 0, None)', "EXDEV"),
        ('restrict_address_families = ["AF_UNIX"]', "socket.socket(socket.AF_INET)", "EAFNOSUPPORT"),
        ('restrict_address_families = ["~AF_NETLINK"]',
         "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "EAFNOSUPPORT"),
        ('restrict_address_families = ["none"]', "socket.socket(socket.AF_UNIX)", "EAFNOSUPPORT"),
        ("restrict_namespaces = true", 'call("unshare", 0x10000000)', "EPERM"),
        ('restrict_namespaces = ["~user"]', 'call("unshare", 0x10000000)', "EPERM"),
        ("restrict_suid_sgid = true", 'os.chmod(os.memfd_create("x"), 0o4755)', "EPERM"),
        ("restrict_realtime = true", "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))", "EPERM"),
        ("lock_personality = true", 'call("personality", 0x0040000)', "EPERM"),
        ("memory_deny_write_execute = true", 'call("mprotect", ctypes.c_void_p(id(1) & ~4095), 4096, 7)', "EPERM"),
    ],
)  # fmt: skip
def test_what_is_denied(address: str, keys: str, attempt: str, answer: str) -> None:
    """And is not, without the key: the same program beside it gets another answer."""
    body = f"attempts = {{'it': lambda: {attempt} and None}}"
    with Superd(look("held", address, keys, body) + look("free", address, "", body, port=2)):
        assert seen(address) == {"it": answer}
        assert seen(address, 2)["it"] != answer or "SCHED_FIFO" in attempt, "only root may do that anyway"


def test_a_filter_without_an_error_ends_the_program(address: str) -> None:
    body = 'attempts = {"it": lambda: os.rmdir("/x/y")}'
    with Superd(look("a", address, 'system_call_filter = ["~rmdir unlinkat"]', body)) as superd:
        assert exchange(address, 1) == b""
        assert superd.wait_for("end", service="a")["signal"] == "SIGSYS"


SERVERS = """
    [services.nowait]
    listen = ["tcp://{address}:1"]
    exec = ["/bin/cat"]
    user = "daemon"
    [services.nowait.sandbox]
    profile = "{profile}"

    [services.wait]
    listen = ["tcp://{address}:2"]
    mode = "wait"
    exec = {server}
    user = "games"
    [services.wait.sandbox]
    profile = "{profile}"
"""

SERVER = """
import socket
listener = socket.socket(fileno=3)
listener.listen()
for _ in range(2):
    client = listener.accept()[0]
    client.sendall(client.recv(9))
    client.close()
"""


@pytest.mark.parametrize("profile", ["strict", "default", "none"])
def test_programs_that_only_talk_on_their_socket_work_in_every_profile(address: str, profile: str) -> None:
    """A child a connection, and one that owns its listener, accepts on it and sets its backlog."""
    server = json.dumps([sys.executable, "-I", "-S", "-c", f"exec({SERVER!r})"])
    services = SERVERS.format(address=address, profile=profile, server=server)
    with Superd(services):
        for _ in range(3):
            assert exchange(address, 1, b"hello") == b"hello"
        for port in (2, 2, 2, 2):
            with socket.create_connection((address, port), 30) as client:
                client.sendall(b"hello")
                assert client.recv(9) == b"hello"


def test_a_strict_service_is_stopped_and_reloaded_like_any_other(address: str) -> None:
    services = SERVERS.format(address=address, profile="strict", server='["/bin/cat"]').partition(
        "[services.wait]"
    )[0]
    with Superd(services) as superd, connect(address, 1) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        superd.reload(services.replace("/bin/cat", "/usr/bin/tac"))
        client.sendall(b"y")
        assert client.recv(1) == b"y", "the old child goes on"
        assert exchange(address, 1, b"1\n2\n") == b"2\n1\n"
