"""What a child sees: every word of it, told by the child itself."""

from __future__ import annotations

import json
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE_S, Superd, exchange, output, read_all, wait_until, written

pytestmark = pytest.mark.live

LIMITS = {name.removeprefix("RLIMIT_").lower(): getattr(resource, name) for name in dir(resource)
          if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"}  # fmt: skip

SEEN = """
    import json, os, resource, socket, sys

    def where(descriptor):
        try:
            return os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            return None  # the one that listed the folder

    status = dict(line.rstrip().split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    found = {int(name): where(name) for name in os.listdir("/proc/self/fd")}
    sock = socket.socket(fileno=os.dup(0))
    seen = {
        "argv": [part.decode() for part in open("/proc/self/cmdline", "rb").read().split(b"\\0")[:-1]],
        "uids": os.getresuid(), "gids": os.getresgid(), "groups": sorted(os.getgroups()),
        "pid": os.getpid(), "sid": os.getsid(0), "pgid": os.getpgid(0),
        "umask": os.umask(0), "cwd": os.getcwd(), "nice": os.nice(0),
        "status": status, "environ": dict(os.environ),
        "descriptors": {number: name for number, name in found.items() if name is not None and number != sock.fileno()},
        "limits": {name: resource.getrlimit(number) for name, number in json.loads(sys.argv[1]).items()},
        "family": sock.family, "type": sock.type, "blocking": os.get_blocking(0),
        "listening": sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN),
    }
    answer = json.dumps(seen).encode()
    if seen["listening"]:
        connection, _ = sock.accept()
        connection.sendall(answer)
    else:
        sock.sendall(answer)
"""


@contextmanager
def child(address: str, folder: Path, more: str = "", *, listen: str = "", user: str = "daemon", **how: Any
) -> Iterator[Superd]:  # fmt: skip
    """superd with one service, whose child tells what it sees."""
    program = written(folder / "seen", SEEN)
    exec = [sys.executable, "-I", "-S", str(program), json.dumps(LIMITS)]
    services = (
        f'[services.seen]\nlisten = ["{listen or f"tcp://{address}:7"}"]\n'
        f'exec = {json.dumps(exec)}\nuser = "{user}"\n{more}\n'
    )
    with Superd(services, **how) as superd:
        yield superd


def seen(address: str, folder: Path, more: str = "", **how: Any) -> dict[str, Any]:
    with child(address, folder, more, **how):
        told: dict[str, Any] = json.loads(exchange(address, 7))
    return told


def numbers(mask: str) -> set[int]:
    """The signals of a mask of proc_pid_status(5)."""
    return {number + 1 for number in range(64) if int(mask, 16) >> number & 1}


# --- who it is ---


def test_it_is_its_user_and_nothing_else(address: str, folder: Path) -> None:
    told = seen(address, folder, 'supplementary_groups = ["games", "4711"]', user="nobody:mail")
    uid, mail = pwd.getpwnam("nobody").pw_uid, 8
    assert told["uids"] == [uid] * 3
    assert told["gids"] == [mail] * 3
    games = pwd.getpwnam("games").pw_gid
    assert told["groups"] == sorted({mail, games, 4711})
    status = told["status"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == [str(uid)] * 4 and status["Gid"].split() == [str(mail)] * 4


def test_roots_service_may_have_another_group(address: str, folder: Path) -> None:
    told = seen(address, folder, "init_groups = false", user="root:daemon")
    assert (told["uids"], told["gids"], told["groups"]) == ([0] * 3, [1] * 3, [1])
    assert told["status"]["NoNewPrivs"] == "0"


def test_a_number_without_account_is_a_user_too(address: str, folder: Path) -> None:
    told = seen(address, folder, user="54321:54322")
    assert (told["uids"], told["gids"], told["groups"]) == ([54321] * 3, [54322] * 3, [54322])
    assert (told["environ"]["USER"], told["environ"]["HOME"]) == ("54321", "/")


def test_signals_session_umask_folder_and_priority(address: str, folder: Path) -> None:
    """Whatever superd was started with: here with signals ignored and blocked, and a strange umask."""
    dirty = ["sh", "-c", 'trap "" HUP USR1 PIPE TERM; umask 077; exec "$@"', "sh"]
    told = seen(address, folder, f'umask = "027"\nworking_directory = "{folder}"\nnice = 7', prefix=dirty)
    status = told["status"]
    assert numbers(status["SigBlk"]) == set()
    python_ignores = {int(signal.SIGPIPE), int(signal.SIGXFSZ)}  # the child is Python, which does so itself
    assert numbers(status["SigIgn"]) - {32, 33} == python_ignores
    assert told["sid"] == told["pgid"] == told["pid"]
    assert (told["umask"], told["cwd"], told["nice"]) == (0o027, str(folder), 7)
    assert Path(told["argv"][0]) == Path(sys.executable)


def test_no_signal_is_ignored(address: str) -> None:
    """A program that ignores none by itself tells it."""
    for mode in ("nowait", "wait"):
        exec = {
            "nowait": '["/bin/cat", "/proc/self/status"]',
            "wait": '["/bin/sh", "-c", "cat /proc/self/status >&2"]',
        }[mode]
        services = f'[services.one]\nlisten = ["tcp://{address}:7"]\nexec = {exec}\nuser = "daemon"\nmode = "{mode}"\n'
        with Superd(services) as superd, socket.create_connection((address, 7), PATIENCE_S) as client:
            if mode == "nowait":
                text = read_all(client).decode()
            else:
                superd.wait_for("output", message=re.compile("^SigCgt"))
                text = "\n".join(line["message"] for line in superd.log_events("output"))
        masks = dict(re.findall(r"^(Sig\w+):\s+(\w+)$", text, re.MULTILINE))
        assert numbers(masks["SigIgn"]) - {32, 33} == numbers(masks["SigBlk"]) == set()


# --- what it has ---


def test_its_environment_is_what_is_listed_and_nothing_else(address: str, folder: Path) -> None:
    secrets = written(folder / "secrets", 'PASSWORD="from the file"\nTERM=vt100\n', 0o600)
    more = f"""
        environment = {{ TERM = "dumb", COLOUR = "blue" }}
        pass_environment = ["TZ", "NOT_SET"]
        environment_file = "{secrets}"
    """
    pythons = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    dirty = pythons | {
        "PATH": f"{os.environ['PATH']}:/strange", "LD_LIBRARY_PATH": "/strange", "SECRET": "x", "HOME": "/strange",
        "NOTIFY_SOCKET": "/strange", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b:c", "MANAGERPID": "1", "TZ": "UTC",
        "LANG": "C", "TCPREMOTEIP": "6.6.6.6", "PYTHONSTARTUP": "/strange", "IFS": "x", "BASH_ENV": "/strange",
    }  # fmt: skip
    with child(address, folder, more, environ=dirty), socket.create_connection((address, 7)) as client:
        port = client.getsockname()[1]
        environ = json.loads(read_all(client))["environ"]
    daemon = pwd.getpwnam("daemon")
    environ.pop("LC_CTYPE", None)  # Python sets it for itself (PEP 538)
    assert environ == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": daemon.pw_dir,
        "USER": "daemon",
        "LOGNAME": "daemon",
        "SHELL": daemon.pw_shell,
        "TZ": "UTC",
        "COLOUR": "blue",
        "TERM": "vt100",
        "PASSWORD": "from the file",
        "SUPERD_SERVICE": "seen",
        "PROTO": "TCP",
        "TCPREMOTEIP": "127.0.0.1",
        "TCPREMOTEPORT": str(port),
        "TCPLOCALIP": address,
        "TCPLOCALPORT": "7",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port),
        "REMOTE_HOST": "127.0.0.1",
    }


