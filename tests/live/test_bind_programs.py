"""Programs that know nothing of superd, on ports below 1024, as an ordinary user."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from binding import BIND, OTHER, answers, bound, grant, granting, started
from harness import wait_until, written

pytestmark = pytest.mark.live

Command = Callable[[str, int, Path], Sequence[str | Path]]


def busybox(address: str, port: int, folder: Path) -> Sequence[str | Path]:
    return "busybox", "httpd", "-f", "-p", f"{address}:{port}", "-h", folder


def go(address: str, port: int, folder: Path) -> Sequence[str | Path]:
    hooks = written(folder / "hooks.json", "[]")
    return "webhook", "-verbose", "-ip", address, "-port", str(port), "-hooks", hooks


def python_server(address: str, port: int, folder: Path) -> Sequence[str | Path]:
    return "/usr/bin/python3", "-m", "http.server", "--bind", address, "--directory", folder, str(port)


def node(address: str, port: int, folder: Path) -> Sequence[str | Path]:
    script = f'require("http").createServer((q, s) => s.end("x")).listen({port}, "{address}")'
    return "node", "-e", script


def nginx(address: str, port: int, folder: Path) -> Sequence[str | Path]:
    own = folder / "nginx"
    own.mkdir()
    own.chmod(0o777)
    paths = "".join(f"{kind}_temp_path {own}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    config = written(
        folder / "nginx.conf",
        f"daemon off; pid {own}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {own}/body; {paths}\n"
        f"server {{ listen {address}:{port}; root {folder}; }} }}\n",
    )
    return "/usr/sbin/nginx", "-c", config


def deep(address: str, port: int, folder: Path) -> Sequence[str | Path]:
    server = " ".join(map(str, python_server(address, port, folder)))
    return "/bin/sh", "-c", f'/bin/sh -c "{server}; true"; true'


PROGRAMS = [
    pytest.param(busybox, id="busybox-httpd-static", marks=pytest.mark.needs("busybox")),
    pytest.param(go, id="webhook-go", marks=pytest.mark.needs("webhook")),
    pytest.param(python_server, id="python-http.server", marks=pytest.mark.needs("/usr/bin/python3")),
    pytest.param(node, id="node", marks=pytest.mark.needs("node")),
    pytest.param(nginx, id="nginx-foreground", marks=pytest.mark.needs("/usr/sbin/nginx")),
    pytest.param(deep, id="below-two-shells", marks=pytest.mark.needs("/usr/bin/python3")),
]


@pytest.mark.parametrize("command", PROGRAMS)
def test_an_unmodified_program_serves_a_low_port(command: Command, address: str, folder: Path) -> None:
    with granting(grant("tcp/80", address)) as superd, started(superd, *command(address, 80, folder)) as one:
        wait_until(lambda: answers(address, 80) or one.poll() is not None, "the port")
        assert one.poll() is None
        superd.wait_for("grant", message="granted", user="nobody", listen=f"tcp://{address}:80")


def test_a_denied_port_is_eacces_in_the_program(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, "/usr/bin/python3", "-c", BIND, address, "80", "81", "8081")
        assert done.stdout.splitlines() == ["80 bound", "81 EACCES", "8081 bound"]
        assert f"no grant lets nobody bind tcp://{address}:81" in done.stderr
        told = superd.wait_for("grant", reason="no-grant")
        assert (told["user"], told["listen"]) == ("nobody", f"tcp://{address}:81")
        assert "python3" in told["program"] and told["pid"] > 0
        used = superd.wait_for("grant", message="granted")
        assert used["rule"] == f"{superd.config}: grants[1]"


def test_another_user_is_denied(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, "/usr/bin/python3", "-c", BIND, address, "80", user=OTHER)
        assert done.stdout == "80 EACCES\n"
        assert superd.wait_for("grant", reason="no-grant")["user"] == OTHER


def test_a_port_that_is_taken_is_the_kernels_answer(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd, socket.create_server((address, 80)):
        done = bound(superd, "/usr/bin/python3", "-c", BIND, address, "80")
        assert done.stdout == "80 EADDRINUSE\n"
        superd.wait_for("grant", message="granted, but it failed: Address already in use")


def test_only_the_programs_that_are_named(address: str) -> None:
    program = str(Path("/usr/bin/python3").resolve())
    with granting(grant("tcp/80", address, more=f'programs = ["{program}"]')) as superd:
        assert bound(superd, "/usr/bin/python3", "-c", BIND, address, "80").stdout == "80 bound\n"
    with granting(grant("tcp/80", address, more='programs = ["/usr/bin/caddy"]')) as superd:
        done = bound(superd, "/usr/bin/python3", "-c", BIND, address, "80")
        assert done.stdout == "80 EACCES\n"
        assert superd.wait_for("grant", reason="program")["program"] == program


@pytest.mark.parametrize(
    ("depth", "command", "said"),
    [
        ("1", "exec {}", "80 EACCES"),
        ("2", "exec {}", "80 bound"),
        ("2", "{}; true", "80 bound"),
        ("2", "/bin/sh -c '{}; true'; true", "80 EACCES"),
        ("3", "/bin/sh -c '{}; true'; true", "80 bound"),
    ],
)
def test_a_depth(depth: str, command: str, said: str, address: str, folder: Path) -> None:
    script = written(folder / "bind.py", BIND)
    line = command.format(f"/usr/bin/python3 {script} {address} 80")
    with granting(grant("tcp/80", address)) as superd:
        assert bound(superd, "--depth", depth, "/bin/sh", "-c", line).stdout == said + "\n"


def test_a_fork_stays_on_its_level(address: str) -> None:
    forks = "import os\nif os.fork(): os._exit(os.waitstatus_to_exitcode(os.wait()[1]))\n" + BIND
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, "--depth", "1", "/usr/bin/python3", "-c", forks, address, "80")
        assert done.stdout == "80 bound\n"


def test_sockets_for_a_program_that_knows_socket_activation(address: str) -> None:
    shown = (
        "import os, socket; s = socket.socket(fileno=3); "
        "print(os.environ['LISTEN_FDS'], os.environ['LISTEN_PID'] == str(os.getpid()), s.getsockname()[1])"
    )
    with granting(grant("tcp/80", address)) as superd:
        done = bound(superd, "--fd", f"tcp/{address}:80", "--", "/usr/bin/python3", "-c", shown)
        assert done.stdout == "1 True 80\n"
        refused = bound(superd, "--fd", f"tcp/{address}:81", "--", "/bin/true")
        assert refused.returncode == 77
        assert "no grant lets nobody bind" in refused.stderr
