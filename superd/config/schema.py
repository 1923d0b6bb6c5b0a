"""THE table of keys: one row feeds the parser, the checks, the advice for misspelt keys and the man page.

A key that is not here does not exist. The model's field carries the unit in its name; ``default`` is written as
TOML, and a test holds it equal to the model's.
"""

from __future__ import annotations

from collections.abc import Mapping

from superd.config import kinds, limits, policy_kinds
from superd.config.keys import (
    CHILDREN,
    EXEC,
    GREETED,
    IDENT,
    IDLE,
    INET,
    NOWAIT,
    PASSED,
    STREAM,
    TCP,
    UDP,
    UNIX,
    Key,
    Nested,
)
from superd.config.model import Builtin, Mode, SocketOptions, StandardError
from superd.config.sandbox import Sandbox
from superd.config.schema_grants import GRANT, GRANTS
from superd.config.schema_policy import ACCESS, LIMITS, PROXY_PROTOCOL
from superd.config.schema_sandbox import SANDBOX
from superd.policy.rules import Access, Limits, ProxyProtocol

_GIB = 1 << 30
_FACILITIES = ["user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"]
_LOCALS = [f"local{number}" for number in range(8)]

_SUPERD = (
    Key("superd", "user", "user", kinds.ACCOUNT, '"superd"',
        "The user that the acceptor, the only part that talks to the network, runs as. No service may use it. "
        "Where there is no such user, superd takes an unused number of 61184 to 65519."),
    Key("superd", "control", "control", kinds.SOCKET_PATH, '"/run/superd/control.sock"',
        "The socket on which superctl(8) talks to superd."),
    Key("superd", "control_group", "control_group", kinds.ACCOUNT, "",
        "The group that may look (status) beside root. Nobody unless given."),
    Key("superd", "control_admin_group", "control_admin_group", kinds.ACCOUNT, "",
        "The group that may change things (reload, stop) beside root. Nobody unless given."),
    Key("superd", "bind_socket", "bind_socket", kinds.SOCKET_PATH, '"/run/superd/bind.sock"',
        "The socket on which superd-bind(1) asks for the ports of [[grants]]. Everybody may connect to it, since the "
        "grants decide. It exists only where there are grants."),
    Key("superd", "log", "log", kinds.LOG, "",
        "Where the log goes. Unless given, to the journal where its socket exists, else to standard error."),
    Key("superd", "log_format", "log_format", kinds.choice(("text", "json")), '"text"',
        "How a line of the log looks: words and name=value, or one JSON object."),
    Key("superd", "syslog_facility", "syslog_facility", kinds.choice((*_FACILITIES, *_LOCALS)), '"daemon"',
        "The facility of what is logged to syslog."),
    Key("superd", "max_connections", "max_connections", policy_kinds.COUNT, "4096",
        "How many connections all services together may have at once."),
    Key("superd", "include", "", kinds.GLOBS, "",
        "More files with services, relative to this one, in sorted order. A glob that fits nothing is fine; "
        "a file named in full must exist. An included file includes no others."),
)  # fmt: skip