@pytest.mark.parametrize(
    ("kind", "target"), [("log", r"pipe:\[\d+\]"), ("socket", r"socket:\[\d+\]"), ("null", "/dev/null")]
)
def test_its_descriptors_are_0_1_and_2(address: str, folder: Path, kind: str, target: str) -> None:
    told = seen(address, folder, f'standard_error = "{kind}"')
    descriptors = told["descriptors"]
    assert set(descriptors) == {"0", "1", "2"}
    assert descriptors["0"] == descriptors["1"]
    assert re.fullmatch(r"socket:\[\d+\]", descriptors["0"])
    assert re.fullmatch(target, descriptors["2"])
    assert (descriptors["2"] == descriptors["0"]) == (kind == "socket")
    assert told["blocking"]


def test_standard_error_may_be_opened_by_its_name(address: str) -> None:
    """By the service's user: logging of many programs is set to /dev/stderr."""
    exec = '["/bin/sh", "-c", "echo by name >/dev/stderr && echo done"]'
    services = f'[services.one]\nlisten = ["tcp://{address}:7"]\nexec = {exec}\nuser = "daemon"\n'
    with Superd(services) as superd:
        assert exchange(address, 7) == b"done\n"
        superd.wait_for("output", service="one", message="by name")


# --- limits ---


