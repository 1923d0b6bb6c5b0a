"""A service's own view of the file system: what its sandbox says, as steps, and their execution.

``steps`` is pure. Steps are done from the shortest path to the longest, so that what is said of a folder is said first,
and what is said of something inside it counts there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from enum import StrEnum

from attrs import frozen

from superd.config.sandbox import ProtectHome, ProtectProc, ProtectSystem, Sandbox
from superd.errors import SuperdError
from superd.kernel import mounts
from superd.kernel.mounts import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_REC, mount, mount_setattr


class Do(StrEnum):
    """What becomes of a path."""

    READ_ONLY = "read-only"
    READ_WRITE = "writable, where it was"
    NO_EXEC = "without execution"
    INACCESSIBLE = "inaccessible"
    EMPTY = "an empty folder that can be written"
    HOLLOW = "an empty folder that cannot"
    DEVICES = "a /dev of its own"
    PROC = "a /proc of its own"


@frozen
class Step:
    """One change of the view.

    Args:
        path: where, absolute.
        key: the key of the sandbox that asks for it.
        optional: it need not exist.
        inside: the path is the one that the program sees, in root_directory; else that of the machine.
        detail: of PROC, the mount option hidepid.
    """

    do: Do
    path: str
    key: str
    optional: bool = True
    inside: bool = True
    detail: str = ""


_USR = ("/usr", "/boot", "/efi", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_OWN_RULES = ("/dev", "/proc", "/sys", "/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  they are given away, not used
_HOMES = ("/home", "/root", "/run/user")
_TUNABLES = (
    "/proc/sys", "/proc/sysrq-trigger", "/proc/latency_stats", "/proc/mtrr", "/proc/apm", "/proc/acpi",
    "/proc/timer_stats", "/proc/fs", "/proc/irq", "/proc/bus", "/sys",
)  # fmt: skip
_SECRETS = ("/proc/kallsyms", "/proc/kcore")
_MODULES = ("/usr/lib/modules", "/lib/modules")
_HIDEPID = {ProtectProc.NOACCESS: "1", ProtectProc.INVISIBLE: "2", ProtectProc.PTRACEABLE: "4"}
_OF_HOME = {
    ProtectHome.YES: Do.INACCESSIBLE,
    ProtectHome.READ_ONLY: Do.READ_ONLY,
    ProtectHome.TMPFS: Do.HOLLOW,
}


def steps(sandbox: Sandbox) -> list[Step]:
    """What a sandbox does to the file system, in the order in which it is done; empty for nothing.

    Args:
        sandbox: the effective one.
    """
    found = list(_of_keys(sandbox))
    return sorted(found, key=lambda step: len([part for part in step.path.split("/") if part]))


def _of_keys(sandbox: Sandbox) -> Iterator[Step]:
    """In an order in which, of two steps for one path, the later one is meant."""
    yield from _of_system(sandbox)
    if sandbox.protect_home in _OF_HOME:
        yield from (Step(_OF_HOME[sandbox.protect_home], path, "protect_home") for path in _HOMES)
    if sandbox.private_pids or sandbox.protect_proc is not ProtectProc.DEFAULT:
        detail = _HIDEPID.get(sandbox.protect_proc or ProtectProc.DEFAULT, "")
        yield Step(
            Do.PROC, "/proc", "private_pids" if sandbox.private_pids else "protect_proc", detail=detail
        )
    if sandbox.private_tmp:
        yield from (Step(Do.EMPTY, path, "private_tmp") for path in _TEMPORARY)
    if sandbox.private_devices:
        yield Step(Do.DEVICES, "/dev", "private_devices")
    if sandbox.protect_kernel_tunables:
        yield from (Step(Do.READ_ONLY, path, "protect_kernel_tunables") for path in _TUNABLES)
        yield from (Step(Do.INACCESSIBLE, path, "protect_kernel_tunables") for path in _SECRETS)
    if sandbox.protect_kernel_modules:
        yield from (Step(Do.INACCESSIBLE, path, "protect_kernel_modules") for path in _MODULES)
    if sandbox.protect_control_groups:
        yield Step(Do.READ_ONLY, "/sys/fs/cgroup", "protect_control_groups")
    for key, do in (
        ("read_only_paths", Do.READ_ONLY),
        ("read_write_paths", Do.READ_WRITE),
        ("no_exec_paths", Do.NO_EXEC),
        ("inaccessible_paths", Do.INACCESSIBLE),
    ):
        yield from (_written(do, key, text) for text in getattr(sandbox, key) or ())


def _of_system(sandbox: Sandbox) -> Iterator[Step]:
    if sandbox.protect_system is ProtectSystem.STRICT:
        yield Step(Do.READ_ONLY, "/", "protect_system")
        yield from (Step(Do.READ_WRITE, path, "protect_system") for path in _OWN_RULES)
    elif sandbox.protect_system is not ProtectSystem.NO:
        paths = (*_USR, "/etc") if sandbox.protect_system is ProtectSystem.FULL else _USR
        yield from (Step(Do.READ_ONLY, path, "protect_system") for path in paths)


def _written(do: Do, key: str, text: str) -> Step:
    bare = text.removeprefix("-")
    path = bare.removeprefix("+")
    return Step(do, os.path.normpath(path), key, bare != text, path != bare)


class View:
    """Carries steps out in a mount namespace of this process's own.

    Args:
        root: the service's root_directory; empty for none.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._before = {one.path: one.is_read_only for one in mounts.mounts()}

    def make(self, wanted: list[Step]) -> None:
        """Do all the steps.

        Raises:
            SuperdError: one cannot be done; names its key and path.
        """
        for step in wanted:
            try:
                if step.do is Do.PROC and self._root:
                    self._do(step, "/proc")  # where this process looks itself up until it changes its root
                path = self._find(step)
                if path is not None:
                    self._do(step, path)
            except OSError as error:
                raise SuperdError(f"sandbox.{step.key}: {step.path}: {error.strerror}") from error

    def _find(self, step: Step) -> str | None:
        """Where the step is to be done, links followed; None where there is nothing and need not be."""
        path = _inside(self._root, step.path) if self._root and step.inside else os.path.realpath(step.path)
        if path and os.path.exists(path):
            return path
        if step.optional:
            return None
        raise SuperdError(f"sandbox.{step.key}: {step.path}: there is no such file or folder")

    def _do(self, step: Step, path: str) -> None:
        match step.do:
            case Do.READ_ONLY:
                _own_mount(path)
                mount_setattr(path, add=mounts.ATTR_RDONLY)
            case Do.READ_WRITE:
                _own_mount(path)
                self._restore(path)
            case Do.NO_EXEC:
                _own_mount(path)
                mount_setattr(path, add=mounts.ATTR_NOEXEC)
            case Do.EMPTY:
                mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=10%")
            case Do.HOLLOW:
                _hollow(path, 0o755)
            case Do.INACCESSIBLE:
                _hide(path)
            case Do.DEVICES:
                _make_devices(path)
            case Do.PROC:
                options = f"hidepid={step.detail}" if step.detail else ""
                mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options)

    def _restore(self, path: str) -> None:
        """Make a path writable again, and all that is mounted below it, where they were before any step."""
        above = max((one for one in self._before if _is_in(path, one)), key=len, default="/")
        if not self._before.get(above, False):
            mount_setattr(path, remove=mounts.ATTR_RDONLY, recursive=False)
        for below, was_read_only in self._before.items():
            if below != path and _is_in(below, path) and not was_read_only and os.path.ismount(below):
                mount_setattr(below, remove=mounts.ATTR_RDONLY, recursive=False)


