"""The broker and those who mean it harm: whatever they send, the others are served and it stays as it is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from binding import BIND, OTHER, bound, broker_pid, environ, grant, granting, python, started
from harness import Superd, becoming, run, wait_until

pytestmark = pytest.mark.live

RAW = """\
import array, errno, os, socket, sys
from superd import bind
path = os.environ["SUPERD_BIND_SOCKET"]
def packet(address, port, kind=bind.BIND, version=4):
    packed = socket.inet_pton(socket.AF_INET6 if version == 6 else socket.AF_INET, address).ljust(16, bytes(1))
    return bind.REQUEST.pack(bind.MAGIC, kind, version, port, 0, packed)
def ask(data, *descriptors):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.connect(path)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            link.sendmsg([data], rights)
            answer = link.recv(65536)
        except ConnectionError:
            answer = b""
    return errno.errorcode.get(bind.ANSWER.unpack_from(answer)[0], "bound") if answer else "hung up"
me = os.pidfd_open(os.getpid())
address = sys.argv[1]
"""


def raw(superd: Superd, script: str, *arguments: str, user: str = "nobody") -> list[str]:
    """The lines that a client of the broker's protocol says."""
    done = python(superd, RAW + script, *arguments, user=user)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_is_no_socket_to_be_bound(address: str) -> None:
    script = """
tcp = lambda: socket.socket()
bound = tcp(); bound.bind((address, 0))
connected = socket.socketpair()[0]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for sock, version in (
    (bound, 4), (connected, 4), (socket.socket(socket.AF_UNIX), 4), (udp, 4),
    (socket.socket(socket.AF_INET6), 4), (tcp(), 6), (open("/dev/null"), 4), (os.fdopen(os.pipe()[0]), 4), (tcp(), 4),
):
    print(ask(packet("::1" if version == 6 else address, 80, version=version), sock.fileno(), me))
"""
    with granting(grant("tcp/80", address)) as superd:
        assert raw(superd, script, address) == [
            "EINVAL",
            "ENOTSUP",
            "ENOTSUP",
            "EACCES",
            "EAFNOSUPPORT",
            "EAFNOSUPPORT",
            "ENOTSOCK",
            "ENOTSOCK",
            "bound",
        ]


def test_a_raw_socket_is_not_bound_for_anybody(address: str) -> None:
    """Only root can make one, and has it passed on; it is judged by what it is."""
    script = "\nsock = socket.socket(fileno=0)\nprint(ask(packet(address, 80), 0, me))\nsock.detach()\n"
    with granting(grant("tcp/80", address)) as superd:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            command = [*becoming("nobody"), sys.executable, "-c", RAW + script, address]
            done = run(*command, stdin=sock.fileno(), env=environ(superd), cwd="/")
        assert done.stdout == "ENOTSUP\n", done.stderr


def test_what_is_no_request(address: str) -> None:
    script = """
sock = socket.socket()
good = packet(address, 80)
print(ask(b"", sock.fileno(), me))
print(ask(good[:-1], sock.fileno(), me))
print(ask(good + b"x", sock.fileno(), me))
print(ask(b"XXXX" + good[4:], sock.fileno(), me))
print(ask(packet(address, 80, kind=7), sock.fileno(), me))
print(ask(packet(address, 80, version=4).replace(b"\\x01\\x04", b"\\x01\\x05", 1), sock.fileno(), me))
print(ask(packet(address, 0), sock.fileno(), me))
print(ask(good))
print(ask(good, sock.fileno()))
print(ask(good, *[sock.fileno()] * 3))
print(ask(good, *[sock.fileno()] * 200))
print(ask(good, sock.fileno(), sock.fileno()))
print(ask(good, me, me))
print(ask(good, sock.fileno(), me))
"""
    with granting(grant("tcp/80", address)) as superd:
        *bad, good = raw(superd, script, address)
        assert good == "bound"
        assert bad == ["EPROTO"] * 6 + ["EINVAL"] + ["EPROTO"] * 5 + ["ENOTSOCK"]