def test_its_limits_are_superds_unless_told_otherwise(address: str, folder: Path) -> None:
    told = seen(address, folder, prefix=["prlimit", "--nofile=777:5000", "--core=1:2", "--"])
    assert told["limits"]["nofile"] == [777, 5000]
    assert told["limits"]["core"] == [1, 2]
    for name in ("nproc", "as", "stack", "fsize", "data", "cpu"):
        assert told["limits"][name] == list(resource.getrlimit(LIMITS[name]))


@pytest.mark.parametrize("nofile", ["20", "64:100", "300:400"])
def test_every_limit_is_set(address: str, folder: Path, nofile: str) -> None:
    """Those that would bind the spawner too: few descriptors, little memory and time, no processes."""
    more = f"""
        limit_nofile = {f'"{nofile}"' if ":" in nofile else nofile}
        limit_nproc = 5
        limit_as = "512MiB"
        limit_data = "256MiB:300MiB"
        limit_cpu = "7s:9s"
        limit_fsize = "1MiB"
        limit_stack = "4MiB:8MiB"
        limit_core = "0B"
        limit_memlock = "64KiB"
    """
    with child(address, folder, more):
        for _ in range(3):
            limits = json.loads(exchange(address, 7))["limits"]
    soft, _, hard = nofile.partition(":")
    mib = 1 << 20
    wanted = {
        "nofile": [int(soft), int(hard or soft)],
        "nproc": [5, 5],
        "as": [512 * mib] * 2,
        "data": [256 * mib, 300 * mib],
        "cpu": [7, 9],
        "fsize": [mib] * 2,
        "stack": [4 * mib, 8 * mib],
        "core": [0, 0],
        "memlock": [64 * 1024] * 2,
    }
    assert {name: limits[name] for name in wanted} == wanted


# --- in a jail ---


@pytest.mark.needs("busybox")
def test_root_directory_is_all_that_it_sees(address: str, folder: Path) -> None:
    """A jail that holds a static busybox and nothing else: no /dev, no /proc, no users."""
    jail = folder / "jail"
    (jail / "bin").mkdir(parents=True)
    shutil.copy(output("sh", "-c", "command -v busybox").strip(), jail / "bin/busybox")
    for kind in ("log", "null", "socket"):
        services = f"""
            [services.jailed]
            listen = ["tcp://{address}:7"]
            exec = ["/bin/busybox", "sh", "-c", "pwd; busybox ls /; busybox id -u; echo said >&2"]
            user = "daemon"
            root_directory = "{jail}"
            standard_error = "{kind}"
        """
        with Superd(services) as superd:
            said = ["said"] if kind == "socket" else []
            assert exchange(address, 7).decode().split() == ["/", "bin", "1", *said]
            if kind == "log":
                superd.wait_for("output", service="jailed", message="said")


# --- peers of all kinds ---

OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")


@pytest.mark.needs("unshare", "nsenter", "ip", "nc")
def test_an_ipv4_client_of_a_wildcard_is_an_ipv4_client(folder: Path) -> None:
    """And an IPv6 one an IPv6 one, on the same port: programs that know AF_INET alone need not know of ::ffff:."""
    with child("", folder, listen="tcp://*:7", prefix=OWN_NETWORK) as superd:
        inside = ("nsenter", "--target", str(superd.master_pid), "--net", "--", "nc", "-N")
        four, six = (json.loads(output(*inside, host, "7")) for host in ("127.0.0.2", "::1"))
        assert (four["family"], six["family"]) == (socket.AF_INET, socket.AF_INET6)
        assert four["environ"]["TCPLOCALIP"] == "127.0.0.2"
        assert four["environ"]["TCPREMOTEIP"] == four["environ"]["REMOTE_ADDR"] == "127.0.0.1"
        assert six["environ"]["PROTO"] == "TCP"
        assert six["environ"]["TCPLOCALIP"] == six["environ"]["TCPREMOTEIP"] == "::1"
        sources = {one["source"] for one in superd.log_events("connection")}
        assert sources == {"127.0.0.1", "::1"}


