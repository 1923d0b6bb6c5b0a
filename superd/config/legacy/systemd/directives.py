"""The table of directives: what each becomes, and what has no counterpart.

Source: systemd.socket(5), systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.resource-control(5), of
systemd 252.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from superd.config.legacy.systemd.units import boolean
from superd.config.legacy.systemd.words import WordError, split_words

Parse = Callable[[str], object]


def _text(value: str) -> object:
    return value


def _number(value: str) -> object:
    if not re.fullmatch(r"[0-9]{1,18}", value):
        raise WordError("not a number")
    return int(value)


def _signed(value: str) -> object:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", value):
        raise WordError("not a number")
    return int(value)


def _boolean(value: str) -> object:
    return boolean(value)


def _words(value: str) -> object:
    return split_words(value)


def duration(value: str) -> object:
    """A bare number is seconds."""
    return f"{value}s" if re.fullmatch(r"[0-9.]+", value) else value


def _microseconds(value: str) -> object:
    return f"{value}us" if re.fullmatch(r"[0-9]+", value) else value


def _size(value: str) -> object:
    """A bare number is bytes."""
    return f"{value}B" if re.fullmatch(r"[0-9]+", value) else value


def _both(parse: Callable[[str], object]) -> Parse:
    """A resource limit, or soft:hard."""
    return lambda value: ":".join(str(parse(part)) for part in value.split(":"))


def _count(value: str) -> object:
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else value


def _tos(value: str) -> object:
    words = {"low-delay": 16, "throughput": 8, "reliability": 4, "low-cost": 2}
    return words[value] if value in words else _number(value)


def _error(value: str) -> object:
    if value in ("journal", "syslog", "kmsg", "journal+console", "syslog+console", "kmsg+console"):
        return "log"
    if value in ("null", "socket"):
        return value
    raise WordError("superd writes to its log, the socket or nowhere")


def _folder(value: str) -> object:
    path = value.removeprefix("-")
    if not path.startswith("/"):
        raise WordError("no absolute path")
    return path


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SOCKET: Mapping[str, tuple[str, Parse]] = {
    "Backlog": ("socket.backlog", _number),
    "BindToDevice": ("socket.bind_to_device", _text),
    "SocketUser": ("socket.socket_user", _text),
    "SocketGroup": ("socket.socket_group", _text),
    "SocketMode": ("socket.socket_mode", _text),
    "DirectoryMode": ("socket.directory_mode", _text),
    "KeepAlive": ("socket.keep_alive", _boolean),
    "NoDelay": ("socket.no_delay", _boolean),
    "DeferAcceptSec": ("socket.defer_accept", duration),
    "ReceiveBuffer": ("socket.receive_buffer", _size),
    "SendBuffer": ("socket.send_buffer", _size),
    "IPTOS": ("socket.ip_tos", _tos),
    "IPTTL": ("socket.ip_ttl", _number),
    "Mark": ("socket.mark", _number),
    "ReusePort": ("socket.reuse_port", _boolean),
    "FreeBind": ("socket.free_bind", _boolean),
    "Broadcast": ("socket.broadcast", _boolean),
    "PassCredentials": ("socket.pass_credentials", _boolean),
    "TCPCongestion": ("socket.tcp_congestion", _text),
    "FileDescriptorName": ("file_descriptor_name", _text),
    "MaxConnections": ("limits.max_connections", _number),
    "MaxConnectionsPerSource": ("limits.max_connections_per_source", _number),
}
"""Of [Socket]."""

SERVICE: Mapping[str, tuple[str, Parse]] = {
    "User": ("user", _text),
    "Group": ("group", _text),
    "WorkingDirectory": ("working_directory", _folder),
    "RootDirectory": ("root_directory", _folder),
    "UMask": ("umask", _text),
    "Nice": ("nice", _signed),
    "RuntimeMaxSec": ("runtime_max", duration),
    "TimeoutStopSec": ("timeout_stop", duration),
    "KillSignal": ("kill_signal", _text),
    "StandardError": ("standard_error", _error),
    "LimitCPU": ("limit_cpu", _both(duration)),
    "LimitRTTIME": ("limit_rttime", _both(_microseconds)),
    **{f"Limit{name.upper()}": (f"limit_{name}", _both(_size))
       for name in ("fsize", "data", "stack", "core", "rss", "as", "memlock", "msgqueue")},
    **{f"Limit{name.upper()}": (f"limit_{name}", _both(_count))
       for name in ("nofile", "nproc", "locks", "sigpending", "nice", "rtprio")},
}  # fmt: skip
"""Of [Service], where one value counts."""

LISTS: Mapping[str, tuple[str, Parse]] = {
    "SupplementaryGroups": ("supplementary_groups", _words),
    "PassEnvironment": ("pass_environment", _words),
}
"""Of [Service], where several lines add up."""

ELSEWHERE = _names(
    """\
Accept Service BindIPv6Only SocketProtocol ListenStream ListenDatagram ListenSequentialPacket ExecStart
Environment EnvironmentFile StandardInput Type TriggerLimitIntervalSec TriggerLimitBurst PollLimitIntervalSec
PollLimitBurst IPAddressAllow IPAddressDeny
"""
)
"""What the mapping goes by itself."""

QUIET = _names(
    """\
Description Documentation After Before Wants Requires Also WantedBy RequiredBy Alias DefaultInstance
DefaultDependencies SyslogIdentifier Restart RestartSec SuccessExitStatus RestartPreventExitStatus
RemoveOnStop NotifyAccess CollectMode TimeoutStartSec TimeoutSec KillMode StandardOutput PartOf
"""
)
"""What tells when a unit starts, or how systemd counts its ends: nothing that a client would notice."""

SANDBOX = _names(
    """\
SecureBits ProcSubset ProtectHostname ProtectClock ProtectKernelLogs PrivateIPC PrivateMounts ExecPaths
TemporaryFileSystem BindPaths BindReadOnlyPaths RestrictFileSystems RemoveIPC SystemCallArchitectures MemoryHigh
IOWeight SocketBindAllow SocketBindDeny DeviceAllow AppArmorProfile SELinuxContext SmackProcessLabel KeyringMode
"""
)
"""What systemd has in a sandbox and superd has not."""
