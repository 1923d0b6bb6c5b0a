"""superd's verdicts about hosts.allow and hosts.deny, and those of tcpd's own tcpdmatch(8) on the same files."""

from __future__ import annotations

import ipaddress
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superd.policy.hosts_access import HostsAccess, parse_rules

TCPDMATCH = "/usr/sbin/tcpdmatch"

pytestmark = [pytest.mark.live, pytest.mark.needs(TCPDMATCH)]

SERVER = "127.0.0.1"

# not 255.255.255.255, which is no client's and which libwrap takes for none
CLIENTS = (
    "192.0.2.7",
    "192.0.2.77",
    "10.0.0.1",
    "0.0.0.0",
    "255.0.0.1",
    "::ffff:192.0.2.7",
    "2001:db8::1",
    "::1",
)

# whatever superd obeys as tcpd does, right or wrong
_FOUR = "192.0.2.7 192.0.2. 192. 10.0.0.1 192.0.2 192.0.2.007 .0.1 .7 . 255.255.255.255 0.0.0.0 0xc0.0.2.7"
_NETS = "192.0.2.0/24 192.0.2.7/24 192.0.2.7/32 192.0.2.0/33 192.0.2.0/ 0.0.0.0/0 192.0.2/24 192.0.2./24"
_MASKS = "10.0.0.0/255.0.0.0 192.0.0.7/255.255.0.255 0300.0.02.0/0xff.255.255.0 0.0.0.0/0.0.0.0"
_NO_MASKS = "192.0.2.7/255.255.255.255 10.0.0.0/255.0.0 1.2.3.4/x"
_SIX = "[2001:db8::1] [2001:DB8::]/32 [2001:db8::1]/16 [::]/0 [fe80::]/10 [fe80::]/129 [::1] [] [::1/64]"
_STARS = "192.0.?.* * ** 192* *7 192.0.2.7** ?* *.*.*.?? 1?2.* ?.*"
_WORDS = "ALL all PARANOID EXCEPT EXCEPT except # a!b gw.example.net [::ffff:192.0.2.7]"
_DAEMONS = "sshd SSHD ALL in.ftpd s?hd *d ssh. .hd KNOWN 22 0 sshd@127.0.0.1 ALL@127. sshd@10.0.0.1 sshd@127.* EXCEPT"


def words(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(" ".join(texts).split())


def lists(word: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    blanks = st.sampled_from([" ", ", ", ",", "\t", " \\\n ", "  "])
    return st.lists(st.tuples(word, blanks), min_size=1, max_size=6).map(
        lambda pairs: "".join(map("".join, pairs))
    )


rules = st.tuples(
    lists(words(_DAEMONS)),
    lists(words(_FOUR, _NETS, _MASKS, _NO_MASKS, _SIX, _STARS, _WORDS)),
    st.sampled_from(["", "", "", ": allow", ":DENY", ": allow ="]),
).map(lambda parts: f"{parts[0]}: {parts[1]}{parts[2]}\n")
oddities = st.sampled_from(
    ["# sshd: ALL\n", " # sshd: ALL\n", "#\\\nsshd: ALL\n", "sshd ALL\n", "]sshd: ALL\n", "\n", " \n"]
)
ends = st.sampled_from(
    ["", "", "", "", "sshd: ALL", "#", "\\\n", f"sshd:{' ' * 2042}\n", f"sshd:{' ' * 2041}\n", " " * 3000]
)
files = st.tuples(st.lists(rules | rules | oddities, max_size=4).map("".join), ends).map("".join)


@settings(max_examples=60, deadline=None)
@given(files, files, st.sampled_from([SERVER, None]))
def test_the_same_verdict_as_tcpdmatch(allow: str, deny: str, server: str | None) -> None:
    files = HostsAccess(
        parse_rules(allow, "hosts.allow", grants=True), parse_rules(deny, "hosts.deny", grants=False)
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "hosts.allow").write_text(allow)
        Path(folder, "hosts.deny").write_text(deny)
        Path(folder, "inetd.conf").touch()
        for client in CLIENTS:
            verdict = files.verdict(
                ("sshd",), *_address(client), *_address(server or "0.0.0.0"), 0 if server else -1
            )
            assert (verdict.allowed, client) == (_tcpdmatch(folder, client, server), client)


def _address(text: str) -> tuple[int, int]:
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (4, int(mapped)) if mapped is not None else (address.version, int(address))


def _tcpdmatch(folder: str, client: str, server: str | None) -> bool:
    daemon = "sshd" if server is None else f"sshd@{server}"
    command = [TCPDMATCH, "-d", "-i", "inetd.conf", daemon, client]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    match = re.search(r"^access:   (granted|denied)$", done.stdout, re.MULTILINE)
    assert match is not None, done.stdout + done.stderr
    return match[1] == "granted"
