"""What a configuration means once it is loaded: values, precedence, includes, warnings."""

from __future__ import annotations

import io
import os
import sys

import attrs
import pytest

from superd.config.load import load
from superd.config.manpage import EXAMPLE
from superd.config.model import (
    INFINITY,
    Config,
    Listen,
    Mode,
    ResourceLimit,
    Scheme,
    Service,
    SocketOptions,
    StandardError,
    SuperdSettings,
)
from superd.policy.rules import UNLIMITED

from .conftest import Write

_MINIMAL = 'listen = ["tcp://*:21"]\nexec = ["/usr/sbin/in.ftpd"]\n'


def _load_text(text: str, *, system: bool = True) -> Config:
    return load("-", system=system, stdin=io.StringIO(text))


def _service(text: str, above: str = "") -> Service:
    return _load_text(f"{above}\n[services.ftp]\n{_MINIMAL}{text}").services["ftp"]


def test_the_smallest_service_has_the_models_defaults() -> None:
    listen = (Listen("tcp://*:21", Scheme.TCP, "*", 21),)
    assert _service("") == Service("ftp", listen, ("/usr/sbin/in.ftpd",))


def test_every_key_reaches_its_field() -> None:
    text = """
[superd]
user = "net"
control = "/run/c"
bind_socket = "/run/b"
control_group = "adm"
control_admin_group = "100"
log = "/var/log/superd"
log_format = "json"
syslog_facility = "local3"
max_connections = "infinity"

[services.x]
listen = ["unix:///run/x", "tcp://[fe80::1%eth0]:80", "udp://*:69"]
mode = "wait"
exec = ["x", "", "-l"]
exec_path = "/bin/x"
user = "www:web"
supplementary_groups = ["shadow", "42"]
init_groups = false
working_directory = "/srv"
root_directory = "/jail"
umask = "077"
nice = -5
environment = { TERM = "dumb", EMPTY = "" }
pass_environment = ["TZ"]
standard_error = "socket"
runtime_max = "1h"
idle_timeout = "10min"
timeout_stop = "infinity"
kill_signal = "quit"
limit_nofile = "64:1024"
limit_core = "0B"
limit_as = "infinity"
limit_cpu = "1500ms"
limit_rttime = "2ms"
limit_nice = 30
file_descriptor_name = "web socket"
enabled = false

[services.x.socket]
backlog = 16
keep_alive = true
no_delay = false
defer_accept = "5s"
receive_buffer = "1MiB"
send_buffer = "64K"
ip_tos = 16
ip_ttl = 1
mark = 4294967295
reuse_port = true
free_bind = true
bind_to_device = "eth0"
tcp_congestion = "bbr"
broadcast = true
socket_user = "www"
socket_group = "web"
socket_mode = "0660"
directory_mode = "0700"
pass_credentials = true
"""
    config = _load_text(text)
    assert config.settings == SuperdSettings(
        "net", "/run/c", "/run/b", "adm", "100", "/var/log/superd", "json", "local3", UNLIMITED
    )
    assert config.services["x"] == Service(
        name="x",
        listen=(
            Listen("unix:///run/x", Scheme.UNIX, path="/run/x"),
            Listen("tcp://[fe80::1%eth0]:80", Scheme.TCP, "fe80::1", 80, "eth0"),
            Listen("udp://*:69", Scheme.UDP, "*", 69),
        ),
        exec=("x", "", "-l"),
        mode=Mode.WAIT,
        exec_path="/bin/x",
        user="www",
        group="web",
        supplementary_groups=("shadow", "42"),
        init_groups=False,
        working_directory="/srv",
        root_directory="/jail",
        umask=0o077,
        nice=-5,
        environment={"TERM": "dumb", "EMPTY": ""},
        pass_environment=("TZ",),
        standard_error=StandardError.SOCKET,
        runtime_max_s=3_600,
        idle_timeout_s=600,
        timeout_stop_s=INFINITY,
        kill_signal=3,
        resource_limits={
            "nofile": ResourceLimit(64, 1024),
            "core": ResourceLimit(0, 0),
            "as": ResourceLimit(INFINITY, INFINITY),
            "cpu": ResourceLimit(2, 2),
            "rttime": ResourceLimit(2_000, 2_000),
            "nice": ResourceLimit(30, 30),
        },
        file_descriptor_name="web socket",
        enabled=False,
        socket=SocketOptions(
            backlog=16,
            keep_alive=True,
            no_delay=False,
            defer_accept_s=5,
            receive_buffer_bytes=1 << 20,
            send_buffer_bytes=64 << 10,
            ip_tos=16,
            ip_ttl=1,
            mark=4294967295,
            reuse_port=True,
            free_bind=True,
            bind_to_device="eth0",
            tcp_congestion="bbr",
            broadcast=True,
            socket_user="www",
            socket_group="web",
            socket_mode=0o660,
            directory_mode=0o700,
            pass_credentials=True,
        ),
    )


