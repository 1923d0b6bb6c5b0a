"""Handlers, as an administrator has them: real connections, real processes, real faults."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from clients import connect, first_line, stop
from harness import Superd, descendants, exchange, is_alive, read_all, stat_fields, wait_until, written
from served import handler

pytestmark = pytest.mark.live

DAEMON = pwd.getpwnam("daemon").pw_uid

TELLS = """
    import json, os, random, resource, signal, sys

    def where(number):
        try:
            return os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            return None

    def tell(connection):
        found = {name: where(name) for name in os.listdir("/proc/self/fd")}
        status = dict(line.rstrip().split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
        told = {
            "uids": os.getresuid(), "groups": os.getgroups(), "sid": os.getsid(0), "pid": os.getpid(),
            "descriptors": {number: name for number, name in found.items() if name}, "status": status,
            "environ": dict(os.environ), "random": random.random(), "modules": sorted(sys.modules),
            "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "cpu": resource.getrlimit(resource.RLIMIT_CPU),
            "child": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL, "argv": sys.argv,
            "peer": str(connection.peer), "local": str(connection.local), "service": connection.service,
            "folder": os.getcwd(),
        }
        connection.writer.write(json.dumps(told).encode())
"""


def told(address: str, folder: Path, more: str = "") -> dict[str, Any]:
    with Superd(handler(address, folder, TELLS, "tell", more)):
        found: dict[str, Any] = json.loads(exchange(address, 7))
    return found


def caller_of(superd: Superd) -> int:
    """The process that forks the children of the service."""
    (spawner,) = superd.spawners("it")
    below = [pid for pid in descendants(spawner) if (fields := stat_fields(pid)) and fields[2] == spawner]
    (caller,) = [
        pid for pid in below if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"superd: handler")
    ]
    return caller


# --- what it is ---


def test_it_is_the_services_user_in_a_session_of_its_own(address: str, folder: Path) -> None:
    seen = told(address, folder)
    assert seen["uids"] == [DAEMON] * 3
    assert seen["sid"] == seen["pid"]
    status = seen["status"]
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1"
    assert int(status["SigBlk"], 16) == 0
    ignored = {number + 1 for number in range(64) if int(status["SigIgn"], 16) >> number & 1} - {32, 33}
    assert ignored == {signal.SIGPIPE, signal.SIGXFSZ}, "as in any Python; the two are glibc's own"
    assert int(status["SigCgt"], 16) == 0 and seen["child"]
    assert seen["folder"] == "/"


def test_no_descriptor_is_open_but_its_own(address: str, folder: Path) -> None:
    descriptors = told(address, folder)["descriptors"]
    assert descriptors.keys() == {"0", "1", "2"}
    assert descriptors["0"] == descriptors["1"] and descriptors["0"].startswith("socket:")
    assert descriptors["2"].startswith("pipe:")


def test_its_environment_is_that_of_any_child(address: str, folder: Path) -> None:
    environ = told(address, folder, 'environment = { GREETING = "hello" }')["environ"]
    assert (
        environ["GREETING"] == "hello" and environ["USER"] == "daemon" and environ["SUPERD_SERVICE"] == "it"
    )
    assert (environ["PROTO"], environ["TCPREMOTEIP"], environ["TCPLOCALPORT"]) == ("TCP", "127.0.0.1", "7")
    assert environ.keys() <= {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "GREETING", "SUPERD_SERVICE", "PROTO", "TCPREMOTEIP",
        "TCPREMOTEPORT", "TCPLOCALIP", "TCPLOCALPORT", "REMOTE_ADDR", "REMOTE_PORT", "REMOTE_HOST",
    }  # fmt: skip


def test_limits_hold_for_it_and_not_for_what_forks_it(address: str, folder: Path) -> None:
    seen = told(address, folder, 'limit_nofile = 64\nlimit_cpu = "5s"')
    assert (seen["nofile"], seen["cpu"]) == ([64, 64], [5, 5])


def test_the_connection_says_who_is_there(address: str, folder: Path) -> None:
    seen = told(address, folder)
    assert re.fullmatch(r"127\.0\.0\.1:\d+", seen["peer"]) and seen["local"] == f"{address}:7"
    assert seen["service"] == "it" and seen["argv"] == [f"{folder}/served.py:tell"]


def test_trio_is_not_loaded_for_one_that_is_not_async(address: str, folder: Path) -> None:
    modules = set(told(address, folder)["modules"])
    assert modules.isdisjoint({"trio", "attr", "psutil"})


def test_two_connections_see_nothing_of_each_other(address: str, folder: Path) -> None:
    code = """
        import os, random
        seen = []

        def remember(connection):
            line = connection.reader.readline()
            seen.append(line)
            connection.writer.write(b"%d %s %s" % (len(seen), random.randbytes(8).hex().encode(), line))
            connection.reader.read()
    """
    with Superd(handler(address, folder, code, "remember")), connect(address) as one, connect(address) as two:
        answers = []
        for client in (one, two):
            client.sendall(b"hello\n")
            answers.append(first_line(client).split())
    assert [answer[0] for answer in answers] == [b"1", b"1"]
    assert answers[0][1] != answers[1][1], "both draw the same random numbers"


# --- how it may be written ---


def test_one_without_parameters_has_standard_input_and_output(address: str, folder: Path) -> None:
    code = """
        import os, sys

        def ask():
            print("who is there?", flush=True)
            print("hello", input(), os.environ["TCPREMOTEIP"])
    """
    with Superd(handler(address, folder, code, "ask")), connect(address) as client:
        assert first_line(client) == b"who is there?\n"
        client.sendall(b"it is me\n")
        assert read_all(client) == b"hello it is me 127.0.0.1\n"


def test_an_async_one_is_run_by_trio(address: str, folder: Path) -> None:
    code = """
        async def loud(connection):
            async for data in connection.stream:
                await connection.stream.send_all(data.upper())
    """
    with Superd(handler(address, folder, code, "loud")):
        assert exchange(address, 7, b"quiet") == b"QUIET"


def test_classes_of_socketserver_and_http_server_work_as_they_are(address: str, folder: Path) -> None:
    code = """
        from http.server import SimpleHTTPRequestHandler
        from socketserver import StreamRequestHandler

        class Loud(StreamRequestHandler):
            def handle(self):
                self.wfile.write(self.rfile.readline().upper() + self.client_address[0].encode())
    """
    with Superd(handler(address, folder, code, "Loud")) as superd:
        assert exchange(address, 7, b"quiet\n") == b"QUIET\n127.0.0.1"
        written(folder / "page.txt", "a page")
        superd.reload(
            f'[services.it]\nlisten = ["tcp://{address}:7"]\nhandler = "http.server:SimpleHTTPRequestHandler"\n'
            f'user = "daemon"\nworking_directory = "{folder}"\n'
        )
        assert exchange(address, 7, b"GET /page.txt HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\na page")


def test_a_module_is_found_by_pythonpath(address: str, folder: Path) -> None:
    written(folder / "app" / "__init__.py", "")
    written(folder / "app" / "serve.py", "def hello(connection): connection.writer.write(b'hello')\n")
    services = (
        f'[services.it]\nlisten = ["tcp://{address}:7"]\nhandler = "app.serve:hello"\nuser = "daemon"\n'
        f'environment = {{ PYTHONPATH = "{folder}" }}\n'
    )
    with Superd(services):
        assert exchange(address, 7) == b"hello"


def test_a_peer_of_udp_has_a_connection_too(address: str, folder: Path) -> None:
    code = """
        def loud(connection):
            connection.writer.write(connection.reader.read1().upper() + str(connection.peer).encode())
    """
    services = handler(address, folder, code, "loud").replace("tcp://", "udp://")
    with Superd(services), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        client.connect((address, 7))
        client.send(b"quiet")
        assert client.recv(100) == f"QUIET127.0.0.1:{client.getsockname()[1]}".encode()


def test_a_unix_socket_says_whose_process_is_there(folder: Path) -> None:
    path = folder / "it.sock"
    code = (
        "def who(connection): connection.writer.write(f'{connection.peer} {connection.peer.pid}'.encode())\n"
    )
    services = handler("", folder, code, "who").replace("tcp://:7", f"unix://{path}")
    with Superd(services), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert read_all(client) == f"uid:0 {os.getpid()}".encode()


# --- how it ends ---


def test_an_exception_is_in_the_log_with_the_peer_and_the_traceback(address: str, folder: Path) -> None:
    code = """
        def fail(connection):
            connection.writer.write(b"so far")
            raise ValueError("this is why")
    """
    with Superd(handler(address, folder, code, "fail")) as superd:
        assert exchange(address, 7) == b"so far"
        pid = superd.wait_for("end", service="it", outcome="failed", status=1)["pid"]
        superd.wait_for("output", service="it", pid=pid, message="ValueError: this is why")
        lines = [event["message"] for event in superd.log_events("output", service="it", pid=pid)]
    assert re.fullmatch(r"it: exception while serving 127\.0\.0\.1:\d+", lines[0])
    assert f'File "{folder}/served.py", line 4, in fail' in lines[2]
    assert not any("superd/handler" in line for line in lines), "superd's own frames tell nobody anything"


@pytest.mark.parametrize(
    ("where", "client_sees"), [("log", b""), ("socket", b"on standard error\n"), ("null", b"")]
)
def test_exceptions_and_log_never_go_to_the_client(
    address: str, folder: Path, where: str, client_sees: bytes
) -> None:
    code = """
        import sys

        def fail(connection):
            print("on standard error", file=sys.stderr)
            connection.log("a line\\nand not two")
            raise ValueError("this is why")
    """
    with Superd(handler(address, folder, code, "fail", f'standard_error = "{where}"')) as superd:
        assert exchange(address, 7) == client_sees
        superd.wait_for("output", service="it", message="ValueError: this is why")
        superd.wait_for("output", service="it", message="a line\\nand not two")
        assert bool(superd.log_events("output", message="on standard error")) == (where == "log")


@pytest.mark.parametrize(("code", "status"), [("sys.exit(7)", 7), ("sys.exit()", 0), ("sys.exit('no')", 1)])
def test_sys_exit_is_its_exit_status(address: str, folder: Path, code: str, status: int) -> None:
    source = f"import sys\ndef leave(connection): {code}\n"
    with Superd(handler(address, folder, source, "leave")) as superd:
        exchange(address, 7)
        assert superd.wait_for("end", service="it")["status"] == status
        if status == 1:
            superd.wait_for("output", service="it", message="no")


SLEEPS = """
    import time

    def sleep(connection):
        connection.socket.sendall(b"here\\n")
        while True:
            time.sleep(3600)
"""


def test_runtime_max_ends_it(address: str, folder: Path) -> None:
    with Superd(handler(address, folder, SLEEPS, "sleep", 'runtime_max = "100ms"')) as superd:
        with connect(address) as client:
            read_all(client)
        assert superd.wait_for("end", service="it")["outcome"] == "timed-out"


def test_the_process_that_forks_is_no_stray_of_its_children(address: str, folder: Path) -> None:
    """What children leave behind is ended after runtime_max; the caller is a child of the spawner, and is not."""
    code = """
        import os, subprocess

        def leave(connection):
            left = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            connection.writer.write(b"%d" % left.pid)
    """
    with Superd(handler(address, folder, code, "leave", 'runtime_max = "5s"')) as superd:
        left = int(exchange(address, 7))
        caller = caller_of(superd)
        wait_until(lambda: not is_alive(left), "what was left behind to be ended")
        assert exchange(address, 7)
        assert caller_of(superd) == caller


def test_without_root_whoever_runs_superd_serves(address: str, folder: Path) -> None:
    services = handler(address, folder, TELLS, "tell", user="daemon").replace(":7", ":7007")
    with Superd(services, run_as="daemon"):
        assert json.loads(exchange(address, 7007))["uids"] == [DAEMON] * 3


def test_in_the_strictest_sandbox(address: str, folder: Path) -> None:
    """There it has pids of its own, and the log has those that everybody else sees."""
    with Superd(
        handler(address, folder, SLEEPS, "sleep", 'sandbox = { profile = "strict", private_tmp = false }')
    ) as superd:
        with connect(address) as client:
            assert first_line(client) == b"here\n"
            pid = superd.wait_for("connection", service="it")["pid"]
            assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"it: 127.0.0.1:")
            os.kill(pid, signal.SIGTERM)
            assert read_all(client) == b""
        end = superd.wait_for("end", service="it", pid=pid)
        assert (end["outcome"], end["signal"]) == ("signalled", "SIGTERM")


def test_its_connections_outlive_superd(address: str, folder: Path) -> None:
    with Superd(handler(address, folder, SLEEPS, "sleep")) as superd, connect(address) as client:
        assert first_line(client) == b"here\n"
        pid = superd.wait_for("connection", service="it")["pid"]
        superd.stop()
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)
        assert read_all(client) == b""


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_dead_or_stopped_caller_is_replaced(address: str, folder: Path, how: str) -> None:
    """A child could do that: it has the same user."""
    code = "def hello(connection): connection.writer.write(b'hello')\n"
    with Superd(handler(address, folder, code, "hello")) as superd:
        assert exchange(address, 7) == b"hello"
        caller = caller_of(superd)
        if how == "killed":
            os.kill(caller, signal.SIGKILL)
            superd.wait_for("spawner", service="it", message=re.compile("was killed by SIGKILL"))
        else:
            stop(caller)
            with connect(address):  # what asks for the child stands still with it
                superd.wait_for("spawner", service="it", message=re.compile("did not answer"))
            wait_until(lambda: not is_alive(caller), "the stopped caller to be gone")
        assert exchange(address, 7) == b"hello"


def test_children_cannot_look_into_each_other(address: str, folder: Path) -> None:
    code = """
        import os

        def look(connection):
            connection.socket.sendall(b"%d\\n" % os.getpid())
            other = connection.reader.readline().strip().decode()
            try:
                open(f"/proc/{other}/mem", "rb")
            except PermissionError:
                connection.writer.write(b"no\\n")
            connection.reader.read()
    """
    with Superd(handler(address, folder, code, "look")), connect(address) as one, connect(address) as two:
        pids = [first_line(client) for client in (one, two)]
        two.sendall(pids[0])
        assert first_line(two) == b"no\n"
