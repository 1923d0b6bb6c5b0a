"""Promise 1 from below: a program that superd has started turns against superd, and against everybody else.

What it may do to its own spawner, which has its user, is in tests/live/test_hostile.py and test_facts.py; that it
cannot look into any process of superd, in tests/live/test_privileges.py.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import struct
from pathlib import Path

import pytest
from clients import connect, echoes
from harness import Superd, descendants, exchange, is_alive, wait_until, written

from .hostile import ask, program, service

pytestmark = pytest.mark.live

DAEMON = pwd.getpwnam("daemon")
GAMES = pwd.getpwnam("games")
_ALL = 0xFFFFFFFF


def test_no_child_becomes_root(address: str, folder: Path) -> None:
    """Neither by itself, nor by a program that is root's and setuid, nor by one with capabilities in its file."""
    setuid, capable = folder / "setuid", folder / "capable"
    for path in (setuid, capable):
        shutil.copy("/bin/cat", path)
    setuid.chmod(0o4755)
    capable.chmod(0o755)
    # struct vfs_cap_data, revision 2, all permitted (capabilities(7), include/uapi/linux/capability.h)
    everything = struct.pack("<IIIII", 0x02000000, _ALL, 0, _ALL, 0)
    os.setxattr(capable, "security.capability", everything)
    become = program(
        folder,
        "become",
        """
        def status(path):
            text = subprocess.run([path, "/proc/self/status"], capture_output=True, text=True).stdout
            lines = dict(line.split(":\\t", 1) for line in text.splitlines() if ":\\t" in line)
            return lines["Uid"].split() + [lines["CapEff"], lines["CapPrm"]]

        def mapped():
            call("unshare", 0x10000000)  # CLONE_NEWUSER
            with open("/proc/self/uid_map", "w") as map:
                map.write("0 0 1")

        header, words = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0xffffffff] * 6)
        attempts = {
            "setuid": lambda: os.setuid(0),
            "setresuid": lambda: os.setresuid(0, 0, 0),
            "setgid": lambda: os.setgid(0),
            "setgroups": lambda: os.setgroups([0]),
            "setfsuid": lambda: libc.setfsuid(0) or libc.setfsuid(-1) or "unchanged",
            "capset": lambda: call("capset", header, words),
            "chroot": lambda: os.chroot("/"),
            "mount": lambda: call("mount", b"none", b"/mnt", b"tmpfs", 0, None),
            "uid_map": mapped,
        }
        before = {name: status(told[name]) for name in ("setuid", "capable")}
        print(json.dumps({"by_file": before, "by_itself": tried(attempts)}))
        """,
    )
    with Superd(service("become", address, 1, become)) as superd:
        answer = ask(address, 1, {"setuid": str(setuid), "capable": str(capable)})
        assert superd.status("become")["accepted"] == 1
    own = str(DAEMON.pw_uid)
    assert answer["by_file"] == {name: [own] * 4 + ["0" * 16] * 2 for name in ("setuid", "capable")}
    failures = answer["by_itself"]
    assert failures.pop("setfsuid") != "0"
    assert set(failures.values()) <= {"EPERM", "EACCES", "ENOSYS"}, failures


def test_the_setuid_program_would_make_somebody_root_who_has_not_dropped_that(folder: Path) -> None:
    """Else the test above would prove nothing, as on a file system that is mounted nosuid."""
    path = folder / "setuid"
    shutil.copy("/bin/cat", path)
    path.chmod(0o4755)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 1)
        os.setgroups([])
        os.setresgid(GAMES.pw_gid, GAMES.pw_gid, GAMES.pw_gid)
        os.setresuid(GAMES.pw_uid, GAMES.pw_uid, GAMES.pw_uid)
        os.execv(path, ["cat", "/proc/self/status"])
    os.close(writer)
    with os.fdopen(reader) as status:
        uids = next(line for line in status if line.startswith("Uid:")).split()[1:]
    os.waitpid(pid, 0)
    assert uids[1] == "0"


def test_no_child_reads_what_is_anothers(address: str, folder: Path) -> None:
    """Files of another service and of superd, and what stands in the memory of another service's program."""
    private = written(folder / "private", "games' own", 0o600)
    os.chown(private, GAMES.pw_uid, GAMES.pw_gid)
    secrets = written(folder / "secrets", "PASSWORD=of-games\n", 0o600)
    reads = program(
        folder,
        "reads",
        """
        attempts = {path: lambda path=path: contents(path) for path in told["paths"]}
        attempts["control"] = lambda: socket.socket(socket.AF_UNIX).connect(told["control"])
        print(json.dumps(tried(attempts)))
        """,
    )
    other = f"""
        [services.other]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "games"
        environment_file = "{secrets}"
    """
    with Superd(service("reads", address, 1, reads) + other) as superd, connect(address) as client:
        assert echoes(client)
        (spawner,) = superd.spawners("other")
        (child,) = descendants(spawner)
        assert b"of-games" in Path(f"/proc/{child}/environ").read_bytes(), "else nothing would be found there"
        superd.log.chmod(0o640)  # as superd itself makes it
        paths = [str(path) for path in (private, secrets, superd.log, "/etc/shadow")]
        for pid in (child, spawner):
            paths += [f"/proc/{pid}/{name}" for name in ("environ", "mem", "fd/0", "fd/3", "root/etc/passwd")]
        answer = ask(address, 1, {"paths": paths, "control": str(superd.control)})
        assert set(answer.values()) == {"EACCES"}, answer


