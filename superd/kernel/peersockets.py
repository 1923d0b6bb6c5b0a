"""A UDP socket for each peer, beside the listener that hears those who have none yet.

The kernel gives a datagram to the socket connected to its sender, if there is one, else to an unconnected socket
of that port. Here there is one such socket to which it may go, the **listener**, though each peer's socket is
bound to the same port and unconnected for a moment: they form a reuseport group (socket(7)) in which a program of
one instruction always chooses the first member, and the listener is that. What each rule below is for:

* The listener allows the group (SO_REUSEPORT) only while a member is being bound. At any other time its port is
  its own, so a second daemon is told that the address is in use.
* A member takes nothing at all before it is connected, and then only what its peer sent; that filter is locked. So
  neither a broadcast in the moment before, nor a child that disconnects its socket, shows it another's datagram.
* A connected member leaves the offer of the group (SO_REUSEPORT off), or a listener opened after a restart would
  join the group of its predecessor's members, not as the first. Such a listener is bound beside them by
  SO_REUSEADDR, which every member keeps, but only where none but connected sockets stand: others are in its way.
* ``deliver`` puts a datagram that the listener has heard into the queue of a peer's socket: a raw socket sends it
  over the loopback interface as if its sender did. The listener drops packets that bear the mark of these, so one
  that misses its socket (a firewall rewrote it) is lost, and never begins anew.

Source: net/core/sock_reuseport.c and net/ipv4/udp.c of Linux 6.18; SO_ATTACH_REUSEPORT_CBPF is of 4.5.
"""

from __future__ import annotations

import array
import errno
import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from superd.config.model import SocketOptions
from superd.kernel import rawudp
from superd.kernel.endpoints import Endpoint, socket_address
from superd.kernel.procnet import lines, parse_address
from superd.kernel.sockopts import apply_options

# include/uapi/asm-generic/socket.h; Python 3.11's socket module lacks them.
_SO_ATTACH_FILTER = 26
_SO_LOCK_FILTER = 44
_SO_ATTACH_REUSEPORT_CBPF = 51

# Classic BPF (include/uapi/linux/{bpf_common,filter}.h): code, jump if true, jump if false, operand.
_Instruction = tuple[int, int, int, int]
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30  # BPF_LD | BPF_ABS with BPF_W, BPF_H, BPF_B
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_NETWORK_HEADER = 0xFFF00000  # SKF_NET_OFF: offsets from the header of IP
_UDP_SOURCE_PORT = 0  # a filter of a UDP socket sees the datagram from the header of UDP on

_FIRST_MEMBER: tuple[_Instruction, ...] = ((_RETURN, 0, 0, 0),)
_DROP: _Instruction = (_RETURN, 0, 0, 0)
_PASS: _Instruction = (_RETURN, 0, 0, 0xFFFFFFFF)

_CONNECTED = "01"  # TCP_ESTABLISHED, the state of a connected socket in /proc/net/udp


def lead_group(listener: socket.socket, endpoint: Endpoint, options: SocketOptions) -> None:
    """Make a bound UDP listener the one that hears every peer without a socket. Harmless when it is already.

    The kernel makes the group when a second member joins, and takes the program only then: so one joins for a
    moment. What was to go to that one is lost, as it is for a listener that opens a moment later.

    Raises:
        OSError: the kernel refused.
    """
    try:
        _attach(listener, _SO_ATTACH_REUSEPORT_CBPF, _FIRST_MEMBER)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        with open_member(listener, endpoint, options):
            _attach(listener, _SO_ATTACH_REUSEPORT_CBPF, _FIRST_MEMBER)
    offset = rawudp.IPV6_MARK_OFFSET if endpoint.is_ipv6 else rawudp.IPV4_MARK_OFFSET
    unless = (_LOAD_BYTE, _NETWORK_HEADER + offset, rawudp.MARK)
    _attach(listener, _SO_ATTACH_FILTER, _when_all_equal((unless,), _DROP, _PASS))


def open_member(listener: socket.socket, endpoint: Endpoint, options: SocketOptions) -> socket.socket:
    """Open another socket at a listener's address, which takes nothing until ``claim`` connects it.

    Args:
        listener: one that leads its group.
        endpoint: what the listener was opened for.
        options: the service's ``[socket]`` table.

    Raises:
        OSError: EMFILE, ENOBUFS and the like; or an option that cannot be set, named in ``strerror``.
    """
    sock = socket.socket(endpoint.family, endpoint.type)
    try:
        if endpoint.v6only is not None:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(endpoint.v6only))
        apply_options(sock, endpoint, options)
        _attach(sock, _SO_ATTACH_FILTER, (_DROP,))
        _set(sock, socket.SO_REUSEADDR, True)
        _set(sock, socket.SO_REUSEPORT, True)
        with _switched_on(listener, socket.SO_REUSEPORT):
            sock.bind(listener.getsockname())
    except BaseException:
        sock.close()
        raise
    return sock


