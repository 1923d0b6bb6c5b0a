"""What a program sees of the file system, key by key, and what it cannot do there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from harness import Superd, exchange, written

from .inside import look, seen

pytestmark = pytest.mark.live

WRITE = """
def write(path):
    with open(path + "/superd-was-here", "w") as file:
        file.write("x")
    os.unlink(file.name)
"""


@pytest.mark.parametrize(
    ("level", "denied"),
    [("false", ""), ("true", "/usr"), ('"full"', "/usr /etc"), ('"strict"', "/usr /etc /srv /var/lib")],
)
def test_protect_system(address: str, level: str, denied: str) -> None:
    """Even for root: what is mounted read-only is not written by anybody."""
    body = WRITE + (
        'attempts = {path: lambda path=path: write(path) for path in ("/usr", "/etc", "/srv", "/var/lib", "/tmp")}'
    )
    with Superd(look("a", address, f"protect_system = {level}", body, user="root")):
        answers = seen(address)
    refused = {path for path, came in answers.items() if came == "EROFS"}
    assert refused == {*denied.split(), *(["/tmp"] if "strict" in level else [])}
    assert set(answers.values()) <= {"EROFS", "done"}
    assert not Path("/etc/superd-was-here").exists()


@pytest.mark.parametrize(
    ("level", "listing", "writing"),
    [
        ("false", "superd-guest", "done"),
        ("true", "EACCES", "EACCES"),
        ('"read-only"', "superd-guest", "EROFS"),
        ('"tmpfs"', "done", "EROFS"),
    ],
)
def test_protect_home(address: str, level: str, listing: str, writing: str) -> None:
    """As a user that may do all that files are kept from by their modes."""
    guest = Path("/home", "superd-guest")
    guest.mkdir(mode=0o777, exist_ok=True)
    guest.chmod(0o777)
    os.chmod("/home", 0o755)
    body = WRITE + (
        'attempts = {"list": lambda: " ".join(n for n in os.listdir("/home") if n.startswith("superd-")), '
        '"write": lambda: write("/home" + "/superd-guest")}'
    )
    try:
        with Superd(look("a", address, f"protect_home = {level}", body)):
            answers = seen(address)
    finally:
        guest.rmdir()
    assert answers["list"] == listing
    assert answers["write"] in (writing, "ENOENT" if level == '"tmpfs"' else writing)


def test_private_tmp(address: str, folder: Path) -> None:
    """Nothing of others is there, and what is written there is seen by nobody else."""
    assert str(folder).startswith("/tmp/")
    body = (
        'attempts = {path: lambda path=path: " ".join(os.listdir(path)) for path in ("/tmp", "/var/tmp")}\n'
        'attempts["mine"] = lambda: open("/tmp/superd-mine", "w").name'
    )
    with Superd(look("a", address, "private_tmp = true", body)):
        assert seen(address) == {"/tmp": "done", "/var/tmp": "done", "mine": "/tmp/superd-mine"}
        assert not Path("/tmp/superd-mine").exists()


def test_private_devices(address: str) -> None:
    """Nothing but what any program may have; a terminal of its own can still be made."""
    body = """
    attempts = {
        "names": lambda: " ".join(sorted(os.listdir("/dev"))),
        "null": lambda: open("/dev/null", "w").write("x"),
        "random": lambda: str(len(open("/dev/urandom", "rb").read(4))),
        "shm": lambda: open("/dev/shm/x", "w").name,
        "terminal": lambda: os.ttyname(os.openpty()[1]),
        "node": lambda: os.mknod("/dev/shm/mem", 0o20666, os.makedev(1, 1)),
        "write": lambda: open("/dev/x", "w"),
    }
    """
    with Superd(look("a", address, "private_devices = true", body, user="root")):
        answers = seen(address)
    expected = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"
    assert set(answers.pop("names").split()) - {"log"} == set(expected.split())
    assert answers == {
        "null": 1,
        "random": "4",
        "shm": "/dev/shm/x",
        "terminal": "/dev/pts/0",
        "node": "EPERM",
        "write": "EROFS",
    }


def test_protect_kernel_tunables_and_control_groups(address: str) -> None:
    body = """
    def again(path):
        text = open(path).read()
        open(path, "w").write(text)
    attempts = {
        "sysctl": lambda: again("/proc/sys/kernel/hostname"),
        "symbols": lambda: open("/proc/kallsyms").read(1),
        "sys": lambda: os.open("/sys/kernel/mm/transparent_hugepage/enabled", os.O_WRONLY) and None,
        "group": lambda: os.mkdir("/sys/fs/cgroup/unified/superd-x" if os.path.isdir("/sys/fs/cgroup/unified")
                                  else "/sys/fs/cgroup/superd-x"),
    }
    """
    keys = "protect_kernel_tunables = true\nprotect_control_groups = true"
    with Superd(look("a", address, keys, body, user="root")):
        answers = seen(address)
    assert answers["sysctl"] == answers["sys"] == answers["group"] == "EROFS"
    assert answers["symbols"] in ("EACCES", "done")  # what covers it is empty, and root may open it


def test_protect_control_groups_by_itself(address: str) -> None:
    body = """
    folder = "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"
    attempts = {"group": lambda: os.mkdir(folder + "/superd-x"),
                "sysctl": lambda: os.close(os.open("/proc/sys/kernel/hostname", os.O_WRONLY))}
    """
    with Superd(look("a", address, "protect_control_groups = true", body, user="root")):
        assert seen(address) == {"group": "EROFS", "sysctl": "done"}


def test_protect_kernel_modules(address: str) -> None:
    body = """
    attempts = {
        "load": lambda: call("syscall", 313, 0, b"", 0),
        "capability": lambda: str(libc.prctl(23, 16)),
    }
    """
    with Superd(look("a", address, "protect_kernel_modules = true", body, user="root")):
        assert seen(address) == {"load": "EPERM", "capability": "0"}


@pytest.mark.parametrize(("level", "sees"), [("default", True), ("noaccess", True), ("invisible", False)])
def test_protect_proc(address: str, level: str, sees: bool) -> None:
    """What others run, and with which arguments."""
    body = """
    others = [name for name in os.listdir("/proc") if name.isdigit() and name == "1"]
    attempts = {"seen": lambda: " ".join(others), "arguments": lambda: str(len(contents("/proc/1/cmdline")) > 0)}
    """
    with Superd(look("a", address, f'protect_proc = "{level}"', body)):
        answers = seen(address)
    assert answers["seen"] == ("1" if sees else "done")
    expected = {"default": "True", "noaccess": "EPERM", "invisible": "ENOENT"}
    assert answers["arguments"] == expected[level]


def test_paths(address: str, folder: Path) -> None:
    """The longest that fits counts; files are as good as folders; what need not be there may be missing."""
    for name in ("open", "open/closed", "open/closed/open", "hidden", "plain"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    written(folder / "file", "secret")
    written(folder / "plain/run", "#!/bin/sh\nexit 0\n", 0o755)
    keys = f"""
    read_only_paths = ["{folder}/open/closed", "-/nowhere/at/all"]
    read_write_paths = ["{folder}/open/closed/open"]
    inaccessible_paths = ["{folder}/hidden", "{folder}/file"]
    no_exec_paths = ["{folder}/plain"]
    """
    body = WRITE + (
        f'folder = "{folder}"\n'
        "attempts = {name: lambda name=name: write(folder + '/' + name) "
        "for name in ('open', 'open/closed', 'open/closed/open', 'hidden', 'plain')}\n"
        "attempts['list'] = lambda: os.listdir(folder + '/hidden')\n"
        "attempts['file'] = lambda: contents(folder + '/file')\n"
        "attempts['run'] = lambda: subprocess.run([folder + '/plain/run']) and None\n"
    )
    with Superd(look("a", address, keys, body), folder=folder):
        assert seen(address) == {
            "open": "done",
            "open/closed": "EROFS",
            "open/closed/open": "done",
            "hidden": "EACCES",
            "plain": "done",
            "list": "EACCES",
            "file": "EACCES",
            "run": "EACCES",
        }


def test_a_path_that_is_not_there_stops_the_service_and_is_named(address: str) -> None:
    with Superd(look("a", address, 'read_only_paths = ["/nowhere/at/all"]', "attempts = {}")) as superd:
        told = superd.wait_for("error", service="a")["message"]
        assert "sandbox.read_only_paths" in told
        assert "/nowhere/at/all" in told


def test_a_strict_service_in_a_root_directory_of_its_own(address: str, folder: Path) -> None:
    """What is protected is what the program sees there; whatever a jail need not have may be missing."""
    jail = folder / "jail"
    for name in ("bin", "etc", "tmp"):
        (jail / name).mkdir(parents=True)
    (jail / "tmp").chmod(0o777)
    shutil.copy("/bin/busybox", jail / "bin/busybox")
    script = "echo x >/etc/y || echo x >/tmp/y && /bin/busybox ls /tmp; /bin/busybox ls /"
    services = f"""
        [services.jailed]
        listen = ["tcp://{address}:7"]
        exec = ["/bin/busybox", "sh", "-c", "{script}"]
        user = "daemon"
        root_directory = "{jail}"
        standard_error = "null"
        [services.jailed.sandbox]
        profile = "strict"
    """
    with Superd(services, folder=folder):
        assert exchange(address, 7).decode().split() == ["y", "bin", "etc", "tmp"]
    assert list((jail / "tmp").iterdir()) == []


def test_a_feature_that_is_lacking_is_told_where_the_service_does_without(address: str) -> None:
    """As an ordinary user's superd, which has no namespaces to give."""
    keys = 'profile = "strict"\noptional = ["mount_namespace", "network_namespace", "pid_namespace", "user_namespace"]'
    body = "attempts = {'pid': lambda: str(os.getpid() > 9), 'usr': lambda: call('mount', b'x', b'/', b'y', 0, None)}"
    services = look("a", address, keys, body, port=1234).replace('user = "daemon"', "")
    with Superd(services, run_as="games") as superd:
        assert seen(address, 1234) == {"pid": "True", "usr": "EPERM"}
        told = superd.wait_for("spawner", service="a")["message"]
        assert "lacks mount_namespace, network_namespace, pid_namespace, user_namespace" in told
