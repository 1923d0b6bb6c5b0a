"""Forwards on the live system: real clients, real backends, and what the log says of them."""

from __future__ import annotations

import hashlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from clients import connect
from harness import PATIENCE_S, Superd, exchange, output, read_all, wait_until, written

pytestmark = pytest.mark.live

LIMITS = '[services.web.limits]\nmax_connections = 4000\nmax_connections_per_source = "infinity"\n'


def forward(address: str, target: str, more: str = "") -> str:
    return f'[services.web]\nlisten = ["tcp://{address}:80"]\nforward = "{target}"\n{more}\n'


@contextmanager
def backend(address: str, port: int = 8080) -> Iterator[socket.socket]:
    with socket.create_server((address, port), backlog=4096) as sock:
        sock.settimeout(PATIENCE_S)
        yield sock


@contextmanager
def web_server(folder: Path, address: str, port: int = 8080) -> Iterator[None]:
    """Python's http.server on a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]  # as the server calls it

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((address, port), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


# --- real programs ---


@pytest.mark.needs("curl")
def test_curl_fetches_a_large_file_from_a_web_server(address: str, folder: Path) -> None:
    content = os.urandom(20_000_000)
    (folder / "large").write_bytes(content)
    with web_server(folder, address), Superd(forward(address, f"tcp://{address}:8080")) as superd:
        got = output("curl", "-sS", "--fail", "-o", str(folder / "got"), f"http://{address}/large")
        assert got == ""
        assert hashlib.sha256((folder / "got").read_bytes()).digest() == hashlib.sha256(content).digest()
        end = superd.wait_for("end", service="web", outcome="clean")
        assert end["sent"] > len(content)
        assert 0 < end["received"] < 1000
        began = superd.wait_for("connection", service="web")
        assert (began["backend"], began["id"]) == (f"tcp://{address}:8080", end["id"])


@pytest.mark.needs("curl", "nginx")
@pytest.mark.parametrize("version", [1, 2])
def test_nginx_reads_the_proxy_header(address: str, folder: Path, version: int) -> None:
    """nginx's own parser of the PROXY protocol, which reads both versions."""
    config = f"""
        daemon off; pid {folder}/pid; error_log stderr; events {{}}
        http {{
            access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            server {{
                listen {address}:8080 proxy_protocol;
                location / {{ return 200 "$proxy_protocol_addr $proxy_protocol_server_port"; }}
            }}
        }}
        """
    path = written(folder / "nginx.conf", config)
    send = f"[services.web.proxy_protocol]\nsend = {version}\n"
    nginx = subprocess.Popen(["nginx", "-c", str(path), "-e", "stderr"], stderr=subprocess.DEVNULL)
    try:
        with Superd(forward(address, f"tcp://{address}:8080", send)):
            told = output("curl", "-sS", "--interface", "127.0.0.1", f"http://{address}/")
            assert told == "127.0.0.1 80"
    finally:
        nginx.terminate()
        nginx.wait(PATIENCE_S)


# --- what either side may do ---


def test_half_closes_are_kept_both_ways(address: str) -> None:
    with backend(address) as listening, Superd(forward(address, f"tcp://{address}:8080")):
        with connect(address, 80) as client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            peer, _ = listening.accept()
            with peer:
                assert read_all(peer) == b"question"
                peer.sendall(b"answer")
            assert read_all(client) == b"answer"
        with connect(address, 80) as client:
            peer, _ = listening.accept()
            with peer:
                peer.shutdown(socket.SHUT_WR)
                assert read_all(client) == b""
                client.sendall(b"late")
                client.shutdown(socket.SHUT_WR)
                assert read_all(peer) == b"late"


def test_a_slow_reader_harms_nobody_and_loses_nothing(address: str) -> None:
    content = os.urandom(1 << 20) * 32
    with backend(address) as listening, Superd(forward(address, f"tcp://{address}:8080")) as superd:
        slow = connect(address, 80)
        peer, _ = listening.accept()

        def write() -> None:
            with peer:
                peer.sendall(content)

        writer = threading.Thread(target=write)
        writer.start()
        with connect(address, 80) as other:
            second, _ = listening.accept()
            with second:
                second.sendall(b"quick")
            assert read_all(other) == b"quick"
        with slow:
            assert read_all(slow) == content
        writer.join()
        assert superd.wait_for("end", sent=len(content))["outcome"] == "clean"


def test_a_backend_that_dies_midway_ends_its_own_connection_alone(address: str) -> None:
    program = (
        f"import os, signal, socket; s = socket.create_server(('{address}', 8080)); a, _ = s.accept(); "
        "a.sendall(b'half'); a.recv(1); os.kill(os.getpid(), signal.SIGKILL)"
    )
    dying = subprocess.Popen([sys.executable, "-c", program])
    with Superd(forward(address, f"tcp://{address}:8080")) as superd:
        with connect(address, 80) as client:
            client.sendall(b"go on")  # of which it reads one byte, so its kernel resets the connection
            assert client.recv(4, socket.MSG_WAITALL) == b"half"
            with pytest.raises(ConnectionResetError):
                while client.recv(100):
                    pass
        assert dying.wait(PATIENCE_S) == -signal.SIGKILL
        end = superd.wait_for("end", service="web")
        assert (end["outcome"], end["by"]) == ("reset", "backend")
        with backend(address) as listening, connect(address, 80) as client:
            peer, _ = listening.accept()
            peer.close()
            assert read_all(client) == b""