def test_another_users_process_is_no_alibi(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd, started(superd, "/bin/sleep", "60", user=OTHER) as one:
        ask = "ask(packet(address, 80), sock.fileno(), os.pidfd_open(int(sys.argv[2])))"
        script = f"\nsock = socket.socket()\nprint({ask})\n"
        assert raw(superd, script, address, str(one.pid)) == ["EACCES"]
        told = superd.wait_for("grant", reason="process")
        assert told["uid"] == 65534 and "another user's" in told["message"]


def test_a_process_that_has_ended_is_none(address: str) -> None:
    script = """
pid = os.fork()
if not pid: os._exit(0)
gone = os.pidfd_open(pid)
os.waitpid(pid, 0)
sock = socket.socket()
print(ask(packet(address, 80), sock.fileno(), gone))
"""
    with granting(grant("tcp/80", address)) as superd:
        assert raw(superd, script, address) == ["EPROTO"]


def test_ten_thousand_requests(address: str) -> None:
    """One user floods; another has his port all the while, and nothing is left over."""
    flood = """
said = {}
for _ in range(2500):
    with socket.socket() as sock:
        word = ask(packet(address, 81), sock.fileno(), me)
    said[word] = said.get(word, 0) + 1
print(*sorted(said))
"""
    with granting(grant("tcp/80", address)) as superd:
        broker = broker_pid(superd)
        assert bound(superd, "/usr/bin/python3", "-c", BIND, address, "80").stdout == "80 bound\n"
        before = _descriptors(broker)
        for _ in range(4):
            words = raw(superd, flood, address, user=OTHER)[0].split()
            assert set(words) <= {"EACCES", "hung", "up"}
            assert bound(superd, "/usr/bin/python3", "-c", BIND, address, "80").stdout == "80 bound\n"
        wait_until(lambda: _descriptors(broker) == before, "the broker to let go of everything")
        assert broker_pid(superd) == broker
        lines = superd.log_events("grant", uid=1)
        assert len(lines) < 5000
        told = sum(line.get("repeated", 1) for line in lines)
        assert told > 0


def test_the_library_has_patience_with_a_busy_broker(address: str) -> None:
    """Three thousand in a row, more than a user may ask at once: all are served in the end."""
    script = """
import superd.bind
for _ in range(3000):
    superd.bind.request("tcp", sys.argv[1], 80).close()
print("served")
"""
    with granting(grant("tcp/80", address)) as superd:
        assert raw(superd, script, address) == ["served"]


def test_who_says_nothing_keeps_nobody_out(address: str) -> None:
    silent = """
links = []
for _ in range(200):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.connect(path)
    links.append(link)
print("connected", flush=True)
sys.stdin.read()
"""
    with granting(grant("tcp/80", address)) as superd:
        command = [*becoming(OTHER), sys.executable, "-c", RAW + silent, address]
        with subprocess.Popen(
            command,
            env=dict(environ(superd)),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as one:
            assert one.stdout is not None
            assert one.stdout.readline() == "connected\n"
            assert bound(superd, "/usr/bin/python3", "-c", BIND, address, "80").stdout == "80 bound\n"
            one.communicate("")


def test_it_holds_one_capability_and_is_nobody(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        status = _status(broker_pid(superd))
        assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {f"{1 << 10:016x}"}
        assert {status[name] for name in ("CapInh", "CapAmb")} == {f"{0:016x}"}
        assert status["NoNewPrivs"] == "1"
        uid = status["Uid"].split()[0]
        assert uid not in ("0", "65534") and uid != _status(superd.acceptor_pid)["Uid"].split()[0]
        assert set(status["Groups"].split()) <= {uid}


def test_one_that_dies_is_replaced(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        first = broker_pid(superd)
        os.kill(first, signal.SIGKILL)
        assert bound(superd, "/usr/bin/python3", "-c", BIND, address, "80").stdout == "80 bound\n"
        assert broker_pid(superd) != first
        superd.wait_for("grant", message=f"the broker (pid {first}) ended (SIGKILL); starting another")


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
