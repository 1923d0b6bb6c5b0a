"""The configuration as the programs see it: frozen values, every unit in the name, nothing unparsed.

``schema.py`` says which key of the file fills which field; ``load.py`` builds these objects. No object here
knows about files, sockets or users that exist: that is found out later, service by service.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import Factory, field, frozen

from superd.config.sandbox import Sandbox
from superd.errors import Fault
from superd.policy.grants import ANY, Ports
from superd.policy.rules import Access, Limits, ProxyProtocol

BUILTIN_IDLE_S = 600.0
"""``idle_timeout`` of what superd serves by itself, unless it is written."""

SESSION_IDLE_S = 60.0
"""``idle_timeout`` of the sessions of a UDP forward, unless it is written."""

INFINITY = -1
"""What ``"infinity"`` becomes where a number is expected (resource limits, durations that may be lifted)."""

_LIMITS, _ACCESS, _PROXY_PROTOCOL, _SANDBOX = Limits(), Access(), ProxyProtocol(), Sandbox()


class Mode(StrEnum):
    """How connections reach the program (``mode``)."""

    NOWAIT = "nowait"  # a child a connection
    WAIT = "wait"  # one child owns the socket while it runs
    ALWAYS = "always"  # as wait, but started at once and kept running


class Builtin(StrEnum):
    """A service that superd has in itself (``builtin``)."""

    ECHO = "echo"  # RFC 862
    DISCARD = "discard"  # RFC 863
    CHARGEN = "chargen"  # RFC 864
    DAYTIME = "daytime"  # RFC 867
    TIME = "time"  # RFC 868
    QOTD = "qotd"  # RFC 865
    IDENT = "ident"  # RFC 1413
    TCPMUX = "tcpmux"  # RFC 1078


class Scheme(StrEnum):
    """The part of a ``listen`` value before ``://``."""

    TCP = "tcp"
    TCP4 = "tcp4"
    TCP6 = "tcp6"
    UDP = "udp"
    UDP4 = "udp4"
    UDP6 = "udp6"
    UNIX = "unix"
    UNIX_DGRAM = "unix-dgram"
    UNIX_SEQPACKET = "unix-seqpacket"
    TCPMUX = "tcpmux"  # no socket of its own: what the service with builtin = "tcpmux" hands over

    @property
    def is_unix(self) -> bool:
        return self.startswith("unix")

    @property
    def is_datagram(self) -> bool:
        return self.startswith("udp") or self is Scheme.UNIX_DGRAM


class StandardError(StrEnum):
    """Where a child's file descriptor 2 leads (``standard_error``)."""

    LOG = "log"
    SOCKET = "socket"
    NULL = "null"


@frozen
class Listen:
    """One value of ``listen``, parsed.

    Args:
        text: as written in the file; the name of this listener in log, status and reload.
        scheme: transport and family.
        host: ``*``, a numeric IPv4 or IPv6 address without brackets, or ``localhost``; empty for unix.
        port: 1..65535 (0 only when service names were not looked up); 0 for unix.
        scope: interface of a link-local address (``eth1`` of ``[fe80::1%eth1]``), else empty.
        path: absolute path of a unix socket, or ``@name`` for the abstract namespace; the name that clients of
            tcpmux ask for, in lower case; else empty.
        greets: superd says to a client of tcpmux that it is through, not the program.
    """

    text: str
    scheme: Scheme
    host: str = ""
    port: int = 0
    scope: str = ""
    path: str = ""
    greets: bool = False


@frozen
class Target:
    """Where a service forwards to, parsed.

    Args:
        transport: ``tcp``, ``udp`` or ``unix``.
        host: a numeric address without brackets, ``localhost``, or a name to be looked up; empty for unix.
        port: 1..65535 (0 only when service names were not looked up); 0 for unix.
        scope: interface of a link-local address, else empty.
        path: absolute path of a unix socket, or ``@name`` for the abstract namespace; else empty.
    """

    transport: str
    host: str = ""
    port: int = 0
    scope: str = ""
    path: str = ""
    is_name: bool = False

    @property
    def text(self) -> str:
        """As one would write it, the port as a number."""
        if self.path:
            return f"unix://{self.path}"
        scoped = f"{self.host}%{self.scope}" if self.scope else self.host
        return f"{self.transport}://{f'[{scoped}]' if ':' in scoped else scoped}:{self.port}"


@frozen
class Handler:
    """A Python function or class that serves connections (``handler``).

    Args:
        source: a module's dotted name, or the absolute path of a file that ends in ``.py``.
        function: its name there; dots lead into classes.
    """

    source: str
    function: str

    @property
    def text(self) -> str:
        """As one writes it."""
        return f"{self.source}:{self.function}"

    @property
    def is_file(self) -> bool:
        return self.source.startswith("/")