def test_a_backend_that_is_not_up_yet_is_waited_for(address: str) -> None:
    with Superd(forward(address, f"tcp://{address}:8080")) as superd, connect(address, 80) as client:
        client.sendall(b"early")
        wait_until(lambda: superd.status("web")["children"] == 1, "the connection to be admitted")
        with backend(address) as listening:
            peer, _ = listening.accept()
            with peer:
                assert peer.recv(5, socket.MSG_WAITALL) == b"early"


def test_a_backend_that_never_comes_is_one_clear_line(address: str) -> None:
    with Superd(forward(address, f"tcp://{address}:8080")) as superd:
        assert exchange(address, 80) == b""
        line = superd.wait_for("error", service="web")
        assert line["message"] == f"cannot reach tcp://{address}:8080: Connection refused"
        assert line["outcome"] == "never-started"
        assert superd.status("web")["children"] == 0


# --- superd's own life ---


def test_access_and_limits_hold(address: str) -> None:
    more = '[services.web.limits]\nmax_connections = 1\n[services.web.access]\ndeny = ["127.9.9.9"]\n'
    with backend(address) as listening, Superd(forward(address, f"tcp://{address}:8080", more)) as superd:
        with connect(address, 80) as client:
            peer, _ = listening.accept()
            with peer:
                assert exchange(address, 80) == b""
                assert superd.wait_for("refused")["reason"] == "connections"
            assert read_all(client) == b""
        superd.wait_for("end", service="web")
        with connect(address, 80):
            listening.accept()[0].close()


def test_forwards_outlive_a_reload_even_of_their_own_service(address: str) -> None:
    with backend(address) as listening, Superd(forward(address, f"tcp://{address}:8080")) as superd:
        client = connect(address, 80)
        peer, _ = listening.accept()
        superd.reload(forward(address, f"tcp://{address}:8081"))
        superd.reload("")
        with client, peer:
            client.sendall(b"still here")
            assert peer.recv(10, socket.MSG_WAITALL) == b"still here"
        assert superd.wait_for("end", service="web")["outcome"] == "clean"
        superd.reload(forward(address, f"tcp://{address}:8080"))
        assert superd.status("web")["state"] == "listening"


def test_a_stop_ends_forwards(address: str) -> None:
    with backend(address) as listening, Superd(forward(address, f"tcp://{address}:8080")) as superd:
        client = connect(address, 80)
        peer, _ = listening.accept()
        superd.stop()
        with client, peer:
            assert read_all(client) == b""
            assert read_all(peer) == b""
        assert superd.wait_for("end", service="web")["outcome"] == "stopped"


def test_two_thousand_that_say_nothing(address: str) -> None:
    """Little memory, no descriptors but their own, and the one that speaks is served at once."""
    with (
        backend(address) as listening,
        Superd(forward(address, f"tcp://{address}:8080", LIMITS)) as superd,
        ExitStack() as stack,
    ):
        with connect(address, 80) as first:  # everything is imported and opened once
            listening.accept()[0].close()
            read_all(first)
        before = resident_kib(superd.acceptor_pid)
        peers = []
        for _ in range(2000):
            stack.enter_context(connect(address, 80))
            peers.append(stack.enter_context(listening.accept()[0]))
        grown = resident_kib(superd.acceptor_pid) - before
        assert superd.status("web")["children"] == 2000
        assert grown / 2000 < 6, f"{grown} KiB"
        assert len(os.listdir(f"/proc/{superd.acceptor_pid}/fd")) < 4000 + 40
        peers[1000].sendall(b"one of many")


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def test_a_unix_listener_and_a_unix_backend(folder: Path) -> None:
    path = folder / "backend.sock"
    text = f'[services.web]\nlisten = ["unix://{folder}/front.sock"]\nforward = "unix://{path}"\n'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o666)
        listening.listen()
        with Superd(text) as superd, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(folder / "front.sock"))
            peer, _ = listening.accept()
            with peer:
                client.sendall(b"hello")
                assert peer.recv(5, socket.MSG_WAITALL) == b"hello"
            assert read_all(client) == b""
            client.close()
            assert superd.wait_for("end", service="web")["source"] == "uid:0"


def test_the_acceptor_connects_without_a_privilege(address: str, folder: Path) -> None:
    """A backend that only root may reach is not reached."""
    path = folder / "private" / "backend.sock"
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with Superd(forward(address, f"unix://{path}")) as superd:
            assert exchange(address, 80) == b""
            assert superd.wait_for("error")["message"] == f"cannot reach unix://{path}: Permission denied"


def test_superctl_explains_a_forward(address: str) -> None:
    with Superd(forward(address, f"tcp://{address}:8080")) as superd:
        text = superd.ctl("explain", "web").stdout
        assert f"superd itself carries each connection to tcp://{address}:8080" in text
        assert "running as" not in text
        assert superd.ctl("status").stdout.splitlines()[1].split()[0] == "web"