_SERVICE = (
    Key("service", "listen", "listen", kinds.LISTEN, "",
        "Where the service listens; see LISTENERS. Required."),
    Key("service", "mode", "mode", kinds.choice(Mode), '"nowait"',
        "\"nowait\" starts a child for each connection, and with UDP for each peer. \"wait\" gives the listening "
        "socket to one child and listens again when it ends. \"always\" does as \"wait\" does, but starts the child "
        "at once and keeps it running.", (EXEC,)),
    Key("service", "exec", "exec", kinds.ARGV, "",
        "The program and its arguments, without a shell. The first is the program's absolute path unless "
        "exec_path gives it. Required, unless handler, builtin or forward says what serves."),
    Key("service", "exec_path", "exec_path", kinds.PATH, "",
        "The file to execute, when the program is to be called by another name than its file's.", (EXEC,)),
    Key("service", "handler", "handler", kinds.HANDLER, "",
        "A Python function or class that serves each connection in a process of its own, which is forked and not "
        "executed: \"package.module:function\" or \"/path/file.py:function\". See superd-handler(7)."),
    Key("service", "builtin", "builtin", kinds.choice(Builtin), "",
        "What superd serves by itself, without a process; see BUILTINS."),
    Key("service", "forward", "forward", kinds.TARGET, "",
        "Where each connection is carried to by superd itself: \"tcp://HOST:PORT\", \"unix:///PATH\", or for udp "
        "listeners \"udp://HOST:PORT\"; see FORWARDS. With exec beside it, that program is the backend, started when "
        "it is needed."),
    Key("service", "ident_user", "ident_user", kinds.ACCOUNT, "",
        "What is answered to every question. Unless given, the owner of the connection that is asked about.", (IDENT,)),
    Key("service", "banner", "banner", kinds.PATH, "",
        "A file of up to 8 KiB whose text is sent to every client that is admitted, before the service begins. With "
        "builtin = \"qotd\" it is the file of quotes.", (NOWAIT, GREETED)),
    Key("service", "user", "user", kinds.USER, "",
        "Whom the program runs as. Required when superd runs as root; else whoever runs superd.", (CHILDREN,)),
    Key("service", "group", "group", kinds.ACCOUNT, "",
        "The group the program runs as. Unless given here or after the user's colon, the user's primary one.",
        (CHILDREN,)),
    Key("service", "supplementary_groups", "supplementary_groups", kinds.ACCOUNTS, "[]",
        "Groups added to those the user is a member of.", (CHILDREN,)),
    Key("service", "init_groups", "init_groups", kinds.BOOLEAN, "true",
        "Whether the program is in the groups that its user is a member of.", (CHILDREN,)),
    Key("service", "working_directory", "working_directory", kinds.PATH, '"/"',
        "The folder the program starts in, as seen inside root_directory.", (CHILDREN,)),
    Key("service", "root_directory", "root_directory", kinds.PATH, "",
        "The folder that becomes the program's /. It must hold all that the program needs.", (CHILDREN,)),
    Key("service", "umask", "umask", kinds.octal("022"), '"022"',
        "The permission bits that files made by the program do not get.", (CHILDREN,)),
    Key("service", "nice", "nice", kinds.integer(-20, 19), "0",
        "The program's scheduling priority; 19 yields to everybody.", (CHILDREN,)),
    Key("service", "spawners", "spawners", kinds.SPAWNERS, '"auto"',
        "How many spawners may start the service's programs at a time. The first comes with the first connection, and "
        "one more whenever those there are leave connections waiting again and again. \"auto\" allows as many as "
        "there are processors, but at least 2 and at most 8.", (CHILDREN, NOWAIT)),
    Key("service", "environment", "environment", kinds.ENVIRONMENT, "{}",
        "Variables for the program. They are added to those of [defaults], name by name, and never shown in a "
        "message. Variables that superd sets itself are a fault.", (CHILDREN,)),
    Key("service", "pass_environment", "pass_environment", kinds.VARIABLES, "[]",
        "Variables of superd's own environment that the program gets too, where they are set.", (CHILDREN,)),
    Key("service", "environment_file", "environment_file", kinds.PATH, "",
        "A file of NAME=value lines with more variables, read as root, for secrets that the configuration "
        "should not hold. Owned and protected as the configuration is.", (CHILDREN,)),
    Key("service", "standard_error", "standard_error", kinds.choice(StandardError), '"log"',
        "Where the program's standard error goes: to superd's log line by line, to the socket as inetd has it, "
        "or nowhere.", (CHILDREN,)),
    Key("service", "runtime_max", "runtime_max_s", kinds.duration(low_s=0.001), '"infinity"',
        "How long a child may run before it is ended. What it leaves behind in a session of its own (a daemon) is "
        "ended then at the latest, sooner where a connection older than its own may have been the one it came from."),
    Key("service", "idle_timeout", "idle_timeout_s", kinds.duration(low_s=0.001), '"infinity"',
        "How long an instance may go without anything arriving and without an open connection before it is ended; "
        "the next to knock starts another. A connection of a builtin is ended when it has been idle that long, "
        "and unless given that is 10min. So is one of a forward, and with UDP a client's session, for which it is 60s "
        "unless given; a backend that superd has started is ended when it has had no connection for that long.",
        (IDLE,)),
    Key("service", "timeout_stop", "timeout_stop_s", kinds.duration(), '"10s"',
        "How long a child that is ended has from kill_signal to SIGKILL.", (CHILDREN,)),
    Key("service", "kill_signal", "kill_signal", kinds.SIGNAL, '"SIGTERM"',
        "The signal that asks a child to end.", (CHILDREN,)),
    Key("service", "file_descriptor_name", "file_descriptor_name", kinds.FD_NAME, "",
        "The name of the listening sockets in LISTEN_FDNAMES. Unless given, the service's name.", (PASSED,)),
    Key("service", "enabled", "enabled", kinds.BOOLEAN, "true",
        "Whether the service listens. One that does not is checked all the same."),
)  # fmt: skip