def claim(sock: socket.socket, peer: tuple[str, int] | tuple[str, int, int, int]) -> None:
    """Connect a member to its peer: from now on it gets the peer's datagrams, and nobody else's.

    Raises:
        OSError: there is no way to the peer.
    """
    sock.connect(peer)
    _attach(sock, _SO_ATTACH_FILTER, _only_from(peer[0], peer[1]))
    _set(sock, _SO_LOCK_FILTER, True)
    _set(sock, socket.SO_REUSEPORT, False)


def can_deliver() -> bool:
    """Return whether ``deliver`` may work: raw sockets want CAP_NET_RAW (raw(7))."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).close()
    except PermissionError:
        return False
    return True


def deliver(sock: socket.socket, payload: bytes) -> None:
    """Put a datagram into the queue of a connected UDP socket, as if its peer had sent it.

    The addresses are what the kernel says of the socket. The payload is not looked at.

    Raises:
        OSError: EMSGSIZE, it is longer than the loopback interface takes (its MTU, mostly 65536); ENOTCONN; …
        ValueError: it does not fit a datagram.
    """
    local, remote = sock.getsockname(), sock.getpeername()
    whole = rawudp.packet(_place(remote), _place(local), payload)
    if sock.family == socket.AF_INET6:  # the port must be 0 (ipv6(7)); the scope is the interface's
        target: tuple[str, int] | tuple[str, int, int, int] = (local[0], 0, 0, local[3])
    else:
        target = (local[0], 0)
    with socket.socket(sock.family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(whole, socket.MSG_DONTWAIT, target)


def is_member(sock: socket.socket, listeners: Iterable[socket.socket]) -> bool:
    """Return whether a socket is UDP, connected, and stands where one of the listeners does.

    Raises:
        OSError: it is not connected.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_DGRAM:
        return False
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) != socket.IPPROTO_UDP:
        return False
    sock.getpeername()
    return any(sock.family == listener.family and _stands_at(sock, listener) for listener in listeners)


def _stands_at(sock: socket.socket, listener: socket.socket) -> bool:
    address, port = _place(sock.getsockname())
    its_address, its_port = _place(listener.getsockname())
    return port == its_port and (address == its_address or not any(its_address))


def bind_beside_connected(sock: socket.socket, endpoint: Endpoint) -> None:
    """Bind a UDP listener; connected sockets at its address, children's of an earlier listener, are not in its way.

    Raises:
        OSError: as bind(2).
    """
    address = socket_address(endpoint)
    try:
        sock.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _only_connected_stand_at(endpoint):
            raise
        with _switched_on(sock, socket.SO_REUSEADDR):
            sock.bind(address)


def _only_connected_stand_at(endpoint: Endpoint) -> bool:
    wanted, port = ipaddress.ip_address(endpoint.address[0]), endpoint.address[1]
    states = set()
    for line in lines(f"/proc/self/net/udp{'6' if endpoint.is_ipv6 else ''}"):
        _, local, _, state = line.split()[:4]
        host, _, local_port = local.partition(":")
        held = parse_address(host)
        if int(local_port, 16) == port and (held == wanted or held.is_unspecified or wanted.is_unspecified):
            states.add(state)
    return states == {_CONNECTED}


# --- filters ---


def _only_from(host: str, port: int) -> tuple[_Instruction, ...]:
    """The filter that passes what comes from one address and port."""
    packed = _packed(host)
    first = 8 if len(packed) == 16 else 12  # where the source stands in the header of IP
    words = struct.unpack(f"!{len(packed) // 4}I", packed)
    tests = [(_LOAD_WORD, _NETWORK_HEADER + first + 4 * number, word) for number, word in enumerate(words)]
    return _when_all_equal([*tests, (_LOAD_HALF, _UDP_SOURCE_PORT, port)], _PASS, _DROP)


def _when_all_equal(
    tests: Iterable[tuple[int, int, int]], then: _Instruction, otherwise: _Instruction
) -> tuple[_Instruction, ...]:
    """A filter: each test loads (how, from where) and compares (with what)."""
    tests = tuple(tests)
    program: list[_Instruction] = []
    for left, (load, offset, value) in zip(range(len(tests) - 1, -1, -1), tests, strict=True):
        to_otherwise = 2 * left + 1
        program += [(load, 0, 0, offset), (_JUMP_EQUAL, 0, to_otherwise, value)]
    return (*program, then, otherwise)


def _attach(sock: socket.socket, option: int, program: tuple[_Instruction, ...]) -> None:
    """Attach a classic BPF program: struct sock_fprog of include/uapi/linux/filter.h."""
    code = array.array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("HP", len(program), code.buffer_info()[0]))


# --- small things ---


def _set(sock: socket.socket, option: int, value: bool) -> None:
    sock.setsockopt(socket.SOL_SOCKET, option, int(value))


@contextmanager
def _switched_on(sock: socket.socket, option: int) -> Iterator[None]:
    _set(sock, option, True)
    try:
        yield
    finally:
        _set(sock, option, False)


def _place(address: tuple[str, int] | tuple[str, int, int, int]) -> rawudp.Place:
    return _packed(address[0]), address[1]


def _packed(host: str) -> bytes:
    host = host.partition("%")[0]
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
