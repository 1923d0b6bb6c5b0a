"""One value of ``listen``: what it means, and what its author is told when it means nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.addresses import parse_listen
from superd.config.findings import RejectedError
from superd.config.model import Listen, Scheme

_PORTS = {("http", "tcp"): 80, ("tftp", "udp"): 69}


def _lookup(name: str, transport: str) -> int | None:
    return _PORTS.get((name, transport))


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp://*:80", "*", 80),
        ("tcp4://192.0.2.1:65535", "192.0.2.1", 65535),
        ("tcp://localhost:1", "localhost", 1),
        ("tcp6://*:http", "*", 80),
        ("udp://127.0.0.1:tftp", "127.0.0.1", 69),
        ("tcp://[::]:80", "::", 80),
        ("tcp6://[2001:DB8:0::1]:22", "2001:db8::1", 22),
        ("udp6://[::1]:53", "::1", 53),
    ],
)
def test_an_internet_address_has_a_canonical_host_and_a_port(text: str, host: str, port: int) -> None:
    scheme = Scheme(text.partition("://")[0])
    assert parse_listen(text, _lookup) == Listen(text, scheme, host, port)


def test_a_link_local_address_keeps_its_interface() -> None:
    listen = parse_listen("tcp://[fe80::1%eth0]:80", _lookup)
    assert (listen.host, listen.scope, listen.port) == ("fe80::1", "eth0", 80)


@pytest.mark.parametrize("path", ["/run/x.sock", "@superd", "/" + "x" * 106])
@pytest.mark.parametrize("scheme", ["unix", "unix-dgram", "unix-seqpacket"])
def test_a_unix_address_is_a_path_or_an_abstract_name(scheme: str, path: str) -> None:
    text = f"{scheme}://{path}"
    assert parse_listen(text, _lookup) == Listen(text, Scheme(scheme), path=path)


_USAGE = 'write "tcp://*:PORT", "udp://*:PORT" or "unix:///PATH"'


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("80", "no scheme", 'write "tcp://*:80"'),
        ("127.0.0.1:80", "no scheme", 'write "tcp://127.0.0.1:80"'),
        ("[::1]:80", "no scheme", 'write "tcp://[::1]:80"'),
        ("*:http", "no scheme", 'write "tcp://*:http"'),
        (":80", "no scheme", 'write "tcp://*:80"'),
        ("tcp:80", "no host", 'write "tcp://*:80"'),
        ("udp6:53", "no host", 'write "udp6://*:53"'),
        ("tcp://80", "no host", 'write "tcp://*:80"'),
        ("tcp://:80", "no host", 'write "tcp://*:80"'),
        ("/run/x.sock", "no scheme", 'write "unix:///run/x.sock"'),
        ("@name", "no scheme", 'write "unix://@name"'),
        ("unix:/run/x", "no ://", 'write "unix:///run/x"'),
        ("unix:@name", "no ://", 'write "unix://@name"'),
        ("unix://@", "no name after the @", 'write "unix://@NAME"'),
        ("unix-dgram://@", "no name after the @", 'write "unix-dgram://@NAME"'),
        ("unix://run/x", "relative path", 'write "unix:///run/x"'),
        ("http://192.0.2.1:8080/", "unknown scheme", 'write "tcp://192.0.2.1:8080"'),
        ("http://192.0.2.1/", "unknown scheme", 'write "tcp://192.0.2.1:80"'),
        ("https://192.0.2.1", "unknown scheme", 'write "tcp://192.0.2.1:443"'),
        ("sctp://*:80", "unknown scheme", _USAGE),
        ("frob", "no scheme", _USAGE),
        ("", "no scheme", _USAGE),
        ("tcp://", "not host:port", _USAGE),
        ("tcp://::1:80", "IPv6 address without brackets", 'write "tcp://[::1]:80"'),
        ("tcp://*", "no port", 'write "tcp://*:PORT"'),
        ("tcp://*:", "no port", 'write "tcp://*:PORT"'),
        ("tcp://*:80/", "a path after the port", 'write "tcp://*:80"'),
        ("tcp://www.example.org:80", "a host name", "write the address"),
        ("tcp://localhost.:80", "a host name", "write the address"),
        ("tcp://1.2.3:80", "not an IPv4 address", "write four numbers of 0 to 255, without leading zeros"),
        ("tcp://[1.2.3.4]:80", "not an IPv6 address", 'write "tcp://[::1]:PORT"'),
        ("tcp6://192.0.2.1:80", "an IPv4 address with tcp6", 'write "tcp4://192.0.2.1:80"'),
        ("udp4://[::1]:80", "an IPv6 address with udp4", 'write "udp6://[::1]:80"'),
        ("tcp://[::ffff:192.0.2.1]:80", "an IPv4-mapped address", "write 192.0.2.1, without brackets"),
        ("tcp://[fe80::1]:80", "a link-local address without its interface", "write [fe80::1%eth0]"),
        (
            "tcp://[2001:db8::1%eth0]:80",
            "an interface on an address that is not link-local",
            "write [2001:db8::1]",
        ),
        ("tcp://*:0", "no such port", "write 1 to 65535"),
        ("tcp://*:65536", "no such port", "write 1 to 65535"),
        ("tcp://*:" + "9" * 5_000, "no such port", "write 1 to 65535"),
        ("tcp://*:tftp", '/etc/services has no "tftp" for tcp', "write the number"),
        ("tcp://*:\uff18\uff10", '/etc/services has no "\uff18\uff10" for tcp', "write the number"),
        ("unix:///", "no path", _USAGE),
        ("unix:///run/", "a folder", "write the path of the socket"),
        ("unix:///" + "ä" * 54, "109 bytes of path", "use at most 107"),
        ("unix:///run/\x1b[2J", "a control character in the path", "remove it"),
    ],
)
def test_what_is_no_address_says_what_was_probably_meant(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(RejectedError) as raised:
        parse_listen(text, _lookup)
    (finding,) = raised.value.findings
    assert (finding.problem, finding.remedy) == (problem, remedy)


def test_the_meant_value_is_itself_an_address() -> None:
    for text in (
        "80",
        "127.0.0.1:80",
        ":80",
        "tcp:80",
        "tcp://::1:80",
        "/run/x",
        "unix://run/x",
        "tcp://*:80/",
    ):
        with pytest.raises(RejectedError) as raised:
            parse_listen(text, _lookup)
        meant = raised.value.findings[0].remedy.removeprefix('write "').removesuffix('"')
        assert parse_listen(meant, _lookup).text == meant


_NEARLY = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "tcp", "udp6", "unix", "unix-dgram", "http"]),
    st.sampled_from(["", ":", "://", ":/"]),
    st.sampled_from(["", "*", "localhost", "127.0.0.1", "[::1]", "[fe80::1%e]", "::1", "/run/x", "@x"])
    | st.text(),
    st.sampled_from(["", ":", ":80", ":http", "/"]) | st.text(),
)


@given(_NEARLY)
def test_every_text_is_an_address_or_is_rejected(text: str) -> None:
    try:
        listen = parse_listen(text, _lookup)
    except RejectedError as error:
        assert all(finding.problem and finding.remedy for finding in error.findings)
    else:
        assert listen.text == text
        assert bool(listen.path) == listen.scheme.is_unix
        assert listen.scheme.is_unix or 1 <= listen.port <= 65535