_RESOURCE_ROWS = (
    ("cpu", limits.CPU_LIMIT, "Processor time, rounded up to whole seconds."),
    ("fsize", limits.BYTES_LIMIT, "Size of a file it writes."),
    ("data", limits.BYTES_LIMIT, "Size of its data segment."),
    ("stack", limits.BYTES_LIMIT, "Size of its stack."),
    ("core", limits.BYTES_LIMIT, "Size of a core file."),
    ("rss", limits.BYTES_LIMIT, "Resident memory; Linux ignores it."),
    ("nofile", limits.COUNT_LIMIT, "Open file descriptors."),
    ("as", limits.BYTES_LIMIT, "Size of its address space."),
    ("nproc", limits.COUNT_LIMIT, "Processes of its user, all services and logins of that user together."),
    ("memlock", limits.BYTES_LIMIT, "Memory locked into RAM."),
    ("locks", limits.COUNT_LIMIT, "File locks; Linux ignores it."),
    ("sigpending", limits.COUNT_LIMIT, "Queued signals."),
    ("msgqueue", limits.BYTES_LIMIT, "Size of POSIX message queues."),
    ("nice", limits.NICE_LIMIT, "Ceiling of its priority: 20 less the lowest nice value."),
    ("rtprio", limits.COUNT_LIMIT, "Ceiling of its real-time priority."),
    ("rttime", limits.RTTIME_LIMIT, "Real-time processor time without a blocking call."),
)
LIMIT_PREFIX = "limit_"
_RESOURCES = tuple(
    Key("service", LIMIT_PREFIX + name, "resource_limits", kind, "", meaning, (CHILDREN,))
    for name, kind, meaning in _RESOURCE_ROWS
)

