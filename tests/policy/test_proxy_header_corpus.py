"""The PROXY header against the vectors of other projects, and what HAProxy and nginx did with them.

Where they differ the specification decides (HAProxy's doc/proxy-protocol.txt, 2020/03/05), and it is what § means.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

import pytest
from helpers.corpus import corpus_file

from superd.policy.proxy_header import HeaderError, parse

End = tuple[bytes, int]

# A verdict on a vector is "refused", "incomplete", "local", or a pair of ends, the second None where nothing is said.
Verdict = str | tuple[End, End | None]

# What was sent behind each vector, so that a header cut short was filled up with it.
_TO_HAPROXY = b"PAYLOAD-MARK"
_TO_NGINX = b"GET / HTTP/1.0\r\n\r\n"
_HAPROXY_ITSELF = "127.0.0.1:24000"

HAPROXY, NGINX = "HAProxy 2.6", "nginx 1.22"
SUITES = ("go-proxyproto", "nginx-tests", "gunicorn", "twisted", "icgood", "aiosmtpd", "haproxy")

FAMILY = (
    "§2.1: the advertised family dictates the format of the addresses; nginx hands on what it cannot read"
)
LENGTH = "§2.1: without CRLF in the first 107 bytes the line is invalid"
BLANKS = "§2.1: exactly one space, and a port is a number; HAProxy reads nothing as 0"
ZEROS = "§2.1: heading zeroes are not permitted, to avoid confusion with octal numbers"
RANGE = "§2.1: a port is in [0..65535]; HAProxy keeps the lower 16 bits"
TRAILING = "§2.1: CRLF follows the second port; HAProxy ignores what stands between"
UNKNOWN = "§2.1: the receiver must ignore anything before the CRLF; HAProxy 2.6 knows the short form alone"
LINE_FEED = (
    "§2.1: a single LF must not be tolerated as the end; nginx reads on into the request, to the next CRLF"
)
NO_CRLF = "§2.1: the receiver must wait for the CRLF; this function of twisted's is given lines without it"
MAPPED = (
    "the same address, and one spelling for it everywhere in superd; the specification says nothing of it"
)
COMMAND = "§2.2: receivers must drop connections with an unassigned command; nginx takes it for LOCAL"
KIND = "§2.2: unspecified families and transports must be rejected; nginx takes them for unspecified"
LOCAL = "§2.2, LOCAL: the block is discarded, with the family, which is ignored"
LOCAL_SHOWN = "§2.2, LOCAL: the receiver must use the real endpoints; aiosmtpd shows the others to its caller"
UNSPECIFIED = "§2.2: a receiver is free to use the real endpoints or to reject; HAProxy rejects"
UNIX = "§2.2: a receiver may take for unspecified what it does not support, and superd knows no end without address"
UNIX_REFUSED = "§2.2: the same, and of what is unspecified a receiver is free to reject it, as HAProxy does"
DATAGRAM = (
    "§2.2, PROXY: the receiver must use the addresses; it may do without UDP, but would judge the proxy"
)
TLVS = "§2.2: what follows the addresses is arranged in TLVs; nginx does not look at them"
TOO_LONG = "§2: a header fits in 536 bytes; of one that says 61,696 superd does not wait for the end"
GUESSED = "§2: the receiver must not try to guess whether there is a header"

DIFFERENCES = {
    # version 1: addresses
    "12b3a96c": {NGINX: FAMILY},  # TCP4 with mapped addresses
    "4fa78deb": {NGINX: FAMILY},  # TCP6 with IPv4 addresses
    "acfb4f70": {NGINX: FAMILY},  # TCP6 with an IPv4 source
    "86ba2343": {NGINX: FAMILY},  # TCP4 with IPv6 addresses
    "d7ce8e22": {NGINX: FAMILY},  # TCP6 with an IPv4 source
    "205e56a2": {HAPROXY: ZEROS, NGINX: ZEROS},
    "b332258e": {"go-proxyproto": MAPPED, HAPROXY: MAPPED, NGINX: MAPPED},
    # version 1: ports and what follows
    "5f5eee2b": {HAPROXY: BLANKS},  # no source port
    "15868485": {HAPROXY: BLANKS},  # two spaces before the last port
    "4f829daf": {HAPROXY: TRAILING},  # a space
    "66276e9a": {HAPROXY: TRAILING},  # a word
    "129d7aef": {HAPROXY: RANGE},  # source
    "b9e39a40": {HAPROXY: RANGE},  # destination
    # version 1: the end of the line
    "a62cb15c": {NGINX: LENGTH},
    "5ea4c057": {HAPROXY: UNKNOWN},
    "2e755fff": {HAPROXY: UNKNOWN},
    "514c6c63": {NGINX: LINE_FEED},
    "dc2cdc38": {"twisted": NO_CRLF},
    "a3ab0b79": {"twisted": NO_CRLF},
    "4b7975dd": {"twisted": NO_CRLF},
    "377a192f": {"twisted": NO_CRLF},
    # version 2: commands, families, transports
    "665747f0": {NGINX: COMMAND},
    "5f57b5a3": {NGINX: KIND},  # family 4
    "2104fc2b": {NGINX: KIND},  # transport 4
    "23cbdb79": {"aiosmtpd": LOCAL},  # transport 3
    "45db1e44": {"aiosmtpd": LOCAL},  # IPv6 with too few bytes
    "557fce90": {"aiosmtpd": LOCAL_SHOWN},
    "deff827c": {"aiosmtpd": LOCAL_SHOWN},
    "b9c0d00b": {"aiosmtpd": LOCAL_SHOWN},
    "9d78c388": {"aiosmtpd": LOCAL_SHOWN},
    "5f04b121": {"aiosmtpd": LOCAL_SHOWN},
    "e07314ed": {"aiosmtpd": LOCAL_SHOWN},
    "385aff43": {"aiosmtpd": LOCAL_SHOWN},  # unix
    "c28277af": {"aiosmtpd": LOCAL_SHOWN},  # unix
    "5ab150d1": {HAPROXY: UNSPECIFIED},  # family 0, transport 1
    "e79fdf15": {HAPROXY: UNSPECIFIED},  # family 0 with the addresses of IPv6
    "a2a5f9af": {HAPROXY: UNSPECIFIED},  # family 0 with those of unix
    "d18fe426": {HAPROXY: UNSPECIFIED},  # IPv6, transport 0
    "d58ed4f8": {HAPROXY: UNSPECIFIED},  # unix, transport 0
    "bac4931c": {HAPROXY: UNSPECIFIED},  # nothing
    "8359497c": {"go-proxyproto": UNIX, HAPROXY: UNIX_REFUSED},
    "42a4c989": {"twisted": UNIX, HAPROXY: UNIX_REFUSED},
    "a3f3726b": {"twisted": UNIX, HAPROXY: UNIX_REFUSED},
    "1cc9ef78": {HAPROXY: DATAGRAM, NGINX: DATAGRAM},  # IPv4
    "aa56be94": {HAPROXY: DATAGRAM, NGINX: DATAGRAM},  # IPv6
    # version 2: what follows the addresses
    "e9c1c0be": {NGINX: TLVS},
    "ccac64a2": {NGINX: TLVS},
    "0233f809": {"icgood": TOO_LONG},
    # neither
    "ef797c81": {"icgood": GUESSED},
}
"""How superd differs from the others and why, by the first letters of a vector's SHA-256."""


