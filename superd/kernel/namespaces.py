"""Namespaces: unshare(2), setns(2), and what a new one needs before it is of use."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Sequence

from superd.kernel.libc import checked

# include/uapi/linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_NS_GET_TGID_IN_PIDNS = 0x8004B709  # include/uapi/linux/nsfs.h, kernel 6.11: _IOR(0xb7, 0x9, int)
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1  # include/uapi/linux/sockios.h, if.h
_IFREQ = struct.Struct("16sH22x")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.unshare.argtypes = (ctypes.c_int,)
_libc.unshare.restype = ctypes.c_int
_libc.setns.argtypes = (ctypes.c_int, ctypes.c_int)
_libc.setns.restype = ctypes.c_int


def unshare(flags: int) -> None:
    """Leave namespaces for new ones (needs CAP_SYS_ADMIN, CLONE_NEWUSER nothing but a process that is not chrooted).

    Raises OSError: EPERM of the kernel or a container's filter, ENOSPC at user.max_*_namespaces, EINVAL where the
    kernel was built without that kind.
    """
    checked("unshare", int(_libc.unshare(flags)))


def setns(descriptor: int, kind: int) -> None:
    """Enter a namespace; with CLONE_NEWPID it is the later children that do (kernel 3.8)."""
    checked("setns", int(_libc.setns(descriptor, kind)))


@contextlib.contextmanager
def children_in_new_pids() -> Iterator[int]:
    """Have the first child that is forked inside become the init of a new pid namespace; not left in that child.

    It keeps a pid here as well, which is the one that fork returns: so it is reaped and killed as any other. There
    it is pid 1: no signal of its own descendants reaches it but those it asks for, SIGKILL and SIGSTOP never, and
    when it ends the kernel kills them all (pid_namespaces(7)). Its getppid() is 0.

    Yields:
        A descriptor of the present pid namespace.
    """
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWPID)
        try:
            yield own
        finally:
            setns(own, CLONE_NEWPID)
    finally:
        os.close(own)


def raise_loopback() -> None:
    """Bring ``lo`` of a new network namespace up (netdevice(7); needs CAP_NET_ADMIN there)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, _IFREQ.pack(b"lo", 0))
        flags = _IFREQ.unpack(answer)[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _IFREQ.pack(b"lo", flags | _IFF_UP))


def enter_user_namespace(uids: Sequence[int], gids: Sequence[int]) -> None:
    """Enter a new user namespace in which these ids are themselves, and nobody else exists.

    The maps of more than one id can only be written from outside, with CAP_SETUID, CAP_SETGID and, for root,
    CAP_SETFCAP (user_namespaces(7)); so a child that stays behind does it. Afterwards every capability is held, but
    only over what belongs to the new namespace.
    """
    ours, theirs = socket.socketpair()
    target = os.getpid()
    helper = os.fork()
    if helper == 0:
        ours.close()
        _map_when_told(theirs, target, uids, gids)
    theirs.close()
    with ours:
        unshare(CLONE_NEWUSER)
        ours.send(b"x")
        failure = ours.recv(4)
    os.waitpid(helper, 0)
    if failure:
        code = int.from_bytes(failure, "little")
        raise OSError(code, f"uid_map: {os.strerror(code)}")


def _map_when_told(link: socket.socket, target: int, uids: Sequence[int], gids: Sequence[int]) -> None:
    """The helper's side: write the maps, answer with an errno or by hanging up."""
    if link.recv(1):
        try:
            for name, ids in (("uid_map", uids), ("gid_map", gids)):
                descriptor = os.open(f"/proc/{target}/{name}", os.O_WRONLY | os.O_CLOEXEC)
                os.write(descriptor, "".join(f"{one} {one} 1\n" for one in sorted(set(ids))).encode())
        except OSError as error:
            link.send((error.errno or 1).to_bytes(4, "little"))
    os._exit(0)


class OuterPids:
    """The pids that processes of a pid namespace have outside of it, for the log and for who looks from there.

    Made while /proc is still the outer one; asked about this process's children. One ioctl where the kernel has
    it, since that is asked for every connection; else what /proc says of a pidfd (kernel 5.4).
    """

    def __init__(self, namespace: int) -> None:
        self._namespace = namespace
        self._fdinfo = os.open("/proc/self/fdinfo", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(namespace, _NS_GET_TGID_IN_PIDNS, 1)
            self.of = self._asked
        except OSError:
            self.of = self._read

    def _asked(self, pid: int) -> int:
        return fcntl.ioctl(self._namespace, _NS_GET_TGID_IN_PIDNS, pid)

    def _read(self, pid: int) -> int:
        pidfd = os.pidfd_open(pid)
        try:
            entry = os.open(str(pidfd), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fdinfo)
            try:
                lines = os.read(entry, 4096).splitlines()
            finally:
                os.close(entry)
        finally:
            os.close(pidfd)
        return next(int(line.split()[1]) for line in lines if line.startswith(b"Pid:"))