@pytest.mark.needs("unshare", "nsenter", "ip", "nc")
def test_an_instance_has_one_listener_for_both_families(folder: Path) -> None:
    with child("", folder, 'mode = "wait"', listen="tcp://*:7", prefix=OWN_NETWORK) as superd:
        inside = ("nsenter", "--target", str(superd.master_pid), "--net", "--", "nc", "-N")
        for number, host in enumerate(("127.0.0.2", "::1"), 1):
            told = json.loads(output(*inside, host, "7"))
            assert (told["family"], told["listening"]) == (socket.AF_INET6, 1)
            superd.wait_for("end", count=number)


@pytest.mark.parametrize("scheme", ["unix", "unix-seqpacket"])
def test_a_unix_peer_is_named_by_its_credentials(address: str, folder: Path, scheme: str) -> None:
    path = folder / "run/socket"
    kind = socket.SOCK_STREAM if scheme == "unix" else socket.SOCK_SEQPACKET
    with child(address, folder, listen=f"{scheme}://{path}") as superd:
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(path))
            told = json.loads(client.recv(1 << 20) if scheme == "unix-seqpacket" else read_all(client))
        assert (told["family"], told["type"]) == (socket.AF_UNIX, kind)
        environ = {
            name: value
            for name, value in told["environ"].items()
            if name.startswith(("UNIX", "PROTO", "TCP"))
        }
        assert environ == {
            "PROTO": "UNIX",
            "UNIXREMOTEPID": str(os.getpid()),
            "UNIXREMOTEEUID": "0",
            "UNIXREMOTEEGID": "0",
        }
        superd.wait_for("connection", source="uid:0")
    assert not path.exists(), "its file goes with superd"


# --- instances ---


@pytest.mark.parametrize("mode", ["wait", "always"])
def test_an_instance_is_given_its_listeners_as_systemd_gives_them(
    address: str, folder: Path, mode: str
) -> None:
    more = f'mode = "{mode}"\nfile_descriptor_name = "web"'
    told = seen(address, folder, more)
    descriptors, environ = told["descriptors"], told["environ"]
    assert set(descriptors) == {"0", "1", "2", "3"}
    assert descriptors["0"] == descriptors["1"] == descriptors["3"] != descriptors["2"]
    assert (told["listening"], told["blocking"]) == (1, True)
    assert environ["LISTEN_PID"] == str(told["pid"])
    assert (environ["LISTEN_FDS"], environ["LISTEN_FDNAMES"]) == ("1", "web")
    assert not [name for name in environ if name.startswith(("TCP", "REMOTE_", "PROTO"))]
    assert told["sid"] == told["pid"]
    assert told["status"]["NoNewPrivs"] == "1"


def test_descriptor_0_of_an_instance_is_the_listener_that_woke_it(address: str, folder: Path) -> None:
    """3 and on are all of them, in the order of listen."""
    listen = f'tcp://{address}:7", "tcp://{address}:8", "tcp://{address}:9'
    with child(address, folder, 'mode = "wait"', listen=listen) as superd:
        order = None
        for number, port in enumerate((9, 7, 8), 1):
            told = json.loads(exchange(address, port))
            found = [told["descriptors"][name] for name in ("3", "4", "5")]
            assert order in (None, found)
            order = found
            assert told["descriptors"]["0"] == order[port - 7]
            assert told["environ"]["LISTEN_FDS"] == "3"
            assert told["environ"]["LISTEN_FDNAMES"] == "seen:seen:seen"
            superd.wait_for("end", count=number)
        wait_until(lambda: superd.status("seen")["children"] == 0, "the last to end")
