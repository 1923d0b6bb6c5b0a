"""Faults of services and files that do not fit together."""

from __future__ import annotations

import os

import pytest

from superd.config.load import load
from superd.config.places import CONTROL_SOCKET, control_socket
from superd.errors import ConfigError

from .conftest import Faults, Write

_SERVICE = '[services.ftp]\nlisten = ["tcp://*:21"]\nexec = ["/usr/sbin/in.ftpd"]\n'


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("tcp://*:80", "tcp://*:http"),
        ("tcp://*:80", "tcp4://*:80"),
        ("tcp://*:80", "tcp://[::]:80"),
        ("tcp://localhost:80", "tcp://127.0.0.1:80"),
        ("tcp://[2001:db8::1]:80", "tcp6://[2001:DB8::01]:80"),
        ("unix:///run/x", "unix-seqpacket:///run/x"),
    ],
)
def test_two_services_cannot_listen_on_the_same_address(faults: Faults, one: str, two: str) -> None:
    text = f'[services.a]\nlisten = ["{one}"]\nexec = ["/a"]\n[services.b]\nlisten = ["{two}"]\nexec = ["/b"]'
    remedy = "use another path" if one.startswith("unix") else "use another port, or reuse_port in both"
    assert faults(text) == [f'services.b.listen = "{two}": services.a listens there too; {remedy}']


def test_an_address_beside_a_faulty_one_clashes_all_the_same(faults: Faults) -> None:
    text = '[services.a]\nlisten = [5, "tcp://*:80"]\nexec = ["/a"]\n'
    text += '[services.b]\nlisten = ["tcp://*:80"]\nexec = ["/b"]'
    assert faults(text) == [
        'services.a.listen = 5: not a string; write "5"',
        'services.b.listen = "tcp://*:80": services.a listens there too; use another port, or reuse_port in both',
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("tcp4://*:80", "tcp6://*:80"),
        ("tcp://*:80", "udp://*:80"),
        ("tcp://127.0.0.1:80", "tcp://127.0.0.2:80"),
        ("tcp://[fe80::1%eth0]:80", "tcp://[fe80::1%eth1]:80"),
        ("unix:///run/x", "unix://@/run/x"),
    ],
)
def test_different_addresses_do_not_clash(write: Write, one: str, two: str) -> None:
    text = f'[services.a]\nlisten = ["{one}"]\nexec = ["/a"]\n[services.b]\nlisten = ["{two}"]\nexec = ["/b"]'
    assert len(load(write("superd.toml", text)).services) == 2


@pytest.mark.parametrize(
    ("settings", "listen"),
    [
        ('[superd]\ncontrol = "/run/x.sock"\n', "unix:///run/x.sock"),
        ('[superd]\ncontrol = "/run/x.sock"\n', "unix-seqpacket:///run//x.sock"),
        ("", "unix://{default}"),
    ],
)
def test_no_service_listens_where_superctl_asks(faults: Faults, settings: str, listen: str) -> None:
    default = control_socket(CONTROL_SOCKET, os.geteuid(), os.environ)
    control, listen = "/run/x.sock" if settings else default, listen.format(default=default)
    text = f'{settings}[services.a]\nlisten = ["tcp://*:80", "{listen}"]\nexec = ["/a"]\n'
    fault = f'superd.control = "{control}" is there; use another path for one of them'
    assert faults(text) == [f'services.a.listen = "{listen}": {fault}']


def test_a_service_that_is_off_may_name_the_control_socket(write: Write) -> None:
    text = '[superd]\ncontrol = "/run/x"\n[services.a]\nlisten = ["unix:///run/x"]\nexec = ["/a"]\nenabled = false\n'
    assert len(load(write("superd.toml", text)).services) == 1


def _faults_of(path: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(path)
    return [str(fault) for fault in raised.value.faults]


def test_an_included_file_holds_only_services_that_stand_nowhere_else(write: Write) -> None:
    one = write("d/1.toml", "[superd]\n[defaults]\n" + _SERVICE)
    two = write("d/2.toml", _SERVICE + "nice = 50")
    three = write("d/3.toml", _SERVICE.replace("ftp", "other"))
    main = write("superd.toml", 'superd.include = ["d/*.toml"]')
    assert _faults_of(main) == [
        f"{one}: superd: not in an included file; move it to {main}",
        f"{one}: defaults: not in an included file; move it to {main}",
        f"{two}: services.ftp: stands in {one} too; keep one of them",
        f'{three}: services.other.listen = "tcp://*:21": services.ftp ({one}) listens there too; '
        "use another port, or reuse_port in both",
    ]


def test_faults_of_all_files_come_together(write: Write) -> None:
    one = write("d/1.toml", "[services.a")
    two = write("d/2.toml", _SERVICE + "nice = 50")
    main = write("superd.toml", 'frob = 1\nsuperd.include = ["d/*.toml", "none.toml"]')
    folder = main.removesuffix("superd.toml")
    assert _faults_of(main) == [
        f"{one}: end of the file: expected ']' at the end of a table declaration; close every bracket and quote",
        f'{main}: superd.include = "none.toml": no such file {folder}none.toml; check the path',
        f"{main}: frob: unknown key; superd.toml(5) lists the keys",
        f"{two}: services.ftp.nice = 50: out of range; write -20 to 19",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://*:21", "tcp://192.0.2.1:21"),
        ("tcp://192.0.2.1:21", "tcp://*:21"),
        ("udp://[2001:db8::1]:21", "udp://[::]:21"),
        ("tcp4://*:21", "tcp://localhost:21"),
    ],
)
def test_every_address_and_a_single_one_are_in_each_others_way(faults: Faults, one: str, other: str) -> None:
    rest = 'exec = ["/a"]\nmode = "wait"\n'
    text = f'[services.a]\nlisten = ["{one}"]\n{rest}[services.b]\nlisten = ["{other}"]\n{rest}'
    assert faults(text) == [
        f'services.b.listen = "{other}": services.a listens there too; use another port, or reuse_port in both'
    ]


@pytest.mark.parametrize("mode", ["wait", "nowait"])
def test_a_udp_port_with_a_child_for_each_peer_is_not_shared(faults: Faults, mode: str) -> None:
    rest = 'listen = ["udp://*:53"]\nexec = ["/a"]\nsocket.reuse_port = true\n'
    text = f'[services.a]\n{rest}[services.b]\nmode = "{mode}"\n{rest}'
    assert faults(text) == [
        'services.b.listen = "udp://*:53": services.a listens there too; use another port'
    ]