def test_the_manual_pages_example_loads(write: Write) -> None:
    config = load(write("superd.toml", EXAMPLE))
    assert list(config.services) == ["daytime", "tftp"]
    assert config.services["daytime"].runtime_max_s == 3_600
    assert config.services["daytime"].listen[0].port == 13


def test_a_service_stands_above_the_defaults() -> None:
    defaults = 'defaults.umask = "077"\ndefaults.nice = 5\ndefaults.pass_environment = ["TZ", "LANG"]'
    service = _service('nice = 0\npass_environment = ["TERM"]', defaults)
    assert (service.umask, service.nice, service.pass_environment) == (0o077, 0, ("TERM",))


def test_tables_merge_key_by_key() -> None:
    defaults = """
[defaults]
environment = { A = "1", B = "2" }
limit_nofile = 64
[defaults.socket]
backlog = 8
no_delay = true
"""
    service = _service('environment = { B = "3" }\nlimit_core = "0B"\nsocket.backlog = 9', defaults)
    assert service.environment == {"A": "1", "B": "3"}
    assert service.resource_limits == {"nofile": ResourceLimit(64, 64), "core": ResourceLimit(0, 0)}
    assert service.socket == SocketOptions(backlog=9, no_delay=True)


def test_a_default_that_a_service_cannot_use_is_ignored_there() -> None:
    text = """
[defaults]
idle_timeout = "5min"
file_descriptor_name = "all"
[defaults.socket]
no_delay = true
socket_mode = "0600"
broadcast = true
[services.ftp]
listen = ["tcp://*:21"]
exec = ["/bin/true"]
[services.tftp]
listen = ["udp://*:69"]
exec = ["/bin/true"]
mode = "wait"
"""
    services = _load_text(text).services
    assert services["ftp"].socket == SocketOptions(no_delay=True)
    assert services["ftp"].idle_timeout_s == INFINITY
    assert services["ftp"].file_descriptor_name == ""
    assert services["tftp"].socket == SocketOptions(broadcast=True)
    assert services["tftp"].idle_timeout_s == 300


@pytest.mark.parametrize(
    ("defaults", "own", "user", "group"),
    [
        ('user = "a:b"', "", "a", "b"),
        ('user = "a:b"', 'user = "c"', "c", ""),
        ('user = "a:b"', 'group = "d"', "a", "d"),
        ('user = "a"\ngroup = "b"', 'user = "c"', "c", "b"),
        ('group = "b"', 'user = "c:d"', "c", "d"),
        ("", 'user = "c:d"\ngroup = "d"', "c", "d"),
    ],
)
def test_a_group_follows_the_user_it_was_written_with(defaults: str, own: str, user: str, group: str) -> None:
    service = _service(own, f"[defaults]\n{defaults}")
    assert (service.user, service.group) == (user, group)


def test_service_names_of_ports_are_not_looked_up_without_the_system() -> None:
    text = (
        '[services.x]\nlisten = ["tcp://*:frobnicate"]\nexec = ["/bin/true"]\nenvironment_file = "/no/such"'
    )
    config = _load_text(text, system=False)
    assert config.services["x"].listen[0].port == 0


def test_a_file_moved_elsewhere_is_the_same_service(write: Write) -> None:
    text = f"[services.ftp]\n{_MINIMAL}"
    one, two = (load(write(name, text)).services["ftp"] for name in ("a.toml", "b.toml"))
    assert one == two
    assert one.source_file != two.source_file


