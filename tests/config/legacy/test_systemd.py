"""Socket units and the services that they start."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus import corpus_file
from helpers.imports import Imported, imported, surroundings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from superd.config.capabilities import Capability
from superd.config.legacy.carried import Fate, LegacyError
from superd.config.legacy.systemd.words import WordError, split_words, unescaped
from superd.config.model import INFINITY, Mode, Service
from superd.config.sandbox import ProtectHome, ProtectSystem

_FOLDER = "/etc/systemd/system"


def units(
    socket: str, service: str, name: str = "a", files: dict[str, str] | None = None, *, accept: bool = True
) -> Imported:
    """A socket unit with its service beside it, imported; ``files`` are others, by their path."""
    stem = name.partition("@")[0]
    started = f"{stem}@.service" if accept or "@" in name else f"{stem}.service"
    content = f"[Socket]\nAccept={'yes' if accept else 'no'}\n{socket}\n"
    lines = service if "[Service]" in service else f"[Service]\nStandardInput=socket\n{service}\n"
    machine = surroundings({f"{_FOLDER}/{started}": lines, **(files or {})})
    return imported(content, f"{_FOLDER}/{name}.socket", machine)


def one(
    socket: str = "ListenStream=7000", service: str = "ExecStart=/bin/cat", *, accept: bool = True
) -> Service:
    return units(socket, service, accept=accept).only()


def test_a_connection_each() -> None:
    service = one(
        service="ExecStart=-/bin/cat -u 'a b'\nUser=www\nGroup=web\nSupplementaryGroups=x y\nSupplementaryGroups=z"
    )
    assert (service.name, service.mode, service.exec) == ("a", Mode.NOWAIT, ("/bin/cat", "-u", "a b"))
    assert (service.user, service.group, service.supplementary_groups) == ("www", "web", ("x", "y", "z"))
    assert service.limits.max_connections == 64


def test_the_listening_socket() -> None:
    service = one("ListenStream=7000\nFileDescriptorName=web", accept=False)
    assert (service.mode, service.file_descriptor_name, service.user) == (Mode.WAIT, "web", "root")


@pytest.mark.parametrize(
    ("lines", "listens"),
    [
        ("ListenStream=22", ["tcp://*:22"]),
        ("ListenStream=22\nBindIPv6Only=ipv6-only", ["tcp6://*:22"]),
        (
            "ListenStream=0.0.0.0:80\nListenStream=[::]:80\nBindIPv6Only=ipv6-only",
            ["tcp4://*:80", "tcp6://*:80"],
        ),
        ("ListenStream=[::]:80", ["tcp://*:80"]),
        (
            "ListenStream=192.0.2.1:80\nListenStream=[2001:db8::1]:80",
            ["tcp://192.0.2.1:80", "tcp://[2001:db8::1]:80"],
        ),
        ("ListenStream=[fe80::1]:80%%eth0", ["tcp://[fe80::1%eth0]:80"]),
        ("ListenStream=/run/a.sock\nListenStream=@b", ["unix:///run/a.sock", "unix://@b"]),
        ("ListenStream=1\nListenStream=\nListenStream=2", ["tcp://*:2"]),
        ("ListenStream=%t/%p.sock", ["unix:///run/a.sock"]),
    ],
)
def test_where_it_listens(lines: str, listens: list[str]) -> None:
    assert [listen.text for listen in one(lines).listen] == listens


def test_datagrams_and_packets() -> None:
    found = one("ListenDatagram=69\nListenSequentialPacket=/run/s", accept=False)
    assert [listen.text for listen in found.listen] == ["udp://*:69", "unix-seqpacket:///run/s"]


@pytest.mark.parametrize(
    "line", ["ListenFIFO=/run/x", "ListenStream=vsock::1", "ListenStream=1\nSocketProtocol=sctp"]
)
def test_what_superd_does_not_listen_on_is_told(line: str) -> None:
    found = units(line, "ExecStart=/bin/cat")
    assert not found.config.services
    assert found.says("", Fate.NOT_CARRIED)


def test_socket_options() -> None:
    service = one(
        "ListenStream=/run/a\nListenStream=1\nSocketUser=u\nSocketMode=0600\nBacklog=9\nKeepAlive=yes\nNoDelay=1\n"
        "ReceiveBuffer=64K\nSendBuffer=100\nIPTOS=low-delay\nFreeBind=true\nDeferAcceptSec=5\nMaxConnections=30\n"
        "MaxConnectionsPerSource=3"
    )
    options = service.socket
    assert (options.socket_user, options.socket_mode, options.backlog) == ("u", 0o600, 9)
    assert (options.keep_alive, options.no_delay, options.free_bind) == (True, True, True)
    assert (options.receive_buffer_bytes, options.send_buffer_bytes) == (64 << 10, 100)
    assert (options.ip_tos, options.defer_accept_s) == (16, 5)
    assert (service.limits.max_connections, service.limits.max_connections_per_source) == (30, 3)


def test_options_of_the_service() -> None:
    service = one(
        service="ExecStart=/bin/cat\nUMask=0027\nNice=-5\nWorkingDirectory=-/srv\nRootDirectory=/jail\nRuntimeMaxSec=90\n"
        "TimeoutStopSec=5min\nKillSignal=SIGINT\nStandardError=null\nLimitNOFILE=10:20\nLimitAS=infinity\nLimitCORE=5\n"
        "LimitCPU=3\nPassEnvironment=TZ LANG"
    )
    assert (service.umask, service.nice, service.working_directory, service.root_directory) == (
        0o27,
        -5,
        "/srv",
        "/jail",
    )
    assert (service.runtime_max_s, service.timeout_stop_s, service.kill_signal) == (90, 300, 2)
    assert service.standard_error == "null"
    limits = {name: (limit.soft, limit.hard) for name, limit in service.resource_limits.items()}
    assert limits == {"nofile": (10, 20), "as": (INFINITY, INFINITY), "core": (5, 5), "cpu": (3, 3)}
    assert service.pass_environment == ("TZ", "LANG")


def test_the_environment_and_variables_of_the_command() -> None:
    found = units(
        "ListenStream=1",
        'Environment="A=x y" B=z\nEnvironmentFile=-/etc/default/a\nEnvironmentFile=-/nowhere\n'
        "ExecStart=/bin/x $A ${A} -${C}- $$ $NONE ${NONE}",
        files={"/etc/default/a": "# more\nC='c'\n"},
    )
    service = found.only()
    assert service.exec == ("/bin/x", "x", "y", "x y", "-c-", "$", "")
    assert service.environment == {"A": "x y", "B": "z"}
    assert service.environment_file == "/etc/default/a"
    assert found.says("NONE had none", Fate.NOTED)


def test_marks_in_front_of_the_command() -> None:
    assert one(service="ExecStart=@/bin/cat dog -u").exec == ("dog", "-u")
    assert one(service="ExecStart=@/bin/cat dog -u").exec_path == "/bin/cat"
    assert one(service="ExecStart=:/bin/cat $A").exec == ("/bin/cat", "$A")
    assert one(service="ExecStart=+/bin/cat\nUser=www").user == "root"


def test_lines_go_on_behind_a_backslash() -> None:
    assert one(service="ExecStart=/bin/cat \\\n# a comment\n  -u \\\n -v").exec == ("/bin/cat", "-u", "-v")


def test_an_instance_knows_its_name() -> None:
    found = units("ListenStream=/run/%i.sock", "ExecStart=/bin/x %i %I %n", name="a@b-c", accept=False)
    assert found.only().exec == ("/bin/x", "b-c", "b/c", "a@b-c.service")
    assert found.only().listen[0].path == "/run/b-c.sock"


def test_a_template_does_not() -> None:
    found = units("ListenStream=1", "ExecStart=/bin/x %i")
    assert not found.only().enabled
    assert found.says("%i is not known before the unit runs", Fate.FAULT)


def test_drop_ins_are_read_in_order_and_take_back() -> None:
    files = {
        f"{_FOLDER}/a.socket.d/20.conf": "[Socket]\nListenStream=\nListenStream=3\n",
        f"{_FOLDER}/a.socket.d/10.conf": "[Socket]\nListenStream=2\n",
        f"{_FOLDER}/a.socket.d/notes": "[Socket]\nListenStream=9\n",
        f"{_FOLDER}/a@.service.d/x.conf": "[Service]\nExecStart=\nExecStart=/bin/other\n",
    }
    service = units("ListenStream=1", "ExecStart=/bin/cat", files=files).only()
    assert [listen.port for listen in service.listen] == [3]
    assert service.exec == ("/bin/other",)


def test_a_socket_without_service_is_a_fault() -> None:
    found = imported("[Socket]\nListenStream=1\n", f"{_FOLDER}/x.socket")
    assert not found.config.services
    assert found.says("there is no x.service", Fate.FAULT)


def test_a_service_without_socket_is_not_carried() -> None:
    assert imported("[Service]\nExecStart=/bin/x\n", f"{_FOLDER}/x.service").says(
        "no socket starts", Fate.NOT_CARRIED
    )


def test_a_program_that_looks_for_descriptor_3_is_off() -> None:
    found = units("ListenStream=1", "[Service]\nExecStart=/bin/x\n")
    assert not found.only().enabled
    assert found.says("descriptor 3", Fate.NOT_CARRIED)


def test_a_trip_wire_becomes_a_rate() -> None:
    found = units("ListenStream=1\nTriggerLimitIntervalSec=10\nTriggerLimitBurst=50", "ExecStart=/bin/x")
    assert (found.only().limits.rate.count, found.only().limits.burst) == (5, 50)
    assert found.says("systemd's unit fails", Fate.NOTED)


def test_a_firewall_becomes_access() -> None:
    wall = "ExecStart=/bin/x\nIPAddressDeny=any\nIPAddressAllow=10.0.0.0/8 localhost"
    assert one(service=wall).access.allow == ("10.0.0.0/8", "127.0.0.0/8", "::1")
    assert not one(service=wall, accept=False).enabled
    assert not one(service="ExecStart=/bin/x\nIPAddressDeny=any").enabled
    assert one(service="ExecStart=/bin/x\nIPAddressDeny=192.0.2.0/24").access.deny == ("192.0.2.0/24",)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ProtectClock=yes", "ProtectClock: superd's sandbox has nothing like it"),
        ("SystemCallFilter=@nobody", "SystemCallFilter: no group of that name"),
        ("MemoryMax=50%", "MemoryMax"),
        ("ExecStartPre=/bin/y", "ExecStartPre has no counterpart"),
        ("RuntimeDirectory=x", "RuntimeDirectory has no counterpart"),
        ("StandardError=append:/x", "superd writes to its log"),
    ],
)
def test_what_superd_has_not_is_told(line: str, words: str) -> None:
    assert units("ListenStream=1", f"ExecStart=/bin/x\n{line}").says(words, Fate.NOT_CARRIED)


@pytest.mark.parametrize(
    ("lines", "key", "value"),
    [
        ("ProtectSystem=strict", "protect_system", ProtectSystem.STRICT),
        ("ProtectSystem=yes", "protect_system", ProtectSystem.YES),
        ("ProtectHome=read-only", "protect_home", ProtectHome.READ_ONLY),
        ("PrivateTmp=disconnected", "private_tmp", True),
        ("PrivateTmp=yes\nPrivateTmp=no", "private_tmp", False),
        ("RestrictSUIDSGID=on", "restrict_suid_sgid", True),
        ("RestrictAddressFamilies=AF_UNIX AF_INET", "restrict_address_families", ("AF_UNIX AF_INET",)),
        ("RestrictNamespaces=yes", "restrict_namespaces", True),
        ("RestrictNamespaces=~user", "restrict_namespaces", ("~user",)),
        (
            "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources",
            "system_call_filter",
            ("@system-service", "~@privileged @resources"),
        ),
        ("SystemCallErrorNumber=EPERM", "system_call_error_number", "EPERM"),
        ("CapabilityBoundingSet=", "capability_bounding_set", ()),
        ("CapabilityBoundingSet=CAP_CHOWN\nCapabilityBoundingSet=CAP_KILL", "capability_bounding_set",
         ("CAP_CHOWN", "CAP_KILL")),
        ("AmbientCapabilities=CAP_NET_BIND_SERVICE", "ambient_capabilities", ("CAP_NET_BIND_SERVICE",)),
        ("ReadOnlyPaths=/a -/b\nReadOnlyPaths=+/c", "read_only_paths", ("/a", "-/b", "+/c")),
        ("ReadOnlyPaths=/a\nReadOnlyPaths=", "read_only_paths", None),
        ("MemoryMax=1G", "memory_max", 1 << 30),
        ("MemoryMax=1048576", "memory_max", 1 << 20),
        ("TasksMax=12", "tasks_max", 12),
        ("CPUQuota=150%", "cpu_quota", 150),
        ("User=www", "private_tmp", None),
    ],
)  # fmt: skip
def test_a_sandbox(lines: str, key: str, value: object) -> None:
    assert getattr(one(service=f"ExecStart=/bin/x\nUser=www\n{lines}").sandbox, key) == value


def test_all_capabilities_but_some() -> None:
    held = one(service="ExecStart=/bin/x\nCapabilityBoundingSet=~CAP_SYS_ADMIN CAP_BPF").sandbox
    assert held.capability_bounding_set is not None
    assert set(Capability.__members__) - set(held.capability_bounding_set) == {"CAP_SYS_ADMIN", "CAP_BPF"}


def test_a_user_of_its_own() -> None:
    service = one(service="ExecStart=/bin/x\nUser=www\nDynamicUser=yes")
    assert service.sandbox.dynamic_user
    assert service.user == ""


def test_words() -> None:
    assert split_words(r'a "b c" d\x41\101\ne' + ' \'f"g\' ""') == ["a", "b c", "dAA\ne", 'f"g', ""]
    assert unescaped(r"a-b\x2dc") == "a/b-c"
    for text in ('"a', "a\\", r"\q", r"\x00"):
        with pytest.raises(WordError):
            split_words(text)


_sections = st.sampled_from(
    ["[Socket]", "[Service]", "[Unit]", "garbage", "=", "Accept=yes", "ExecStart=/bin/x $A %i"]
)
_lines = st.builds(
    "{}={}".format,
    st.sampled_from(["ListenStream", "ListenDatagram", "ExecStart", "User", "Environment", "LimitCPU", "Nice", "UMask",
                     "MaxConnections", "TriggerLimitBurst", "IPAddressDeny", "SocketMode", "PassEnvironment", "Mark"]),
    st.sampled_from(["1", "yes", "/x", "[::]:1", "any", "%i", "$A", "\\", "'", "A=1", "infinity", ""])
    | st.text(max_size=9),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_sections | _lines, max_size=12), st.lists(_sections | _lines, max_size=12), st.booleans())
@example(["ListenStream=1", "MaxConnections=0"], ["ExecStart=/x", "Nice=99"], True)
def test_any_units(socket: list[str], service: list[str], accept: bool) -> None:
    units("\n".join(socket), "[Service]\nStandardInput=socket\n" + "\n".join(service), accept=accept)


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    try:
        imported(b"[Socket]\n" + content, f"{_FOLDER}/a.socket")
    except LegacyError:
        return  # superd's own tables, in the middle of a unit


_REAL = corpus_file("systemd/ssh.socket")


@pytest.mark.parametrize("path", sorted(_REAL.parent.iterdir()) if _REAL else [], ids=lambda path: path.name)
def test_real_units(path: Path) -> None:
    files: dict[str, str | bytes] = {str(other): other.read_bytes() for other in path.parent.iterdir()}
    if not path.read_bytes():
        return  # masked
    found = imported(path.read_bytes(), str(path), surroundings(files))
    assert found.config.services or found.carried.remarks or path.suffix == ".service"
