"""Limits on the live system: excess costs the one who causes it, and nothing has to be restarted afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from clients import echo, echoes, service
from harness import Superd, read_all, wait_until, written
from sources import ask, connect_from

pytestmark = pytest.mark.live

A, B, C = "127.9.0.1", "127.9.0.2", "127.9.0.3"


def limits(**values: str) -> str:
    return "[services.echo.limits]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def is_refused(client: socket.socket) -> bool:
    """Whether the other side closes without a word, politely or by reset."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@contextmanager
def flood(source: str, address: str) -> Iterator[list[int]]:
    """One source that connects again and again, as fast as it can; counts its connections."""
    stop, count = threading.Event(), [0]

    def knock() -> None:
        while not stop.is_set():
            ask(source, address, b"")
            count[0] += 1

    threads = [threading.Thread(target=knock) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield count
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# --- each limit ---


def test_one_source_may_have_so_many_connections_and_the_others_do_not_feel_it(address: str) -> None:
    with Superd(echo(address, more=limits(max_connections_per_source="2"))) as superd, ExitStack() as stack:
        held = [stack.enter_context(connect_from(A, address)) for _ in range(2)]
        assert all(map(echoes, held))
        assert is_refused(stack.enter_context(connect_from(A, address)))
        assert ask(B, address) == b"hello"
        refused = superd.wait_for("refused", service="echo", source=A)
        assert refused["reason"] == "source-connections"
        assert superd.status("echo")["refused"] == {"source-connections": 1}
        held[0].close()
        superd.wait_for("end", source=A)
        assert ask(A, address) == b"hello", "who leaves makes room"


def test_the_service_is_full_for_everybody_at_its_own_limit(address: str) -> None:
    with Superd(echo(address, more=limits(max_connections="2"))) as superd, ExitStack() as stack:
        assert all(echoes(stack.enter_context(connect_from(source, address))) for source in (A, B))
        assert is_refused(stack.enter_context(connect_from(C, address)))
        assert superd.wait_for("refused", source=C)["reason"] == "connections"


def test_all_services_together(address: str) -> None:
    both = echo(address) + echo(address, 9, "other", "games")
    with Superd(both, settings="max_connections = 2") as superd, ExitStack() as stack:
        first = stack.enter_context(connect_from(A, address, 7))
        assert echoes(first) and echoes(stack.enter_context(connect_from(B, address, 9)))
        assert is_refused(stack.enter_context(connect_from(C, address, 9)))
        assert superd.wait_for("refused", source=C)["reason"] == "total-connections"
        first.close()
        superd.wait_for("end", service="echo")
        assert ask(C, address, port=9) == b"hello"


def test_a_rate_refills_and_a_source_pays_for_itself(address: str) -> None:
    with Superd(echo(address, more=limits(rate_per_source='"2/s"', burst_per_source="2"))) as superd:
        assert [ask(A, address) for _ in range(3)] == [b"hello", b"hello", b""]
        assert superd.wait_for("refused", source=A)["reason"] == "source-rate"
        assert ask(B, address) == b"hello"
        wait_until(lambda: ask(A, address) == b"hello", "the bucket to fill again")


def test_the_wrong_rate_never_closes_the_listener(address: str) -> None:
    """xinetd's cps and the BSDs' -R switch the service off for everybody; here it is a matter of the moment."""
    with Superd(echo(address, more=limits(rate='"5/s"', burst="5"))) as superd:
        for _ in range(50):
            ask(A, address)
        assert superd.status("echo")["state"] in ("listening", "running")
        wait_until(lambda: ask(B, address) == b"hello", "a token for somebody else")


@pytest.mark.parametrize(("on_excess", "is_reset"), [("refuse", False), ("reset", True)])
def test_excess_is_closed_or_reset(address: str, on_excess: str, is_reset: bool) -> None:
    more = limits(max_connections="1", on_excess=f'"{on_excess}"')
    with Superd(echo(address, more=more)), ExitStack() as stack:
        assert echoes(stack.enter_context(connect_from(A, address)))
        try:
            assert stack.enter_context(connect_from(B, address)).recv(1) == b"" and not is_reset
        except ConnectionResetError:
            assert is_reset


def test_queued_connections_wait_in_the_kernel_and_lose_nothing(address: str) -> None:
    with Superd(echo(address, more=limits(max_connections="1", on_excess='"queue"'))) as superd:
        with ExitStack() as stack:
            first = stack.enter_context(connect_from(A, address))
            assert echoes(first)
            waiting = [stack.enter_context(connect_from(source, address)) for source in (B, C)]
            for client in waiting:
                client.sendall(b"patience")
                client.shutdown(socket.SHUT_WR)
            first.close()
            assert [read_all(client) for client in waiting] == [b"patience"] * 2
        superd.wait_for("end", count=3)
        assert superd.status("echo")["refused"] == {}


def test_a_queue_moves_on_by_the_rate(address: str) -> None:
    more = limits(rate='"5/s"', burst="1", on_excess='"queue"')
    with Superd(echo(address, more=more)) as superd:
        began = time.monotonic()
        assert [ask(A, address) for _ in range(4)] == [b"hello"] * 4
        assert time.monotonic() - began > 0.55, "three more tokens take 600 ms"
        assert superd.status("echo")["refused"] == {}


def test_a_refused_client_is_told_why(address: str, folder: Path) -> None:
    busy = written(folder / "busy", "busy: try again later\n")
    more = limits(max_connections="1", banner_limited=f'"{busy}"')
    with Superd(echo(address, more=more)), ExitStack() as stack:
        assert echoes(stack.enter_context(connect_from(A, address)))
        refused = stack.enter_context(connect_from(B, address))
        refused.sendall(b"a request that nobody reads")
        assert read_all(refused) == b"busy: try again later\n"


def test_a_banner_that_does_not_exist_turns_the_service_off_with_a_reason(address: str) -> None:
    with Superd(echo(address, more=limits(banner_limited='"/nonexistent/busy"'))) as superd:
        fault = superd.status("echo")["fault"]
        assert "services.echo.limits.banner_limited" in fault and "no such file" in fault


def test_exempt_sources_are_not_limited(address: str) -> None:
    more = limits(max_connections_per_source="1", exempt=f'["{A}"]')
    with Superd(echo(address, more=more)), ExitStack() as stack:
        assert all(echoes(stack.enter_context(connect_from(A, address))) for _ in range(3))


# --- penalties ---


def test_a_source_over_its_rate_is_penalised_listed_and_forgiven(address: str) -> None:
    more = limits(rate_per_source='"1000/s"', burst_per_source="1", penalty='"10min"')
    with Superd(echo(address, more=more)) as superd:

        def is_penalised() -> bool:
            ask(A, address)
            return bool(superd.log_events("refused", source=A, reason="penalty"))

        with flood(A, address):
            wait_until(is_penalised, "a penalty")
        assert ask(B, address) == b"hello"
        (ban,) = json.loads(superd.ctl("--json", "bans").stdout)["bans"]
        assert (ban["service"], ban["source"]) == ("echo", A) and 500 < ban["seconds"] <= 600
        assert A in superd.ctl("bans").stdout
        told = superd.ctl("who-may", "echo", A)
        assert told.returncode == 0 and "penalised" in told.stdout
        assert superd.ctl("unban", "127.9.0.0/16").stdout == f"echo: {A} is forgiven\n"
        assert ask(A, address) == b"hello"
        assert superd.ctl("bans").stdout == "nobody is penalised\n"


def test_a_source_whose_children_fail_is_kept_out(address: str) -> None:
    more = limits(penalty_failed='"10min"')
    with Superd(service("echo", f"tcp://{address}:7", '["/bin/false"]', "daemon", more)) as superd:
        ask(A, address)
        superd.wait_for("end", source=A, outcome="failed")
        ask(A, address)
        assert superd.wait_for("refused", source=A)["reason"] == "penalty"
        ask(B, address)
        superd.wait_for("end", source=B)


# --- floods ---


def test_a_flood_is_refused_and_everybody_else_is_served(address: str) -> None:
    more = limits(rate_per_source='"10/s"', max_connections_per_source="5")
    with Superd(echo(address, more=more)) as superd:
        with flood(A, address) as knocked:
            served = 0
            while knocked[0] < 2_000 or served < 50:
                source = f"127.9.1.{served % 250 + 1}"
                assert ask(source, address) == b"hello"
                served += 1
        status = superd.status("echo")
        assert status["refused"].get("source-rate", 0) > 1_000
        assert status["state"] in ("listening", "running")
        wait_until(lambda: ask(A, address) == b"hello", "the source itself to be served again")
        superd.wait_for("refused", service="echo", repeated=re.compile("[0-9]+"))


# --- other kinds of services ---


def test_starts_of_a_wait_service_are_limited_and_none_is_lost(address: str, folder: Path) -> None:
    program = written(
        folder / "answer",
        """
        import socket
        listener = socket.socket(fileno=0)
        client, _ = listener.accept()
        client.sendall(b"served")
        client.close()
        listener.detach()
        """,
    )
    more = 'mode = "wait"\n' + limits(rate='"4/s"', burst="1")
    exec_ = f'["/usr/bin/python3", "-I", "{program}"]'
    with Superd(service("echo", f"tcp://{address}:7", exec_, "daemon", more)):
        began = time.monotonic()
        assert [ask(A, address, b"") for _ in range(4)] == [b"served"] * 4
        assert time.monotonic() - began > 0.7


def test_datagrams_are_judged_by_their_source(address: str, folder: Path) -> None:
    program = written(
        folder / "answer",
        """
        import socket
        listener = socket.socket(fileno=0)
        data, peer = listener.recvfrom(100)
        listener.sendto(data.upper(), peer)
        listener.detach()
        """,
    )
    more = f'mode = "wait"\n[services.echo.access]\ndeny = ["{A}"]\n'
    exec_ = f'["/usr/bin/python3", "-I", "{program}"]'
    with Superd(service("echo", f"udp://{address}:7", exec_, "daemon", more)) as superd, ExitStack() as stack:
        denied, admitted, echoing = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)
        )
        for sock, source in ((denied, (A, 0)), (admitted, (B, 0)), (echoing, (B, 19))):
            sock.bind(source)
            sock.settimeout(30)
        denied.sendto(b"let me in", (address, 7))
        assert superd.wait_for("refused", source=A)["reason"] == "address"
        echoing.sendto(b"loop", (address, 7))
        assert superd.wait_for("refused", port=19)["reason"] == "loop"
        assert superd.status("echo")["accepted"] == 0, "no instance was started for either"
        admitted.sendto(b"hello", (address, 7))
        assert admitted.recv(100) == b"HELLO"


def test_peers_of_a_udp_service_are_limited_like_connections(address: str) -> None:
    more = limits(max_connections_per_source="1")
    with (
        Superd(service("echo", f"udp://{address}:7", '["/bin/cat"]', "daemon", more)) as superd,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for client in clients:
            client.bind((A, 0))
            client.settimeout(30)
            client.connect((address, 7))
        clients[0].send(b"first")
        assert clients[0].recv(10) == b"first"
        clients[1].send(b"second")
        assert superd.wait_for("refused", source=A)["reason"] == "source-connections"


# --- after a crash of the acceptor ---


def test_a_new_acceptor_counts_who_is_here(address: str) -> None:
    with Superd(echo(address, more=limits(max_connections_per_source="2"))) as superd, ExitStack() as stack:
        held = [stack.enter_context(connect_from(A, address)) for _ in range(2)]
        assert all(map(echoes, held))
        before = superd.acceptor_pid
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: superd.acceptor_pid != before, "another acceptor")
        wait_until(lambda: superd.status("echo")["children"] == 2, "the children to be known")
        assert is_refused(stack.enter_context(connect_from(A, address)))
        assert ask(B, address) == b"hello"