def test_included_files_come_sorted_after_the_main_one(write: Write) -> None:
    for number, name in enumerate(("b", "a", "c"), 1):
        write(
            f"superd.d/{name}.toml",
            f'[services.{name}]\nlisten = ["tcp://*:{number}"]\nexec = ["/bin/{name}"]',
        )
    write("superd.d/ignored.toml~", "no TOML at all")
    main = write("superd.toml", f'superd.include = ["superd.d/*.toml", "none/*"]\n[services.ftp]\n{_MINIMAL}')
    config = load(main)
    assert list(config.services) == ["ftp", "a", "b", "c"]
    folder = os.path.dirname(main)
    assert config.files == (main, *(f"{folder}/superd.d/{name}.toml" for name in "abc"))
    assert config.services["a"].source_file == config.files[1]


def test_a_file_is_read_once_however_often_it_is_included(write: Write) -> None:
    write("one.toml", f"[services.ftp]\n{_MINIMAL}")
    main = write("superd.toml", 'superd.include = ["*.toml", "one.toml", "./one.toml"]')
    assert len(load(main).files) == 2


def test_standard_input_is_named_so() -> None:
    config = _load_text(f"[services.ftp]\n{_MINIMAL}")
    assert config.files == ("standard input",)


def test_standard_input_is_read_unless_another_stream_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"[services.ftp]\n{_MINIMAL}"))
    assert list(load("-").services) == ["ftp"]


def test_no_services_is_a_warning() -> None:
    (warning,) = _load_text("").warnings
    assert str(warning) == "standard input: no services; write [services.NAME]"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's acceptor is never another user")
def test_a_user_of_superd_that_is_written_and_does_not_exist_is_a_warning() -> None:
    (_, warning) = _load_text('[superd]\nuser = "superdd"\n').warnings
    assert str(warning) == (
        'standard input: superd.user = "superdd": no such user; an unused uid is taken instead; '
        "create it with: useradd --system superdd"
    )
    for settings in ("", 'user = "daemon"', 'user = "61999"'):
        assert len(_load_text(f"[superd]\n{settings}\n").warnings) == 1, "of services alone"


def _sharing(user: str, *programs: str) -> list[str]:
    services = "".join(
        f'[services.s{number}]\nlisten = ["tcp://*:{number}"]\nuser = "{user}"\nexec = ["{program}"]\n'
        for number, program in enumerate(programs, 1)
    )
    return [str(warning) for warning in _load_text(services).warnings]


def test_two_programs_of_one_user_are_a_warning_once() -> None:
    assert _sharing("nobody", "/bin/a", "/bin/b", "/bin/b") == [
        'standard input: services.s3.user = "nobody": s1, s2, s3 share it and can attack each other; '
        "give each a user of its own"
    ]
    assert _sharing("nobody", "/bin/a", "/bin/a") == []
    assert _sharing("root", "/bin/a", "/bin/b") == []


def test_a_disabled_service_may_want_what_another_has() -> None:
    text = f"[services.a]\n{_MINIMAL}[services.b]\nenabled = false\n{_MINIMAL}"
    config = _load_text(text)
    assert [service.enabled for service in config.services.values()] == [True, False]


def test_services_may_share_a_port_that_both_reuse() -> None:
    text = f"[services.a]\n{_MINIMAL}socket.reuse_port = true\n[services.b]\n{_MINIMAL}socket.reuse_port = true\n"
    assert len(_load_text(text).services) == 2


def test_services_may_have_the_same_port_of_different_addresses() -> None:
    places = ("tcp://127.0.0.1:21", "tcp://[::]:21", "udp://127.0.0.1:21", "tcp://*:22", "tcp://127.0.0.2:21")
    text = "".join(
        f'[services.s{number}]\nlisten = ["{place}"]\nmode = "wait"\nexec = ["/bin/x"]\n'
        for number, place in enumerate(places)
    )
    assert len(_load_text(text).services) == len(places)


def test_services_may_share_a_port_on_different_interfaces() -> None:
    options = [f'socket.bind_to_device = "eth{number}"\n' for number in range(2)]
    text = f"[services.a]\n{_MINIMAL}{options[0]}[services.b]\n{_MINIMAL}{options[1]}"
    assert len(_load_text(text).services) == 2


def test_what_is_loaded_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        _service("").umask = 0  # type: ignore[misc] # that is the point