def _inside(root: str, path: str) -> str:
    """Where a path leads to for who has that root directory, links and all; empty where to nothing."""
    above = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = mounts.open_in_root(above, path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    finally:
        os.close(above)
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _own_mount(path: str) -> None:
    """Make a path a mount of its own, whose attributes are then its own too."""
    if path != "/":
        mount(path, path, flags=MS_BIND | MS_REC)


def _hollow(path: str, mode: int) -> None:
    mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode={mode:o},size=4k")
    mount_setattr(path, add=mounts.ATTR_RDONLY)


_STAGES = ("/sys", "/mnt", "/tmp", "/run")  # noqa: S108  nothing is left there: the mount is taken away again


def _hide(path: str) -> None:
    """Cover a path by something that nobody can open."""
    if stat.S_ISDIR(os.stat(path).st_mode):
        _hollow(path, 0)
        return
    stage = next(one for one in _STAGES if os.path.isdir(one) and not _is_in(path, one))
    mount("tmpfs", stage, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700,size=4k")
    try:
        node = os.path.join(stage, "nothing")
        os.close(os.open(node, os.O_CREAT | os.O_CLOEXEC, 0))
        mount(node, path, flags=MS_BIND)
    finally:
        mounts.umount(stage)
    mount_setattr(path, add=mounts.ATTR_RDONLY)


_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def _make_devices(path: str) -> None:
    """Cover /dev by one that holds what any program may have. The nodes are the machine's, bound: none is made.

    That of a root directory may be empty, or hold links of who owns it, which root would follow out of there.
    """
    mask = os.umask(0)
    stage = next(one for one in _STAGES if os.path.isdir(one) and not _is_in(path, one))
    mount("tmpfs", stage, "tmpfs", MS_NOSUID, "mode=755,size=64k")
    try:
        for name in _NODES:
            if os.path.exists(f"/dev/{name}"):
                _bind_file(f"/dev/{name}", os.path.join(stage, name))
        if os.path.exists("/dev/log"):
            _bind_file(os.path.realpath("/dev/log"), os.path.join(stage, "log"))
        for name, target in _LINKS.items():
            os.symlink(target, os.path.join(stage, name))
        for name, kind, options in (
            ("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"),
            ("shm", "tmpfs", "mode=1777,size=10%"),
        ):
            os.mkdir(os.path.join(stage, name), 0o755)
            mount(kind, os.path.join(stage, name), kind, MS_NOSUID | MS_NOEXEC, options)
        mount(stage, path, flags=MS_BIND | MS_REC)
    finally:
        os.umask(mask)
        mounts.umount(stage)
    mount_setattr(path, add=mounts.ATTR_NOEXEC)
    mount_setattr(path, add=mounts.ATTR_RDONLY, recursive=False)


def _bind_file(source: str, target: str) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_CLOEXEC, 0o644))
    mount(source, target, flags=MS_BIND)