_SOCKET = (
    Key("socket", "backlog", "backlog", kinds.integer(1, (1 << 31) - 1), "4096",
        "How many connections may wait in the kernel, which caps it at net.core.somaxconn.", (STREAM,)),
    Key("socket", "keep_alive", "keep_alive", kinds.BOOLEAN, "",
        "Whether the kernel probes silent connections (SO_KEEPALIVE).", (TCP,)),
    Key("socket", "no_delay", "no_delay", kinds.BOOLEAN, "",
        "Whether small packets are sent at once (TCP_NODELAY).", (TCP,)),
    Key("socket", "defer_accept", "defer_accept_s", kinds.whole_seconds(3_600), "",
        "How long the kernel keeps back a connection whose client has sent nothing (TCP_DEFER_ACCEPT); "
        "only for protocols in which the client speaks first.", (TCP,)),
    Key("socket", "receive_buffer", "receive_buffer_bytes", kinds.size(1, _GIB), "",
        "Size of the receive buffer (SO_RCVBUF)."),
    Key("socket", "send_buffer", "send_buffer_bytes", kinds.size(1, _GIB), "",
        "Size of the send buffer (SO_SNDBUF)."),
    Key("socket", "ip_tos", "ip_tos", kinds.integer(0, 255), "",
        "The type of service of outgoing packets (IP_TOS, IPV6_TCLASS).", (INET,)),
    Key("socket", "ip_ttl", "ip_ttl", kinds.integer(1, 255), "",
        "How many hops outgoing packets live (IP_TTL, IPV6_UNICAST_HOPS).", (INET,)),
    Key("socket", "mark", "mark", kinds.integer(0, (1 << 32) - 1), "",
        "The firewall mark of packets (SO_MARK).", (INET,)),
    Key("socket", "reuse_port", "reuse_port", kinds.BOOLEAN, "false",
        "Whether other sockets may listen on the same port (SO_REUSEPORT). UDP ports with mode = \"nowait\" are "
        "never shared.", (INET,)),
    Key("socket", "free_bind", "free_bind", kinds.BOOLEAN, "false",
        "Whether the address need not exist on this machine yet (IP_FREEBIND).", (INET,)),
    Key("socket", "dual_stack", "dual_stack", kinds.BOOLEAN, "",
        "Whether a TCP listener on * is one socket for both families, whose IPv4 clients programs see as "
        "::ffff:192.0.2.1 (tcp46 of inetd). Unless given, it is one with mode = \"wait\" and \"always\" and one of "
        "each family with \"nowait\".", (TCP,)),
    Key("socket", "bind_to_device", "bind_to_device", kinds.INTERFACE, "",
        "The only interface whose packets reach the listeners (SO_BINDTODEVICE).", (INET,)),
    Key("socket", "tcp_congestion", "tcp_congestion", kinds.ALGORITHM, "",
        "The congestion control algorithm (TCP_CONGESTION).", (TCP,)),
    Key("socket", "broadcast", "broadcast", kinds.BOOLEAN, "",
        "Whether the sockets may send to broadcast addresses (SO_BROADCAST).", (UDP,)),
    Key("socket", "socket_user", "socket_user", kinds.ACCOUNT, "",
        "The owner of the socket's file. Unless given, whoever runs superd.", (UNIX,)),
    Key("socket", "socket_group", "socket_group", kinds.ACCOUNT, "",
        "The group of the socket's file. Unless given, the owner's.", (UNIX,)),
    Key("socket", "socket_mode", "socket_mode", kinds.octal("0666"), '"0666"',
        "The permission bits of the socket's file; who may write may connect.", (UNIX,)),
    Key("socket", "directory_mode", "directory_mode", kinds.octal("0755"), '"0755"',
        "The permission bits of folders that superd makes for the socket's file.", (UNIX,)),
    Key("socket", "pass_credentials", "pass_credentials", kinds.BOOLEAN, "",
        "Whether the program may see who is at the other end (SO_PASSCRED).", (UNIX,)),
)  # fmt: skip

KEYS: tuple[Key, ...] = (
    *_SUPERD,
    *_SERVICE,
    *_RESOURCES,
    *LIMITS,
    *ACCESS,
    *PROXY_PROTOCOL,
    *_SOCKET,
    *SANDBOX,
    *GRANTS,
)
"""Every key, in the order of the man page."""

NESTED = (
    Nested(
        "limits", Limits(), "LIMITS OF A SERVICE", "How many it serves, how fast, and of whom.", tunable=True
    ),
    Nested("access", Access(), "ACCESS TO A SERVICE", "Who may use it, and when.", tunable=True),
    Nested(
        "proxy_protocol", ProxyProtocol(), "THE PROXY PROTOCOL", "The proxies in front of it.", tunable=True
    ),
    Nested("socket", SocketOptions(), "SOCKET OPTIONS", "Options of its listening sockets."),
    Nested("sandbox", Sandbox(), "THE SANDBOX OF A SERVICE", "What its programs may do."),
)
"""Every table inside a service, in the same order."""

SERVICE = "service"
"""The name here of the table that the others stand inside."""

OF_SERVICE = (SERVICE, *(nested.name for nested in NESTED))
"""The tables that a service is made of."""

TABLES: Mapping[str, Mapping[str, Key]] = {
    table: {key.name: key for key in KEYS if key.table == table} for table in ("superd", *OF_SERVICE, GRANT)
}
"""The keys by table and name."""

LATER = frozenset({"metrics"})
"""Keys of ``[superd]`` that have a meaning, but none in this version."""