def test_no_child_signals_what_is_not_its_users(address: str, folder: Path) -> None:
    signals = program(
        folder,
        "signals",
        """
        attempts = {}
        for pid in told["pids"]:
            for number in (0, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
                attempts[f"{pid} {number}"] = lambda pid=pid, number=number: os.kill(pid, number)
            attempts[f"{pid} pidfd"] = lambda pid=pid: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL)
            attempts[f"{pid} prlimit"] = lambda pid=pid: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)) and None
            attempts[f"{pid} priority"] = lambda pid=pid: os.setpriority(os.PRIO_PROCESS, pid, 19)
            attempts[f"{pid} affinity"] = lambda pid=pid: os.sched_setaffinity(pid, {0})
            attempts[f"{pid} oom"] = lambda pid=pid: open(f"/proc/{pid}/oom_score_adj", "w").close()
        print(json.dumps(tried(attempts)))
        """,
    )
    other = f"""
        [services.other]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "games"
    """
    with Superd(service("signals", address, 1, signals) + other) as superd, connect(address) as client:
        assert echoes(client)
        (spawner,) = superd.spawners("other")
        (child,) = descendants(spawner)
        pids = [superd.master_pid, superd.acceptor_pid, spawner, child]
        answer = ask(address, 1, {"pids": pids})
        assert set(answer.values()) <= {"EPERM", "EACCES"}, answer
        assert [superd.acceptor_pid, *superd.spawners("other")] == [pids[1], spawner]
        assert echoes(client)


def test_no_child_opens_a_descriptor_of_superd_through_proc(address: str, folder: Path) -> None:
    opens = program(
        folder,
        "opens",
        """
        def got(pid, number):
            call("syscall", 438, os.pidfd_open(pid), number, 0)  # pidfd_getfd

        attempts = {}
        for pid in (*told["pids"], os.getppid()):
            for number in range(40):
                attempts[f"{pid} {number}"] = lambda pid=pid, number=number: contents(f"/proc/{pid}/fd/{number}")
                attempts[f"{pid} info {number}"] = lambda p=pid, n=number: contents(f"/proc/{p}/fdinfo/{n}")
                attempts[f"{pid} pidfd {number}"] = lambda pid=pid, number=number: got(pid, number)
            attempts[f"{pid} map"] = lambda pid=pid: os.listdir(f"/proc/{pid}/map_files")
        print(json.dumps(sorted(set(tried(attempts).values()))))
        """,
    )
    with Superd(service("opens", address, 1, opens)) as superd:
        open_there = len(os.listdir(f"/proc/{superd.master_pid}/fd"))
        assert open_there > 3, "there is something to be had"
        answer = ask(address, 1, {"pids": [superd.master_pid, superd.acceptor_pid]})
        assert set(answer) <= {"EACCES", "EPERM"}


def test_no_child_keeps_the_listener(address: str, folder: Path) -> None:
    """It has its connection, whatever its number, and when superd is gone the port is free though the child lives."""
    keeps = program(
        folder,
        "keeps",
        """
        held = {}
        for number in map(int, os.listdir("/proc/self/fd")):
            with contextlib.suppress(OSError):
                with socket.socket(fileno=os.dup(number)) as one:
                    held[number] = [one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), one.getpeername()[1]]
        print(json.dumps({"held": held, "port": int(os.environ["TCPREMOTEPORT"])}), flush=True)
        sys.stdin.readline()
        """,
    )
    with Superd(service("keeps", address, 1, keeps)) as superd, connect(address, 1) as client:
        client.sendall(b"{}\n")
        answer = client.makefile().readline()
        assert '"0": [0, ' in answer and '"1": [0, ' in answer
        (spawner,) = superd.spawners("keeps")
        (child,) = descendants(spawner)
        assert answer.count("[0, ") == 2 and "[1, " not in answer, "two numbers of one connection"
        superd.stop()
        assert is_alive(child)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past the connection, which lives
            again.bind((address, 1))
            again.listen()


def test_a_child_that_forks_without_end_meets_its_limit_and_nobody_else_notices(
    address: str, folder: Path
) -> None:
    forks = program(
        folder,
        "forks",
        """
        forked = 0
        try:
            while forked < 500:
                if os.fork() == 0:
                    signal.pause()
                forked += 1
        except OSError as error:
            print(json.dumps({"forked": forked, "error": errno.errorcode[error.errno]}), flush=True)
        os.killpg(0, signal.SIGKILL)
        """,
    )
    others = f"""
        [services.other]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "games"
    """
    bomb = service("forks", address, 1, forks, user="4242:4242", more="limit_nproc = 20")
    with Superd(bomb + others) as superd:
        for _ in range(2):
            answer = ask(address, 1)
            assert answer["error"] == "EAGAIN" and answer["forked"] < 20
            assert exchange(address, 7, b"x") == b"x"
        assert len(superd.spawners("forks")) >= 1


def test_a_child_that_wants_all_memory_meets_its_limit_and_nobody_else_notices(
    address: str, folder: Path
) -> None:
    eats = program(
        folder,
        "eats",
        """
        eaten = []
        try:
            while len(eaten) < 4096:
                eaten.append(bytearray(1 << 20))
        except MemoryError:
            mebibytes, eaten = len(eaten), None
            print(json.dumps(mebibytes), flush=True)
        """,
    )
    others = f"""
        [services.other]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "games"
    """
    with Superd(service("eats", address, 1, eats, more='limit_as = "256MiB"') + others) as superd:
        for _ in range(2):
            assert ask(address, 1) < 256
            assert exchange(address, 7, b"x") == b"x"
        wait_until(lambda: len(superd.log_events("end", service="eats")) == 2, "both to end")
        assert {event["outcome"] for event in superd.log_events("end", service="eats")} == {"clean"}
