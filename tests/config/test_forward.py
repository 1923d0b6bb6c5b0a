"""``forward`` and what it asks of its service: targets, and the faults that name what was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.dump import policy_tables
from superd.config.findings import RejectedError
from superd.config.load import load
from superd.config.model import SESSION_IDLE_S, Target
from superd.config.targets import parse_target
from superd.errors import SuperdError

from .conftest import Faults, Write


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("tcp://127.0.0.1:8080", Target("tcp", "127.0.0.1", 8080)),
        ("tcp://[2001:DB8::1]:80", Target("tcp", "2001:db8::1", 80)),
        ("tcp://[fe80::1%eth0]:80", Target("tcp", "fe80::1", 80, "eth0")),
        ("udp://localhost:53", Target("udp", "localhost", 53)),
        ("tcp://app.example.net:80", Target("tcp", "app.example.net", 80, is_name=True)),
        ("unix:///run/app.sock", Target("unix", path="/run/app.sock")),
        ("unix://@app", Target("unix", path="@app")),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert parse_target(target.text) == target


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("127.0.0.1:8080", 'no scheme; write "tcp://127.0.0.1:8080"'),
        ("10.0.0.1 80", 'no scheme; write "tcp://10.0.0.1:80"'),  # as xinetd has it
        ("/run/app.sock", 'no scheme; write "unix:///run/app.sock"'),
        ("http://127.0.0.1:8080/", 'unknown scheme; write "tcp://127.0.0.1:8080"'),
        ("tcp6://[::1]:80", 'unknown scheme; write "tcp://[::1]:80"'),
        ("tcp://127.0.0.1", 'not host:port; write "tcp://127.0.0.1:PORT"'),
        ("tcp://*:80", 'no address that can be connected to; write "tcp://localhost:80"'),
        ("tcp://127.0.0.01:80", "not an IPv4 address; write four numbers of 0 to 255, without leading zeros"),
        ("tcp://a..b:80", "not a host name; use letters, digits, - and dots"),
        ("tcp://app:0", "no such port; write 1 to 65535"),
        ("unix://app.sock", 'relative path; write "unix:///app.sock"'),
        (f"unix:///{'ä' * 54}", "109 bytes of path; use at most 107"),  # connect(2) takes no more
        ("unix:///run/a\0b", "a control character in the path; remove it"),
        (f"tcp://{'a' * 64}.example:80", "not a host name; use letters, digits, - and dots"),
    ],
)
def test_what_is_no_target_is_told_what_was_meant(text: str, fault: str) -> None:
    with pytest.raises(RejectedError) as raised:
        parse_target(text)
    (found,) = raised.value.findings
    assert f"{found.problem}; {found.remedy}" == fault


@given(st.text() | st.from_regex(r"(tcp|udp|unix)://[\\[\\]a-f0-9:.%/@-]{0,30}"))
def test_any_text_is_a_target_or_a_fault(text: str) -> None:
    try:
        target = parse_target(text)
    except SuperdError:
        return
    assert parse_target(target.text) == target


def service(listen: str, forward: str, more: str = "", name: str = "x") -> str:
    return f'[services.{name}]\nlisten = ["{listen}"]\nforward = "{forward}"\n{more}\n'


EXEC = 'exec = ["/bin/x"]\nuser = "nobody"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            service("udp://*:53", "tcp://db:53"),
            'services.x.listen = "udp://*:53": cannot be forwarded to tcp://db:53; listen on tcp:// or unix://',
        ),
        (
            service("tcp://*:53", "udp://db:53"),
            'services.x.listen = "tcp://*:53": cannot be forwarded to udp://db:53; listen on udp://',
        ),
        (
            service("unix-seqpacket:///run/x", "tcp://db:53"),
            'services.x.listen = "unix-seqpacket:///run/x": cannot be forwarded to tcp://db:53; '
            "listen on tcp:// or unix://",
        ),
        (
            service("tcp://*:80", "tcp://db:80", 'builtin = "echo"'),
            'services.x.forward = "tcp://db:80": builtin says already what serves it; remove one of them',
        ),
        (
            service("tcp://*:80", "tcp://db:80", "nice = 5"),
            "services.x.nice = 5: only for exec and handler; remove it",
        ),
        (
            service("tcp://*:80", "tcp://db:80", f'{EXEC}\nmode = "wait"'),
            'services.x.mode = "wait": a backend is not given the listening socket; remove mode, or forward',
        ),
        (
            service("tcp://*:80", "tcp://db:80", f'{EXEC}\nstandard_error = "socket"'),
            'services.x.standard_error = "socket": a backend has no client for itself; write "log" or "null"',
        ),
        (
            service("udp://*:53", "udp://db:53", EXEC),
            'services.x.forward = "udp://db:53": nobody can tell when a program that is started takes '
            "datagrams; remove forward or exec",
        ),
        (
            service("tcp://*:80", "tcp://127.0.0.1:80"),
            'services.x.forward = "tcp://127.0.0.1:80": leads back to the service itself; '
            "name the backend's address",
        ),
        (
            service("tcp://*:80", "tcp://127.0.0.1:81") + service("tcp://*:81", "tcp://[::1]:80", name="y"),
            'services.x.forward = "tcp://127.0.0.1:81": leads back to the service itself by way of y; '
            "name the backend's address",
        ),
        (
            service("unix:///run/x", "unix:///run/x"),
            'services.x.forward = "unix:///run/x": leads back to the service itself; name the backend\'s address',
        ),
        (
            service("udp://*:53", "udp://db:53", "proxy_protocol.send = 1"),
            "services.x.proxy_protocol.send = 1: only for stream listeners; remove it",
        ),
    ],
)
def test_faults(faults: Faults, text: str, expected: str) -> None:
    assert faults(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        service("tcp://192.0.2.1:80", "tcp://127.0.0.1:80"),
        service("tcp6://*:80", "tcp://127.0.0.1:80"),
        service("tcp://*:80", "tcp://192.0.2.1:80"),  # it may be another machine's
        service("udp://*:53", "udp://127.0.0.1:54"),
        service("tcp://*:80", "tcp://127.0.0.1:81") + service("tcp://*:81", "tcp://127.0.0.1:82", name="y"),
    ],
)
def test_what_only_looks_like_a_loop_is_none(write: Write, text: str) -> None:
    assert load(write("superd.toml", text)).services["x"].is_served_here


def test_a_forward_by_itself_needs_no_user_and_starts_nothing(write: Write) -> None:
    text = service("tcp://*:80", "tcp://db:80") + '[defaults]\nuser = "nobody"\nexec = ["/bin/x"]\n'
    found = load(write("superd.toml", text)).services["x"]
    assert (found.exec, found.user, found.has_instance) == ((), "", False)


def test_sessions_end_after_a_minute_unless_told_otherwise(write: Write) -> None:
    text = service("udp://*:53", "udp://db:53")
    assert load(write("superd.toml", text)).services["x"].idle_timeout_s == SESSION_IDLE_S
    text = service("udp://*:53", "udp://db:53", 'idle_timeout = "5s"')
    assert load(write("superd.toml", text)).services["x"].idle_timeout_s == 5.0


def test_send_is_written_back(write: Write) -> None:
    text = service("tcp://*:80", "tcp://db:80", "proxy_protocol.send = 2")
    found = load(write("superd.toml", text)).services["x"]
    tables = policy_tables(found.limits, found.access, found.proxy_protocol, all_keys=True)
    assert tables["proxy_protocol"] == {"send": 2}
