"""What superd serves by itself, asked by real clients."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from clients import connect, echo, echoes, service
from harness import PATIENCE_S, Superd, exchange, read_all, run, wait_until, written

pytestmark = pytest.mark.live

DAYTIME = re.compile(rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\r\n")


def builtin(name: str, *listens: str, more: str = "") -> str:
    """A service that superd serves itself, named as what it is."""
    listing = ", ".join(f'"{listen}"' for listen in listens)
    return f'[services.{name}]\nlisten = [{listing}]\nbuiltin = "{name}"\n{more}\n'


def both(name: str, address: str, port: int, more: str = "") -> str:
    return builtin(name, f"tcp://{address}:{port}", f"udp://{address}:{port}", more=more)


def asker(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE_S)
    sock.connect((address, port))
    return sock


def asked(address: str, port: int, question: bytes) -> bytes:
    with asker(address, port) as sock:
        sock.send(question)
        return sock.recv(70_000)


def read_bytes(sock: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        part = sock.recv(count - len(read))
        assert part, "it was closed"
        read += part
    return read


# --- each of them ---


def test_each_of_them_by_tcp_and_udp(address: str, folder: Path) -> None:
    quotes = written(folder / "quotes", "one\n%\ntwo\nlines\n")
    services = "".join(
        [
            both("echo", address, 7),
            both("discard", address, 9),
            both("daytime", address, 13),
            both("qotd", address, 17, f'banner = "{quotes}"'),
            both("chargen", address, 19),
            both("time", address, 37),
        ]
    )
    with Superd(services) as superd:
        assert exchange(address, 7, b"hello") == b"hello"
        assert asked(address, 7, b"hello") == b"hello"
        assert exchange(address, 9, b"hello") == b""
        assert DAYTIME.fullmatch(exchange(address, 13))
        assert DAYTIME.fullmatch(asked(address, 13, bytes(26)))
        assert exchange(address, 17) in (b"one\r\n", b"two\r\nlines\r\n")
        assert asked(address, 17, bytes(512)) in (b"one\r\n", b"two\r\nlines\r\n")
        for answer in (exchange(address, 37), asked(address, 37, b"")):
            assert abs(int.from_bytes(answer) - 2_208_988_800 - time.time()) < 5
        with connect(address, 19) as client:
            text = read_bytes(client, 74 * 100)
        lines = text.split(b"\r\n")[:100]
        assert all(len(line) == 72 for line in lines)
        assert lines[0].startswith(b' !"#') and lines[1].startswith(b'!"#$') and lines[95] == lines[0]
        status = superd.status("echo")
        assert (status["builtin"], status["accepted"], status["children"]) == ("echo", 2, 0)
        began = superd.wait_for("connection", service="echo")
        assert began["pid"] == 0
        ended = superd.wait_for("end", service="echo", id=began["id"])
        assert (ended["outcome"], ended["source"]) == ("clean", "127.0.0.1")
        assert superd.spawners("echo") == []


def test_an_ordinary_client_is_served(address: str) -> None:
    with Superd(builtin("echo", f"tcp://{address}:7")):
        assert run("nc", "-N", address, "7", input="hello\n", stdin=None).stdout == "hello\n"


# --- datagrams ---


def test_an_answer_is_never_longer_than_what_was_asked(address: str, folder: Path) -> None:
    quotes = written(folder / "quotes", "one quote\n")
    services = "".join(
        [
            both("daytime", address, 13),
            both("qotd", address, 17, f'banner = "{quotes}"'),
            both("chargen", address, 19),
        ]
    )
    with Superd(services):
        for port in (13, 17, 19):
            assert len(asked(address, port, b"x" * 5)) == 5
        assert len(asked(address, 19, bytes(2000))) == 512


def test_a_source_is_answered_so_often_and_the_rest_is_counted(address: str) -> None:
    with Superd(builtin("echo", f"udp://{address}:7")) as superd, asker(address, 7) as sock:
        for _ in range(100):
            sock.send(b"x")
        wait_until(
            lambda: superd.status("echo")["accepted"] + _refused(superd, "echo") >= 100, "all to be heard"
        )
        assert 20 <= superd.status("echo")["accepted"] < 60
        assert superd.status("echo")["refused"].keys() == {"source-rate"}


def _refused(superd: Superd, name: str) -> int:
    return sum(superd.status(name)["refused"].values())


def test_two_of_them_cannot_be_made_to_talk_to_each_other(address: str) -> None:
    """A forged datagram: on loopback anybody may take the address, and here the port too while superd lets go."""
    one, other = f"udp://{address}:5007", f"udp://{address}:5008"
    services = builtin("echo", one) + builtin("echo", other).replace("services.echo", "services.echo2")
    with (
        Superd(services) as superd,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw,
    ):
        for source in (5008, 5007):  # from the other's port, and from its own
            packet = b"".join(number.to_bytes(2, "big") for number in (source, 5007, 12, 0)) + b"ping"
            raw.bind((address, 0))
            raw.sendto(packet, (address, 0))
            event = superd.wait_for("refused", service="echo", port=source)
            assert event["reason"] == "loop"
        assert superd.status("echo2")["accepted"] == 0
        assert superd.status("echo")["accepted"] == 0


def test_answers_come_from_the_address_that_was_asked() -> None:
    with Superd(builtin("echo", "udp4://*:5009")):
        assert asked("127.0.0.9", 5009, b"x") == b"x"


# --- clients that do not behave ---


def test_two_thousand_idle_connections_are_held(address: str) -> None:
    more = "[services.echo.limits]\nmax_connections = 3000\nmax_connections_per_source = 3000\n"
    with Superd(builtin("echo", f"tcp://{address}:7", more=more)) as superd, ExitStack() as stack:
        clients = [stack.enter_context(connect(address)) for _ in range(2000)]
        wait_until(lambda: superd.status("echo")["children"] == 2000, "all to be served")
        assert all(echoes(client) for client in clients[::100])


def test_who_reads_nothing_costs_nothing(address: str) -> None:
    with Superd(both("chargen", address, 19)) as superd, ExitStack() as stack:
        acceptor = superd.acceptor_pid
        first = stack.enter_context(connect(address, 19))
        first.recv(1)
        before = memory_kib(acceptor)
        for _ in range(50):
            stack.enter_context(connect(address, 19)).recv(1)
        assert memory_kib(acceptor) - before < 2048


def memory_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def test_idle_clients_are_let_go(address: str) -> None:
    with Superd(builtin("echo", f"tcp://{address}:7", more='idle_timeout = "200ms"')) as superd:
        with connect(address) as client:
            assert echoes(client)
            assert read_all(client) == b""
        assert superd.wait_for("end", service="echo")["outcome"] == "idle"


def test_runtime_max_ends_who_is_never_idle(address: str) -> None:
    with Superd(builtin("chargen", f"tcp://{address}:19", more='runtime_max = "300ms"')) as superd:
        with connect(address, 19) as client:
            assert len(read_all(client)) > 1000
        assert superd.wait_for("end", service="chargen")["outcome"] == "timed-out"


def test_half_a_connection_is_enough_to_read_from(address: str) -> None:
    with Superd(builtin("chargen", f"tcp://{address}:19")) as superd:
        with connect(address, 19) as client:
            client.shutdown(socket.SHUT_WR)
            assert len(read_bytes(client, 1_000_000)) == 1_000_000
        superd.wait_for("end", service="chargen", outcome="reset")


# --- limits, reload, stop ---


def test_limits_hold_for_builtins(address: str) -> None:
    more = "[services.echo.limits]\nmax_connections_per_source = 2\n"
    with Superd(builtin("echo", f"tcp://{address}:7", more=more)) as superd, ExitStack() as stack:
        kept = [stack.enter_context(connect(address)) for _ in range(2)]
        assert all(map(echoes, kept))
        with connect(address) as third, suppress(ConnectionError):
            assert read_all(third) == b""
        assert superd.wait_for("refused", service="echo")["reason"] == "source-connections"
        kept[0].close()
        superd.wait_for("end", service="echo")
        assert echoes(stack.enter_context(connect(address)))


def test_connections_stay_over_a_reload_and_end_with_their_service(address: str) -> None:
    services = builtin("echo", f"tcp://{address}:7")
    with Superd(services) as superd, connect(address) as client:
        assert echoes(client)
        superd.reload(services + builtin("discard", f"tcp://{address}:9"))
        assert echoes(client)
        superd.reload(services + "idle_timeout = '1h'\n")
        assert echoes(client)
        superd.reload(builtin("discard", f"tcp://{address}:9"))
        assert read_all(client) == b""
        assert superd.wait_for("end", service="echo")["outcome"] == "stopped"


def test_a_service_becomes_a_program_and_back(address: str) -> None:
    """Where another service has UDP peers too: what that takes is kept from the start."""
    itself, other = both("echo", address, 7), service("other", f"udp://{address}:9", '["/bin/cat"]', "games")
    with Superd(itself + other) as superd:
        superd.reload(
            f'[services.echo]\nlisten = ["tcp://{address}:7", "udp://{address}:7"]\n'
            f'exec = ["/bin/cat"]\nuser = "daemon"\n{other}'
        )
        assert exchange(address, 7, b"by a program") == b"by a program"
        assert superd.wait_for("end", service="echo")["pid"] > 0
        superd.reload(itself + other)
        assert exchange(address, 7, b"by superd") == b"by superd"
        assert asked(address, 7, b"x") == b"x"


def test_stop_ends_them(address: str) -> None:
    with Superd(builtin("echo", f"tcp://{address}:7")) as superd, connect(address) as client:
        assert echoes(client)
        superd.stop()
        assert read_all(client) == b""
        assert superd.log_events("end", service="echo")[0]["outcome"] == "stopped"


def test_after_a_crash_of_the_acceptor_they_are_served_again(address: str) -> None:
    with Superd(builtin("echo", f"tcp://{address}:7")) as superd:
        os.kill(superd.acceptor_pid, signal.SIGKILL)
        assert exchange(address, 7, b"again") == b"again"


# --- banner ---


def test_a_banner_is_sent_before_the_service(address: str, folder: Path) -> None:
    banner = written(folder / "hello", "welcome\n")
    text = f'banner = "{banner}"\n'
    services = echo(address, 7, more=text) + builtin("daytime", f"tcp://{address}:13", more=text)
    with Superd(services, folder=folder) as superd:
        assert exchange(address, 7, b"hello") == b"welcome\nhello"
        assert exchange(address, 13).startswith(b"welcome\n")
        written(folder / "hello", "new\n")
        superd.reload()
        assert exchange(address, 7, b"hello") == b"new\nhello"


# --- ident ---


def test_ident_tells_whose_a_connection_is_to_its_other_end_alone(address: str) -> None:
    with Superd(builtin("ident", f"tcp://{address}:113")) as superd, ExitStack() as stack:
        server = stack.enter_context(socket.create_server((address, 0)))
        port = server.getsockname()[1]
        client = stack.enter_context(socket.socket())
        client.bind((address, 0))
        client.connect((address, port))
        here = client.getsockname()[1]
        question = f"{here}, {port}\r\n".encode()
        with socket.create_connection((address, 113), PATIENCE_S, source_address=(address, 0)) as asking:
            asking.sendall(question + b"1,1\r\n0,99999\r\nwho\r\n")
            asking.shutdown(socket.SHUT_WR)
            assert read_all(asking).decode().splitlines() == [
                f"{here} , {port} : USERID : UNIX : root",
                "1 , 1 : ERROR : NO-USER",
                "0 , 99999 : ERROR : INVALID-PORT",
                "0 , 0 : ERROR : INVALID-PORT",
            ]
        assert exchange(address, 113, question) == f"{here} , {port} : ERROR : NO-USER\r\n".encode()
        assert superd.status("ident")["children"] == 0


def test_ident_answers_what_it_is_told_to(address: str) -> None:
    with Superd(builtin("ident", f"tcp://{address}:113", more='ident_user = "nobody"')):
        assert exchange(address, 113, b"22,1024\n") == b"22 , 1024 : USERID : UNIX : nobody\r\n"


# --- tcpmux ---


def test_tcpmux_hands_over_to_services_by_name(address: str) -> None:
    services = (
        builtin("tcpmux", f"tcp://{address}:1")
        + service("cat", "tcpmux://+CAT", '["/bin/cat"]', "daemon")
        + service("hello", "tcpmux://hello", '["/bin/echo", "+hello"]', "nobody")
        + builtin("daytime", "tcpmux://now")
        + echo(address, 7, user="games")
    )
    with Superd(services) as superd:
        assert exchange(address, 1, b"cat\r\npipelined") == b"+Go\r\npipelined"
        assert exchange(address, 1, b"Hello\r\n") == b"+hello\n"
        assert exchange(address, 1, b"now\n").startswith(b"+Go\r\n")
        assert exchange(address, 1, b"HELP\r\n") == b"cat\r\nhello\r\nnow\r\n"
        assert exchange(address, 1, b"echo\r\n") == b"-Service not available\r\n"
        assert exchange(address, 1, b"x" * 300) == b"-Line too long\r\n"
        assert superd.wait_for("connection", service="cat")["source"] == "127.0.0.1"
        assert superd.status("cat")["state"] in ("listening", "running")
        assert superd.status("tcpmux")["accepted"] == 6


def test_a_service_behind_tcpmux_has_its_own_access_and_limits(address: str) -> None:
    services = (
        builtin("tcpmux", f"tcp://{address}:1")
        + service("cat", "tcpmux://+cat", '["/bin/cat"]', "daemon")
        + "[services.cat.limits]\nmax_connections_per_source = 1\n"
        + service("closed", "tcpmux://+closed", '["/bin/cat"]', "nobody")
        + '[services.closed.access]\ndeny = ["127.0.0.0/8"]\n'
    )
    with Superd(services) as superd:
        assert exchange(address, 1, b"closed\r\n") == b"-Not admitted\r\n"
        assert superd.wait_for("refused", service="closed")["reason"] == "address"
        with connect(address, 1) as first:
            first.sendall(b"cat\r\n")
            assert read_bytes(first, 5) == b"+Go\r\n"
            assert echoes(first)
            assert exchange(address, 1, b"cat\r\n") == b"-Not admitted\r\n"
            assert superd.status("cat")["refused"] == {"source-connections": 1}
            assert superd.status("tcpmux")["children"] == 0
