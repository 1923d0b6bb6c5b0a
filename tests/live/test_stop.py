"""A stop of superd: instances end and free their ports, connections go on."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from harness import PATIENCE_S, Superd, is_alive, output, read_all, run, wait_until, written

pytestmark = pytest.mark.live

WSGI = """\
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"hello gunicorn"]
"""


def test_connections_go_on_after_a_stop(address: str) -> None:
    services = f"""
        [services.cat]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "nobody"
    """
    with Superd(services) as superd, socket.create_connection((address, 7), PATIENCE_S) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        child = superd.wait_for("connection", service="cat")["pid"]
        superd.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, 7), PATIENCE_S)
        client.sendall(b"after")
        assert client.recv(100) == b"after"
        assert is_alive(child)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""


LAST_WORD = """\
import os, signal, sys
from superd.cli.superd import main
class Last:
    def __del__(self, kill=os.kill, pid=os.getpid, own=os.getpid(), number=signal.SIGTERM):
        if pid() == own:
            kill(own, number)
last = Last()  # goes when Python takes its modules apart
sys.exit(main(sys.argv[4:]))
"""


def test_a_signal_in_the_last_moment_changes_nothing(address: str, folder: Path) -> None:
    driver = written(folder / "driver.py", LAST_WORD)
    with Superd("", folder=folder, prefix=[sys.executable, str(driver)]) as superd:
        superd.stop()  # with status 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_superd_serves_stops_it_in_order(folder: Path, number: int) -> None:
    config = written(folder / "superd.toml", f'[superd]\ncontrol = "{folder}/control"\nlog = "stderr"\n')
    program = (
        "import os, signal, sys\n"
        f"signal.pthread_sigmask(signal.SIG_BLOCK, {{{int(number)}}})\n"
        f"os.kill(os.getpid(), {int(number)})\n"
        f"os.execv(sys.executable, [sys.executable, '-m', 'superd', '-f', {str(config)!r}])\n"
    )
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "stopped" in done.stderr
    assert not (folder / "control").exists()


def take_your_time(address: str, folder: Path) -> str:
    """An always service that ends, once asked to, when somebody writes to the fifo ``go``."""
    os.mkfifo(folder / "go")
    ending = f"echo asked >&2; read go <{folder}/go; echo done >&2; exit 0"
    return f"""
        [services.slow]
        listen = ["tcp://{address}:7"]
        mode = "always"
        exec = ["/bin/sh", "-c", "trap '{ending}' TERM; echo ready >&2; while :; do sleep 0.05; done"]
        user = "root"
        timeout_stop = "infinity"
    """


def let_go(folder: Path) -> None:
    with os.fdopen(os.open(folder / "go", os.O_RDWR), "w") as fifo:  # which waits for no reader
        fifo.write("on\n")


def test_an_instance_that_may_take_its_time_is_never_killed(address: str, folder: Path) -> None:
    with Superd(take_your_time(address, folder), folder=folder) as superd:
        superd.wait_for("output", message="ready")
        master = superd.master_pid
        superd.signal(signal.SIGTERM)
        superd.wait_for("output", message="asked")
        let_go(folder)
        assert superd.wait_for("end", service="slow")["status"] == 0
        wait_until(lambda: not is_alive(master), "superd's end")


def test_nor_when_superd_does_not_wait_for_it(address: str, folder: Path) -> None:
    with Superd(take_your_time(address, folder), folder=folder) as superd:
        superd.wait_for("output", message="ready")
        instance, master = superd.wait_for("start", service="slow")["pid"], superd.master_pid
        superd.signal(signal.SIGTERM)
        superd.wait_for("output", message="asked")
        superd.signal(signal.SIGTERM)
        wait_until(lambda: superd.log_events("stop", message="stopped"), "the master's end")
        assert is_alive(instance)
        let_go(folder)
        wait_until(lambda: not is_alive(instance) and not is_alive(master), "their ends")


@pytest.mark.needs("gunicorn", "fcgiwrap", "cgi-fcgi", "in.tftpd", "curl")
def test_a_stop_ends_the_daemons_that_own_their_port(address: str, folder: Path) -> None:
    written(folder / "app.py", WSGI)
    written(folder / "tftp/hello.txt", "hello tftp\n")
    script = written(
        folder / "hello.cgi", "#!/bin/sh\nprintf 'Status: 200\\n\\nhello fcgiwrap'\n", mode=0o755
    )
    services = f"""
        [services.web]
        listen = ["tcp://{address}:80"]
        mode = "always"
        exec = ["/usr/bin/gunicorn", "--chdir", "{folder}", "app:application"]
        user = "www-data"

        [services.fcgi]
        listen = ["tcp://{address}:90"]
        mode = "wait"
        exec = ["/usr/sbin/fcgiwrap"]
        user = "games"

        [services.tftp]
        listen = ["udp://{address}:69"]
        mode = "wait"
        exec = ["/usr/sbin/in.tftpd", "--secure", "{folder}/tftp"]
        user = "root"
    """
    with Superd(services, folder=folder) as superd:
        assert output("curl", "-sS", "--fail", f"http://{address}/") == "hello gunicorn"
        cgi = {"SCRIPT_FILENAME": str(script), "REQUEST_METHOD": "GET"}
        assert output("cgi-fcgi", "-bind", "-connect", f"{address}:90", env=cgi).endswith("hello fcgiwrap")
        assert output("curl", "-sS", f"tftp://{address}/hello.txt") == "hello tftp\n"
        instances = [superd.wait_for("start", service=name)["pid"] for name in ("web", "fcgi", "tftp")]
        superd.stop()
        assert not any(map(is_alive, instances))
        outcomes = {event["service"]: event["outcome"] for event in superd.log_events("end")}
        assert outcomes == dict.fromkeys(("web", "fcgi", "tftp"), "stopped")
        for port in (80, 90):
            socket.create_server((address, port)).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 69))
