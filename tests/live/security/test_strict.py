"""``profile = "strict"``, from inside: what a hostile program of a network service meets there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from harness import Superd, exchange

from .inside import look, seen

pytestmark = pytest.mark.live

BESIDE = """
    [services.beside]
    listen = ["tcp://{address}:7", "udp://{address}:7"]
    builtin = "echo"
"""

NETWORK = """
    there = (told_address, 7)

    def connected(sock):
        with sock:
            sock.settimeout(5)
            sock.connect(there)
            return "connected"

    def inherited(name, *arguments):
        \"\"\"Through the connection, which stays in the network that it was made in.\"\"\"
        return lambda: call(name, 0, *arguments)

    unspecified = struct.pack("H14x", socket.AF_UNSPEC)
    to_there = struct.pack("!HH4s8x", 0, 7, socket.inet_aton(told_address))
    to_there = struct.pack("H", socket.AF_INET) + to_there[2:]
    with socket.socket() as own:
        attempts = {
            "tcp": lambda: connected(socket.socket()),
            "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", there) and "sent",
            "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
            "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close(),
            "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
            "disconnect": inherited("connect", unspecified, 16),
            "connect anew": inherited("connect", to_there, 16),
            "bind": inherited("bind", to_there, 16),
            "listen": inherited("listen", 5),
            "accept": inherited("accept4", None, None, 0),
            "io_uring": lambda: call("syscall", 425, 1, ctypes.create_string_buffer(120)),
            "unshare": lambda: call("unshare", 0x40000000),
            "abstract": lambda: connected_to(told_name),
        }

        def connected_to(name):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect("\\0" + name)
                return "connected"

        came = tried(attempts)
    attempts = {name: (lambda value=value: value) for name, value in came.items()}
"""


def test_strict_reaches_nobody_but_its_client(address: str) -> None:
    """Neither by sockets of its own, nor by the one that it was given, nor by names without a file."""
    name = f"superd-test-{address}"
    body = f"told_address, told_name = {address!r}, {name!r}\n" + NETWORK.replace("\n    ", "\n")
    config = look("inside", address, 'profile = "strict"', body) + BESIDE.format(address=address)
    with Superd(config) as superd, socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        came = seen(address)
        assert exchange(address, 7, b"x") == b"x", "there is something to be reached"
        assert superd.status("beside")["accepted"] == 1, "and nobody else has"
    assert not set(came.values()) & {"done", "connected", "sent"}, came


PLACES = ("/", "/etc", "/usr", "/var", "/run", "/dev", "/proc/sys", "/sys", "/home", "/root", "/opt")

FILES = """
import mmap

def made(folder):
    path = os.path.join(folder, "superd-test-strict")
    with open(path, "w") as file:
        file.write("#!/bin/sh\\necho executed\\n" + " " * 4096)
    os.chmod(path, 0o755)
    return path

def executed(folder):
    return subprocess.run([made(folder)], capture_output=True, text=True).stdout.strip()

def mapped(folder):
    with open(made(folder), "rb") as file:
        mmap.mmap(file.fileno(), 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()

def of_memory():
    os.execve(os.memfd_create("x"), ["true"], {})

attempts = {
    **{place: lambda place=place: os.remove(made(place)) for place in PLACES},
    "in /tmp": lambda: made("/tmp") and None,
    "from /tmp": lambda: executed("/tmp"),
    "from /dev/shm": lambda: executed("/dev/shm"),
    "mapped": lambda: mapped("/tmp"),
    "code of its own": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC).close(),
    "from memory": of_memory,
    "what is there": lambda: subprocess.run(["/bin/echo", "x"], capture_output=True, text=True).stdout.strip(),
}
"""


def test_strict_writes_nowhere_but_in_a_tmp_of_its_own_and_executes_nothing_from_there(
    address: str, folder: Path
) -> None:
    """What it cannot write it may execute: a spawner has to."""
    folder.chmod(0o777)
    places = [str(folder), *PLACES]
    body = f"PLACES = {places!r}\n{FILES}"
    with Superd(look("inside", address, 'profile = "strict"', body)):
        came = seen(address)
    assert came.pop("in /tmp") == "done"
    assert came.pop("what is there") == "x"
    assert set(came.values()) <= {"EROFS", "EACCES", "EPERM", "ENOENT", "ENOSYS"}, came
    assert not Path("/tmp/superd-test-strict").exists()
    assert list(folder.glob("superd-test-strict")) == []