def _end(address: str, port: str) -> End:
    address = address.strip("[]")
    return inet_pton(AF_INET6 if ":" in address else AF_INET, address), int(port)


def _end_of(text: str | None) -> End | None:
    """Read the various spellings of the suites; None is an end that has no address and port."""
    match = re.fullmatch(r"\((?:IPv[46]Address)\('(.*)'\), (\d+)\)", text or "") or re.fullmatch(
        r"(\[.*\]|[0-9a-f:.]+):(\d+)", text or ""
    )
    return _end(*match.groups()) if match else None


def _of_suite(source: dict[str, Any]) -> Verdict:
    expected = source["expect"].partition(":")[0]
    if expected != "accept":
        return {"reject": "refused", "need-more": "incomplete"}[expected]
    end = _end_of(source.get("src"))
    if end:
        return end, _end_of(source.get("dst"))
    named = source.get("src") not in (None, "None", "None:None")
    return "unix" if named else "local"


def _of_haproxy(result: dict[str, Any]) -> Verdict:
    if not result["accept"]:
        return "refused"
    source, destination = result["addr"].split(">")
    if destination == _HAPROXY_ITSELF:
        return "local"
    end = _end_of(source)
    assert end
    return end, _end_of(destination)


def _of_nginx(result: dict[str, Any]) -> Verdict:
    if result.get("end") == "waiting" or result.get("status") == "400":
        return "accepted"  # the header was taken, and what was left of the request was none
    if not result["accept"]:
        return "refused"
    _, source, source_port, destination, destination_port = result["body"].split("|")
    if not source:
        return "local"
    source = re.sub(r"^0+(?=\d+\.)", "", source)  # it repeats what it was sent
    return _end(source, source_port), _end(destination, destination_port)


