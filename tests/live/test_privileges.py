"""Promise 1, on the running processes: nothing that talks to the network is root or can become it, no service can
reach into superd, and what runs as root loads nobody else's code."""

from __future__ import annotations

import json
import os
import pwd
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import ROOT, Superd, exchange, written

pytestmark = pytest.mark.live

CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
SECRET = "the-word-that-nobody-may-see-" + "7f3a"


def status_of(pid: int) -> dict[str, str]:
    """``/proc/PID/status`` as a mapping (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def echo(address: str, user: str = "daemon", more: str = "") -> str:
    return f"""
        [services.echo]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "{user}"
        {more}
    """


def memory(pid: int) -> Iterator[bytes]:
    """All that a process may read or write of its own memory, region by region, as root sees it."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            bounds, permissions, *_, name = f"{line.rstrip()} ".split(" ", 5)
            if "r" not in permissions or name.strip() in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            start, end = (int(bound, 16) for bound in bounds.split("-"))
            mem.seek(start)
            yield mem.read(end - start)


def holds(pid: int, word: str) -> bool:
    return any(word.encode() in region for region in memory(pid))


def test_what_talks_to_the_network_has_no_privilege_and_no_way_to_one(address: str) -> None:
    with Superd(echo(address)) as superd:
        assert exchange(address, 7, b"x") == b"x"
        (spawner,) = superd.spawners("echo")
        for pid in (superd.acceptor_pid, spawner):
            status = status_of(pid)
            uids, gids = status["Uid"].split(), status["Gid"].split()
            assert len(set(uids)) == len(set(gids)) == 1
            assert "0" not in (uids[0], gids[0], *status["Groups"].split())
            assert {name: int(status[name], 16) for name in CAPABILITY_SETS} == dict.fromkeys(
                CAPABILITY_SETS, 0
            )
            assert status["NoNewPrivs"] == "1"
        acceptors = status_of(superd.acceptor_pid)["Uid"].split()[0]
        assert acceptors not in (str(pwd.getpwnam(user).pw_uid) for user in ("nobody", "daemon"))
        assert status_of(spawner)["Uid"].split()[0] == str(pwd.getpwnam("daemon").pw_uid)


def test_the_acceptor_can_start_no_process_that_would_outlive_it(address: str) -> None:
    with Superd(echo(address)) as superd:
        limits = Path(f"/proc/{superd.acceptor_pid}/limits").read_text()
        assert re.search(r"^Max processes +0 +0 ", limits, re.M)


def test_a_spawner_has_its_own_session_and_nothing_open_that_it_does_not_need(address: str) -> None:
    services = (
        echo(address)
        + f"""
        [services.other]
        listen = ["tcp://{address}:9"]
        exec = ["/bin/cat"]
        user = "games"
    """
    )
    with Superd(services) as superd:
        assert exchange(address, 7, b"x") == exchange(address, 9, b"x") == b"x"
        for service in ("echo", "other"):
            (spawner,) = superd.spawners(service)
            assert os.getsid(spawner) == spawner
            opened = [os.readlink(entry) for entry in Path(f"/proc/{spawner}/fd").iterdir()]
            files = {name for name in opened if not name.startswith(("socket:", "pipe:", "anon_inode:"))}
            assert files == {"/dev/null"}
            sockets = [name for name in opened if name.startswith("socket:")]
            assert len(sockets) == 3, "to the master, to the acceptor, and where connections come"


PROBE = """
    import ctypes, json, os, subprocess, sys
    libc = ctypes.CDLL(None, use_errno=True)
    PTRACE_ATTACH, PTRACE_DETACH, PIDFD_GETFD = 16, 17, 438

    def attached(pid):
        if libc.ptrace(PTRACE_ATTACH, pid, None, None):
            raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(pid, 0x40000000)
        libc.ptrace(PTRACE_DETACH, pid, None, None)

    def stolen(pid):
        if libc.syscall(PIDFD_GETFD, os.pidfd_open(pid), 0, 0) < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")

    def opened(name):
        return lambda pid: open(f"/proc/{pid}/{name}", "rb").close()

    ATTEMPTS = {
        "mem": opened("mem"),
        "environ": opened("environ"),
        "maps": lambda pid: open(f"/proc/{pid}/maps").read(1),
        "fd": lambda pid: os.listdir(f"/proc/{pid}/fd"),
        "cwd": lambda pid: os.readlink(f"/proc/{pid}/cwd"),
        "ptrace": attached,
        "pidfd_getfd": stolen,
    }

    def succeeds(attempt, pid):
        try:
            attempt(pid)
        except OSError:
            return False
        return True

    bystander = subprocess.Popen(["/bin/sleep", "60"])
    pids = {"spawner": os.getppid(), "bystander": bystander.pid}
    pids |= {"acceptor": int(sys.stdin.readline()), "master": int(sys.stdin.readline())}
    done = {who: [name for name, attempt in ATTEMPTS.items() if succeeds(attempt, pid)]
            for who, pid in pids.items()}
    bystander.kill()
    bystander.wait()
    print(json.dumps({"attempts": list(ATTEMPTS), "spawner": os.getppid(), "done": done}), flush=True)
"""