@frozen
class SocketOptions:
    """``[services.X.socket]``. None leaves what the kernel does by itself. Names follow systemd.socket(5)."""

    backlog: int = 4096  # listen(2); the kernel caps it at net.core.somaxconn
    keep_alive: bool | None = None  # SO_KEEPALIVE
    no_delay: bool | None = None  # TCP_NODELAY
    defer_accept_s: int | None = None  # TCP_DEFER_ACCEPT, whole seconds
    receive_buffer_bytes: int | None = None  # SO_RCVBUF (forced past rmem_max when privileged)
    send_buffer_bytes: int | None = None  # SO_SNDBUF (forced past wmem_max when privileged)
    ip_tos: int | None = None  # IP_TOS and IPV6_TCLASS, 0..255
    ip_ttl: int | None = None  # IP_TTL and IPV6_UNICAST_HOPS, 1..255
    mark: int | None = None  # SO_MARK
    reuse_port: bool = False  # SO_REUSEPORT
    free_bind: bool = False  # IP_FREEBIND
    bind_to_device: str | None = None  # SO_BINDTODEVICE
    dual_stack: bool | None = None  # of TCP on *: one socket for both families; None: as the mode has it
    tcp_congestion: str | None = None  # TCP_CONGESTION
    broadcast: bool | None = None  # SO_BROADCAST
    socket_user: str | None = None  # owner of a unix socket's file
    socket_group: str | None = None  # group of a unix socket's file
    socket_mode: int = 0o666  # permission bits of a unix socket's file
    directory_mode: int = 0o755  # permission bits of the folders made for it
    pass_credentials: bool | None = None  # SO_PASSCRED


@frozen
class ResourceLimit:
    """One ``limit_*`` key: soft and hard value in the unit of setrlimit(2), INFINITY to lift it."""

    soft: int
    hard: int


@frozen
class Service:
    """One ``[services.NAME]`` table, defaults merged in.

    ``user`` and ``group`` are names or numbers as written; an empty user means whoever runs superd, an empty
    group the user's primary one. ``source_file`` is the file it came from and takes no part in comparison, so
    that a service moved to another file counts as unchanged.
    """

    name: str
    listen: tuple[Listen, ...]
    exec: tuple[str, ...] = ()  # empty: another key says what serves
    mode: Mode = Mode.NOWAIT
    exec_path: str = ""  # the file to execute; empty: exec[0]
    handler: Handler | None = None
    builtin: Builtin | None = None
    forward: Target | None = None
    ident_user: str = ""  # what ident answers to all; empty: the truth
    banner: str = ""  # a file for every client, before anything else
    user: str = ""
    group: str = ""
    supplementary_groups: tuple[str, ...] = ()
    init_groups: bool = True
    working_directory: str = "/"
    root_directory: str = ""
    umask: int = 0o022
    nice: int = 0
    spawners: int = 0  # at a time, at the most; 0: as many as the processors suggest
    environment: Mapping[str, str] = Factory(dict)
    pass_environment: tuple[str, ...] = ()
    environment_file: str = ""
    standard_error: StandardError = StandardError.LOG
    runtime_max_s: float = INFINITY
    idle_timeout_s: float = INFINITY
    timeout_stop_s: float = 10.0
    kill_signal: int = 15  # SIGTERM
    resource_limits: Mapping[str, ResourceLimit] = Factory(
        dict
    )  # "nofile" -> ResourceLimit, the names of limit_*
    file_descriptor_name: str = ""  # empty: the service's name
    enabled: bool = True
    limits: Limits = _LIMITS
    access: Access = _ACCESS
    proxy_protocol: ProxyProtocol = _PROXY_PROTOCOL
    socket: SocketOptions = SocketOptions()
    sandbox: Sandbox = _SANDBOX
    source_file: str = field(default="", eq=False)

    @property
    def program(self) -> str:
        """The file that is executed."""
        return self.exec_path or self.exec[0]

    @property
    def has_children(self) -> bool:
        """Whether processes are started for it, so that it needs a user and a spawner."""
        return bool(self.exec) or self.handler is not None

    @property
    def is_served_here(self) -> bool:
        """Whether superd itself serves the connections, so that no program ever has them."""
        return self.builtin is not None or self.forward is not None

    @property
    def has_instance(self) -> bool:
        """Whether its program is started once, and not for each connection."""
        return bool(self.exec) and (self.mode is not Mode.NOWAIT or self.forward is not None)


@frozen
class GrantTable:
    """One ``[[grants]]`` table. ``users``, ``groups`` and ``programs`` are as written; ``*`` is everybody.

    Args:
        file, key: where it stands: ``/etc/superd.toml``, and ``grants[1]`` for the first one there.
    """

    file: str
    key: str
    ports: tuple[Ports, ...]
    addresses: tuple[str, ...] = (ANY,)
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    reuse_port: bool = False

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"{self.file}: {self.key}"


@frozen
class SuperdSettings:
    """The ``[superd]`` table."""

    user: str = "superd"
    control: str = "/run/superd/control.sock"
    bind_socket: str = "/run/superd/bind.sock"
    control_group: str = ""
    control_admin_group: str = ""
    log: str = (
        ""  # "journal", "stderr", "syslog", a path; empty: journal where its socket exists, else stderr
    )
    log_format: str = "text"  # "text" or "json"
    syslog_facility: str = "daemon"
    max_connections: int = 4096  # of all services together; UNLIMITED for no limit


@frozen
class Config:
    """A whole configuration, valid in itself.

    Args:
        settings: the ``[superd]`` table.
        services: by name, in the order of the files; disabled ones (``enabled = false``) included.
        grants: every ``[[grants]]``, in the same order.
        warnings: things that are allowed but probably not meant (no services; two services share a uid; the user of
            ``[superd]`` does not exist).
        files: every file that was read, the main one first.
    """

    settings: SuperdSettings
    services: Mapping[str, Service]
    grants: tuple[GrantTable, ...] = ()
    warnings: tuple[Fault, ...] = ()
    files: tuple[str, ...] = ()
