"""The acceptor in the sandbox that it builds for itself: what somebody who took it over then cannot do any more."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from harness import Superd, exchange, written

from .hijacked import hijacked

pytestmark = pytest.mark.live

ENTER = """
    import mmap, resource, termios
    from superd.acceptor import sandbox
    from superd.kernel.seccomp import resolve
    NAMES = '''bpf keyctl add_key perf_event_open userfaultfd io_uring_setup init_module kexec_load mount umount2
        unshare setns chroot pivot_root ptrace process_vm_readv process_vm_writev pidfd_getfd pidfd_open memfd_create
        clone clone3 fork vfork kill tkill rt_sigqueueinfo setuid setgroups capset personality mknodat symlinkat
        landlock_restrict_self seccomp open_by_handle_at quotactl swapon reboot sethostname settimeofday iopl
        inotify_init1 fanotify_init mq_open shmget msgget semget truncate ftruncate fchmodat fchownat'''.split()
    numbers = {name: resolve(name) for name in NAMES}
    tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    unix = socket.socket(socket.AF_UNIX)
    lacking = [sandbox.give_up_files(), sandbox.give_up_calls()]

    def made(*arguments):
        socket.socket(*arguments).close()

    def opened(path, flags):
        os.close(os.open(path, flags, 0o600))
"""

NEVER = (
    ENTER
    + """
    attempts = {
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}) and None,
        "fork": lambda: os.fork() or os._exit(0),
        "bind a tcp port": lambda: tcp.bind((address, 8080)),
        "bind any tcp port": lambda: tcp.bind((address, 0)),
        "bind a udp port": lambda: udp.bind((address, 5353)),
        "bind a name": lambda: unix.bind("\\0superd-test-hijacked"),
        "bind a short name": lambda: unix.bind("\\0x"),
        "listen": lambda: tcp.listen(),
        "AF_PACKET": lambda: made(17, socket.SOCK_RAW, 0),
        "AF_ALG": lambda: made(38, socket.SOCK_SEQPACKET, 0),
        "AF_VSOCK": lambda: made(40, socket.SOCK_STREAM, 0),
        "generic netlink": lambda: made(16, socket.SOCK_RAW, 16),
        "netfilter": lambda: made(16, socket.SOCK_RAW, 12),
        "sctp": lambda: made(socket.AF_INET, socket.SOCK_STREAM, 132),
        "mptcp": lambda: made(socket.AF_INET, socket.SOCK_STREAM, 262),
        "icmp": lambda: made(socket.AF_INET, socket.SOCK_DGRAM, 1),
        "what anybody may read": lambda: contents(readable),
        "configuration": lambda: contents(config),
        "a program": lambda: contents("/bin/true"),
        "list /": lambda: os.listdir("/") and None,
        "list /tmp": lambda: os.listdir("/tmp") and None,
        "look at others": lambda: contents("/proc/1/cmdline"),
        "make a file": lambda: opened("/tmp/superd-test-hijacked", os.O_RDWR | os.O_CREAT),
        "write where anybody may": lambda: opened(writable, os.O_WRONLY),
        "empty where anybody may": lambda: opened(writable, os.O_RDONLY | os.O_TRUNC),
        "remove": lambda: os.unlink(writable),
        "rename": lambda: os.rename(writable, writable + "x"),
        "folder": lambda: os.mkdir("/tmp/superd-test-hijacked"),
        "code of its own": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC).close(),
        "type into a terminal": lambda: call("ioctl", 2, termios.TIOCSTI, b"x"),
    }
    for name, number in numbers.items():
        if number is not None and number >= 0:
            attempts[name] = lambda number=number: call("syscall", number, 0, 0, 0, 0, 0, 0)
    report(lacking=lacking, came=tried(attempts))
    """
)

ALWAYS = (
    ENTER
    + """
    def connected(kind):
        with socket.socket(socket.AF_INET, kind) as one:
            one.connect((address, 7))

    attempts = {
        "connect": lambda: connected(socket.SOCK_STREAM),
        "a datagram": lambda: udp.sendto(b"x", (address, 7)) and None,
        "names": lambda: socket.getaddrinfo("localhost", 80) and None,
        "users": lambda: contents("/etc/passwd") and None,
        "load": lambda: os.getloadavg() and None,
        "connections": lambda: contents("/proc/self/net/tcp") and None,
        "the hour": lambda: time.localtime() and None,
        "netlink": lambda: made(16, socket.SOCK_RAW, 4),
        "a pipe": lambda: [os.close(end) for end in os.pipe()] and None,
    }
    report(lacking=lacking, came=tried(attempts))
    """
)


REFUSALS = ("EPERM", "EACCES", "ENOSYS")


def services(address: str) -> str:
    return f"""
        [services.echo]
        listen = ["tcp://{address}:7"]
        builtin = "echo"
    """


def test_from_inside_its_sandbox_nothing_is_started_opened_or_bound(address: str, folder: Path) -> None:
    readable = written(folder / "readable", "anybody may read this")
    writable = written(folder / "writable", "anybody may change this", 0o666)
    folder.chmod(0o777)
    told = {
        "address": address,
        "readable": str(readable),
        "writable": str(writable),
        "config": "/etc/../" + str(folder / "readable"),
    }
    program = "".join(f"    {name} = {value!r}\n" for name, value in told.items()) + NEVER
    with hijacked(folder, services(address), program) as superd:
        report = superd.reported()
    assert report["lacking"] == ["", ""]
    assert len(report["came"]) > 70
    assert {name: came for name, came in report["came"].items() if came not in REFUSALS} == {}
    assert writable.read_text() == "anybody may change this"


def test_from_inside_its_sandbox_it_can_do_what_it_is_for(address: str, folder: Path) -> None:
    with hijacked(folder, services(address), f"    address = {address!r}\n{ALWAYS}") as superd:
        report = superd.reported()
    assert report["lacking"] == ["", ""]
    assert set(report["came"].values()) == {"done"}, report["came"]


def test_the_acceptor_of_every_superd_is_in_it(address: str) -> None:
    with Superd(services(address)) as superd:
        status = Path(f"/proc/{superd.acceptor_pid}/status").read_text()
        assert re.search(r"^Seccomp:\s+2$", status, re.M)
        assert re.search(r"^Seccomp_filters:\s+2$", status, re.M)
        assert not superd.log_events("warning")


WITHOUT = """
    import errno, os, sys
    from superd.kernel import seccomp
    from superd.kernel.seccomp import ALLOW, Filter, Rule, fail_with

    seccomp.load(Filter(ALLOW, tuple(Rule(name, fail_with(errno.ENOSYS)) for name in sys.argv[1].split(","))))
    os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("calls", "what"),
    [
        ("landlock_create_ruleset", "this kernel has no Landlock"),
        ("seccomp", "sandbox is incomplete"),
    ],
)
def test_where_the_kernel_lacks_something_the_acceptor_goes_on_and_says_so(
    address: str, folder: Path, calls: str, what: str
) -> None:
    without = written(folder / "without", WITHOUT)
    with Superd(services(address), prefix=[sys.executable, str(without), calls]) as superd:
        superd.wait_for("warning", message=re.compile(what))
        assert exchange(address, 7, b"x") == b"x"