def test_a_service_cannot_reach_into_superd(address: str, folder: Path) -> None:
    """A child has its spawner's uid, and could do all of it to any other process of that uid."""
    probe = written(folder / "probe", PROBE)
    services = f"""
        [services.probe]
        listen = ["tcp://{address}:7"]
        exec = ["{sys.executable}", "-I", "-S", "{probe}"]
        user = "daemon"
    """
    with Superd(services) as superd:
        question = f"{superd.acceptor_pid}\n{superd.master_pid}\n".encode()
        answer = json.loads(exchange(address, 7, question))
        assert [answer["spawner"]] == superd.spawners("probe")
        done = answer["done"]
        assert done.pop("bystander") == answer["attempts"], "the attempts must be such as can succeed"
        assert done == {"spawner": [], "acceptor": [], "master": []}
        for pid in (answer["spawner"], superd.acceptor_pid):
            assert os.stat(f"/proc/{pid}/environ").st_uid == 0


JYTHONS = {"org"}  # what copy and pickle of the standard library try to import


def test_what_begins_as_root_loads_no_third_partys_code(address: str, folder: Path) -> None:
    """Neither at start nor later: the interpreter itself tells of every import over a whole life."""
    environ = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    with Superd(echo(address), environ=environ) as superd:
        assert exchange(address, 7, b"x") == b"x"
        superd.configure("[services.faulty]\n")
        assert superd.ctl("reload").returncode == 78
        superd.reload(echo(address, more="nice = 1"))
        assert exchange(address, 7, b"x") == b"x"
        for pid in (superd.master_pid, superd.spawners("echo")[-1]):
            assert not re.search("(site|dist)-packages", Path(f"/proc/{pid}/maps").read_text())
        imports = set(re.findall(r"^import time:.*\| *([^ \n]+)$", superd.stderr.read_text(), re.MULTILINE))
    assert {"superd.master.main", "superd.spawner.main", "attr"} <= imports
    strangers = {name.partition(".")[0] for name in imports} - sys.stdlib_module_names - site_hooks()
    assert strangers - JYTHONS == {"superd", "attr", "attrs"}
    assert not any(name.startswith("superd.acceptor") for name in imports)


def site_hooks() -> set[str]:
    """What this interpreter imports by itself before any program (.pth files of its environment)."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", ""], capture_output=True, text=True, check=True
    )
    names = re.findall(r"^import time:.*\| *([^ \n]+)$", done.stderr, re.MULTILINE)
    return {name.partition(".")[0] for name in names}


def test_the_command_line_loads_neither_trio_nor_psutil() -> None:
    program = (
        "import superd.cli.superd, sys; print(*sorted({'trio', 'psutil', 'tomli_w'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_the_acceptor_never_learns_a_services_secrets(address: str, folder: Path) -> None:
    """Nor does anybody see them in a list of processes, in the log or in what superctl shows."""
    in_file, in_table, in_caller = (f"{SECRET}-{place}" for place in ("file", "table", "caller"))
    secrets = written(folder / "secrets", f"PASSWORD={in_file}\n", 0o600)
    more = f"""
        environment_file = "{secrets}"
        environment = {{ TOKEN = "{in_table}" }}
        pass_environment = ["KEY"]
    """
    with Superd(echo(address, more=more), environ={**os.environ, "KEY": in_caller}) as superd:
        assert exchange(address, 7, b"x") == b"x"
        (spawner,) = superd.spawners("echo")
        superd.reload()
        for secret in (in_file, in_table, in_caller):
            assert holds(spawner, secret), "else this would find it nowhere"
            assert not holds(superd.acceptor_pid, secret)
        shown = [superd.ctl("status").stdout, superd.ctl("explain", "echo").stdout, superd.report()]
        assert SECRET not in "".join(shown)
        for pid in (superd.master_pid, superd.acceptor_pid, spawner):
            assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_acceptors_environment_holds_nothing_of_the_callers(address: str) -> None:
    with Superd(echo(address), environ={**os.environ, "CALLERS": SECRET, "LD_BIND_NOW": "1"}) as superd:
        environ = Path(f"/proc/{superd.acceptor_pid}/environ").read_bytes()
        assert SECRET.encode() not in environ
        assert {word.partition(b"=")[0] for word in environ.split(b"\0") if word} <= {b"PATH"}


def test_a_service_that_is_root_keeps_roots_capabilities(address: str, folder: Path) -> None:
    """sshd must be able to become its users; whoever writes user = "root" gets it, and superd itself does not."""
    services = f"""
        [services.rootly]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat", "/proc/self/status"]
        user = "root"
    """
    with Superd(services) as superd:
        text = exchange(address, 7).decode()
        status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        own = status_of(superd.master_pid)
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert status[name] == own[name]
        assert status["NoNewPrivs"] == "0"
        assert status_of(superd.acceptor_pid)["Uid"].split()[0] != "0"


def test_the_control_socket_is_roots_alone(address: str) -> None:
    with Superd(echo(address)) as superd:
        status = os.stat(superd.control)
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o600)