def _of_superd(data: bytes) -> Verdict:
    try:
        header = parse(data)
    except HeaderError:
        return "refused"
    if header is None:
        return "incomplete"
    if header.local:
        return "local"
    return (header.source, header.source_port), (header.destination, header.destination_port)


def _agree(other: Verdict, ours: Verdict) -> bool:
    """Whether superd does the same; a header that stays incomplete is refused when no more comes."""
    if other == "accepted":
        return ours not in ("refused", "incomplete")
    if other == "refused":
        return ours in ("refused", "incomplete")
    if isinstance(other, str) or isinstance(ours, str):
        return other == ours
    return other[0] == ours[0] and other[1] in (None, ours[1])


def _opinions(vector: dict[str, Any]) -> Iterator[tuple[str, Verdict, Verdict]]:
    """Who has an opinion on a vector, that opinion, and what superd does with the same bytes."""
    data = bytes.fromhex(vector["hex"])
    for source in vector["sources"]:
        yield next(name for name in SUITES if name in source["suite"]), _of_suite(source), _of_superd(data)
    yield HAPROXY, _of_haproxy(vector["haproxy_2.6.12_accept-proxy"]), _of_superd(data + _TO_HAPROXY)
    yield NGINX, _of_nginx(vector["nginx_1.22.1"]), _of_superd(data + _TO_NGINX)


def _load() -> list[dict[str, Any]]:
    path = corpus_file("vectors/proxy_protocol_vectors.json")
    vectors: list[dict[str, Any]] = json.loads(path.read_text()) if path else []
    return vectors


VECTORS = _load()


def _key(vector: dict[str, Any]) -> str:
    return hashlib.sha256(bytes.fromhex(vector["hex"])).hexdigest()[:8]


@pytest.mark.parametrize("vector", VECTORS, ids=map(_key, VECTORS))
def test_superd_does_as_the_others_but_for_a_reason(vector: dict[str, Any]) -> None:
    others = {name: (other, ours) for name, other, ours in _opinions(vector) if not _agree(other, ours)}
    assert others.keys() == DIFFERENCES.get(_key(vector), {}).keys(), others


@pytest.mark.parametrize("vector", VECTORS, ids=map(_key, VECTORS))
def test_superd_reads_as_much_as_haproxy(vector: dict[str, Any]) -> None:
    result = vector["haproxy_2.6.12_accept-proxy"]
    data = bytes.fromhex(vector["hex"]) + _TO_HAPROXY
    if not result["accept"] or _of_superd(data) == "refused":
        return
    header = parse(data)
    assert header
    rest = data[header.length :]
    assert (rest.removesuffix(_TO_HAPROXY) if result["payload_ok"] else rest).hex() == result["rest_hex"]


@pytest.mark.skipif(not VECTORS, reason="there is no corpus here")
def test_every_difference_is_of_a_vector() -> None:
    assert DIFFERENCES.keys() <= set(map(_key, VECTORS))
