"""Any text, many rules, and the verdicts of the real program about hosts.allow and hosts.deny."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from superd.errors import ConfigError
from superd.policy.hosts_access import HostsAccess, Rules, parse_rules

from .hosts_files import SSHD, address, allow_rules, ask, deny_rules

_ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("SUPERD_CORPUS", _ROOT.parent / "shared/corpus"))

_nets = st.builds(
    lambda value, length: str(ipaddress.ip_network((value << 24, length), strict=False)),
    st.integers(0, 3),
    st.integers(6, 9),
)


@given(
    st.lists(
        st.tuples(
            _nets, st.sampled_from(["", ":deny"]), st.sampled_from(["sshd", "sshd@192.0.2.", "in.ftpd"])
        )
    ),
    st.integers(0, 3),
)
def test_the_first_of_many_rules_decides(rules: list[tuple[str, str, str]], client: int) -> None:
    """Rules that are networks alone are found by table, the others one by one: the order stays that of the file."""
    text = "".join(f"{daemons}: {net} {option}\n" for net, option, daemons in rules)
    value = client << 24
    first = next(
        (
            number
            for number, (net, _, daemons) in enumerate(rules, 1)
            if daemons != "in.ftpd" and ipaddress.IPv4Address(value) in ipaddress.IPv4Network(net)
        ),
        None,
    )
    verdict = HostsAccess(allow_rules(text), deny_rules("")).verdict(SSHD, 4, value, *address("192.0.2.1"))
    if first is None:
        assert verdict.rule.startswith("no rule")
    else:
        assert verdict.rule.startswith(f"hosts.allow:{first} ")
        assert verdict.allowed is not (rules[first - 1][1] == ":deny")


_PIECES = [
    "sshd",
    "ALL",
    "EXCEPT",
    "LOCAL",
    "10.",
    "1.2.3.4",
    "/",
    "24",
    "[",
    "]",
    "::",
    "fe80::1",
    "%",
    "@",
    ":",
    "\\",
    "\n",
]
_PIECES += [
    "*",
    "?",
    ".",
    ",",
    " ",
    "\t",
    "\r",
    "#",
    "=",
    "allow",
    "deny",
    "spawn",
    "\0",
    "é",
    "\ud800",
    "\udcff",
    "²",
]
texts = st.text() | st.lists(st.sampled_from(_PIECES), max_size=60).map("".join)


@given(texts, st.booleans(), st.sampled_from(["192.0.2.7", "2001:db8::1", "0.0.0.0", "fe80::1"]))
@example("ALL: [2001:db8::]/²\n", True, "2001:db8::1")
def test_any_text(text: str, grants: bool, client: str) -> None:
    try:
        rules = parse_rules(text, "f", grants=grants)
    except ConfigError as error:
        assert "\0" in text
        assert len(error.faults) == 1
        return
    for fault in (*rules.warnings, *rules.faults_for(SSHD)):
        assert str(fault).isprintable()
        assert fault.remedy
    nothing = Rules("g")
    for files in (HostsAccess(rules, nothing), HostsAccess(nothing, rules)):
        for name in rules.names:
            assert name.isascii()
            files.resolved(name, [address(client)])
        assert files.verdict(SSHD, *address(client), *address("192.0.2.1"), 22).rule.isprintable()


# Vectors of the real program, where they are at hand

_TCPDMATCH = CORPUS / "vectors/hosts_access_tcpdmatch.tsv"
_AUGEAS = CORPUS / "vectors/augeas_hosts_access_inputs.txt"
OTHERWISE = {
    "sshd: UNKNOWN": "tcpdmatch knows no name of a numeric client; superd never asks for one, so nobody is unknown"
}


@pytest.mark.skipif(not _TCPDMATCH.exists(), reason=f"no {_TCPDMATCH}")
def test_the_verdicts_of_tcpdmatch() -> None:
    differing = set()
    for line in _TCPDMATCH.read_text().splitlines()[2:]:
        rule, client, access = line.split("\t")[:3]
        allow = rule.replace("\\\\n", "\\\n") + "\n"
        if ask(client, allow, local="0.0.0.0", port=0).allowed is not (access == "granted"):
            differing.add(rule)
    assert differing == set(OTHERWISE)


@pytest.mark.skipif(not _AUGEAS.exists(), reason=f"no {_AUGEAS}")
def test_files_that_others_parse() -> None:
    for grants in (True, False):
        rules = parse_rules(_AUGEAS.read_text(), "f", grants=grants)
        assert len(rules.rules) > 10
        assert [fault for fault in rules.faults_for(SSHD) if not fault.remedy] == []
