"""Promise 1 from the network's side: whoever takes the acceptor over has what it has, and gets no further."""

from __future__ import annotations

import contextlib
import pwd
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Superd, descendants, stat_fields, wait_until, written

from .hijacked import hijacked

pytestmark = pytest.mark.live


def services(address: str, folder: Path, more: str = "") -> str:
    secrets = written(folder / "secrets", "PASSWORD=secret\n", 0o600)
    return f"""
        [services.echo]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/cat"]
        user = "daemon"
        environment_file = "{secrets}"

        [services.peers]
        listen = ["udp://{address}:9"]
        exec = ["/bin/cat"]
        user = "games"

        [services.instance]
        listen = ["tcp://{address}:11"]
        mode = "wait"
        exec = ["/bin/sleep", "3600"]
        user = "games"
        {more}
    """


def uid_of(pid: int) -> int | None:
    """The user of a process; None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(re.findall(r"^Uid:\s+(\d+)", text, re.M)[0])


def listening(pid: int) -> set[int]:
    """Inodes of all listening and UDP sockets that a process holds."""
    tables = "".join(
        line
        for table in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines(keepends=True)[1:]
        if table.startswith("udp") or line.split()[3] == "0A"
    )
    inodes = {int(line.split()[9]) for line in tables.splitlines()}
    numbers = (re.fullmatch(r"socket:\[(\d+)\]", name) for name in held_by(pid))
    return {int(found[1]) for found in numbers if found} & inodes


def held_by(pid: int) -> Iterator[str]:
    """What its descriptors lead to, but for those that it closes meanwhile."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(entry.readlink())


EVERYTHING = """
    services = {m.settings.name: m.service for m, _ in told if isinstance(m, ServiceUp)}
    mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mine.bind((told_address, 0))
    mine.connect((told_address, 9))
    for service in (*range(-2, 40), 2**31, 2**63):
        link.post(SpawnerWanted(service))
        link.post(SpawnerIdle(service, 1))
        link.post(SpawnerStuck(service, 1))
        link.post(Keep(service, "../../etc/passwd"))
        for listener in (-1, 0, 1, 99):
            link.post(PeerSocketWanted(service, listener))
        link.post(Deliver(abs(service), b"from whom?"), [mine.fileno()])
    link.post(SpawnerWanted(services["echo"]))
    link.post(SpawnerWanted(services["instance"]))
    told.clear()
    link.post(ReloadWanted(1))
    listen(ReloadResult)
    got = [[m.service, s.getsockname()] for m, fds in told if isinstance(m, PeerSocket)
           for s in (socket.socket(fileno=fd) for fd in fds)]
    report(services=services, got=got)
"""


def test_whatever_it_sends_nothing_is_started_as_another_user_and_no_other_port_is_opened(
    address: str, folder: Path
) -> None:
    """Every message of the table, for every service, those there are not included."""
    program = EVERYTHING.replace("told_address", repr(address))
    with hijacked(folder, services(address, folder), program) as superd:
        opened = listening(superd.master_pid)
        assert len(opened) == 3
        report = superd.reported()
        peers = report["services"]["peers"]
        assert report["got"] and all(one == [peers, [address, 9]] for one in report["got"])
        users = {"echo": "daemon", "peers": "games", "instance": "games"}
        spawners = wait_until(lambda: started(superd, {"echo", "instance"}), "spawners")
        for name, pid in spawners.items():
            assert uid_of(pid) == pwd.getpwnam(users[name]).pw_uid
        allowed = {pwd.getpwnam(user).pw_uid for user in ("daemon", "games")} | {uid_of(superd.acceptor_pid)}
        assert {uid_of(pid) for pid in descendants(superd.master_pid)} <= {*allowed, None}
        assert listening(superd.master_pid) == opened


def started(superd: Superd, names: set[str]) -> dict[str, int]:
    """The spawners that have become their users, by service; none before all of ``names`` are there."""
    found = {}
    for pid in descendants(superd.master_pid):
        fields = stat_fields(pid)
        if fields is not None and fields[0].startswith("superd: spawn") and uid_of(pid):
            line = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True)
            found[line.stdout.split()[-1]] = pid
    return found if names <= found.keys() else {}


def test_a_spawner_that_it_commands_starts_its_own_program_as_its_own_user(
    address: str, folder: Path
) -> None:
    """It can say whose connection it is; what is started, and as whom, has no place in the message."""
    program = """
        service = next(m.service for m, _ in told if isinstance(m, ServiceUp) and m.settings.name == "echo")
        work = next(fds[0] for m, fds in told if isinstance(m, ServiceUp) and m.service == service and fds)
        link.post(SpawnerWanted(service))
        told.clear()
        listen(SpawnerUp)
        to_spawners = Link(socket.socket(fileno=work), Role.ACCEPTOR, Role.SPAWNER)
        ours, theirs = socket.socketpair()
        peer = Peer(int(socket.AF_UNIX), pid=1, uid=0, gid=0)
        to_spawners.post(Connections(((1, peer),)), [theirs.fileno()])
        theirs.close()
        ours.sendall(b"x")
        report(answer=answer_of(ours))
        told.append(ours)
    """
    with hijacked(folder, services(address, folder), program) as superd:
        assert superd.reported() == {"answer": "x"}
        spawner = started(superd, {"echo"})["echo"]
        (child,) = descendants(spawner)
        assert Path(f"/proc/{child}/cmdline").read_bytes() == b"/bin/cat\0"
        assert uid_of(child) == pwd.getpwnam("daemon").pw_uid


REACHING = """
    def bound(port):
        with socket.socket() as one:
            one.bind((address, port))

    def traced(pid):
        call("ptrace", 16, pid, None, None)

    def got(pid, number):
        call("syscall", 438, os.pidfd_open(pid), number, 0)  # pidfd_getfd

    master = os.getppid()
    attempts = {
        "setuid": lambda: os.setuid(0),
        "setuid daemon": lambda: os.setuid(1),
        "setgroups": lambda: os.setgroups([0]),
        "privileged port": lambda: bound(80),
        "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
        "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close(),
        "secrets": lambda: contents(secrets),
        "shadow": lambda: contents("/etc/shadow"),
        "masters memory": lambda: contents(f"/proc/{master}/mem"),
        "masters environment": lambda: contents(f"/proc/{master}/environ"),
        "masters descriptors": lambda: os.listdir(f"/proc/{master}/fd"),
        "a descriptor": lambda: got(master, 3),
        "ptrace": lambda: traced(master),
        "kill": lambda: os.kill(master, signal.SIGKILL),
        "stop": lambda: os.kill(master, signal.SIGSTOP),
        "chroot": lambda: os.chroot("/"),
        "mount": lambda: call("mount", b"none", b"/mnt", b"tmpfs", 0, None),
    }
    report(**tried(attempts))
"""


def test_it_has_no_privilege_of_its_own(address: str, folder: Path) -> None:
    program = f"address, secrets = {address!r}, {str(folder / 'secrets')!r}\n" + textwrap.dedent(REACHING)
    with hijacked(folder, services(address, folder), program) as superd:
        results = superd.reported()
        assert set(results.values()) <= {"EPERM", "EACCES"}, results
        assert stat_fields(superd.master_pid) is not None
