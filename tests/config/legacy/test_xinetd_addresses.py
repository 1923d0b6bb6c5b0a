"""only_from and no_access as rules of superd, held against what xinetd itself decided where those records are."""

from __future__ import annotations

import csv

import pytest
from helpers.corpus import corpus_file
from hypothesis import given
from hypothesis import strategies as st

from superd.config.legacy.xinetd.addresses import rules_of
from superd.config.legacy.xinetd.values import BadValueError
from superd.policy.access import AccessList, parse_rule
from superd.policy.networks import parse_address


@pytest.mark.parametrize(
    ("word", "rules"),
    [
        ("192.168.1.0", ("192.168.1.0/24",)),
        ("10.0.0.0", ("10.0.0.0/8",)),
        ("0.0.0.0", ("0.0.0.0/0",)),
        ("172.16.{1,2}", ("172.16.1.0/24", "172.16.2.0/24")),
        ("10.{1,2}", ("10.1.0.0/16", "10.2.0.0/16")),
        ("192.0.2.{7,9}", ("192.0.2.7", "192.0.2.9")),
        ("127.1", ("127.0.0.1",)),
        ("192.0.2.77/24", ("192.0.2.0/24",)),
        ("192.0.2.0/255.255.255.0", ("192.0.2.0/24",)),
        ("2001:db8::1", ("2001:db8::1",)),
        ("2001:db8::/32", ("2001:db8::/32",)),
        ("::ffff:192.0.2.1", ("192.0.2.1",)),
        ("::/0", ("::/0", "0.0.0.0/0")),
        ("gw.example.net", ("gw.example.net",)),
        ("192.0.2.1,192.0.2.2,", ("192.0.2.1", "192.0.2.2")),
    ],
)
def test_rules(word: str, rules: tuple[str, ...]) -> None:
    assert rules_of(word).texts == rules


@pytest.mark.parametrize(
    "word",
    ["127.{1,2}.2.3", "1.2.{}", "1.2.{3", "1.2.{300}", "1.2.3.4/33", "::", ".example.org", "1.2.3.4/255.0.255.0", ",",
     "a_b!", "1.2.3.256"],
)  # fmt: skip
def test_what_is_no_rule_is_refused(word: str) -> None:
    with pytest.raises(BadValueError):
        rules_of(word)


@given(st.text(max_size=40))
def test_any_word_is_rules_that_superd_takes_or_refused(word: str) -> None:
    try:
        rules = rules_of(word)
    except BadValueError:
        return
    for text in rules.texts:
        parse_rule(text)


_DIFFERENT = {
    "127.0.0.1,127.1.2.3": "a comma is mended",
    "127": "to xinetd it is 0.0.0.127",
    "localhost": "xinetd asks what the client is called, and nobody answered it",
    "": "an empty list switches the service off",
}


def _recorded() -> list[tuple[str, str, str, bool]]:
    path = corpus_file("vectors/xinetd_access_matrix.tsv")
    if path is None:
        return []
    rows = list(csv.reader(path.read_text().splitlines(), delimiter="\t"))
    return [
        (row[0], row[1], row[2], row[3] == "allow")
        for row in rows
        if len(row) == 4 and row[3] in ("allow", "deny")
    ]


def test_every_recorded_decision_is_superds_too() -> None:
    for attribute, pattern, client, allowed in _recorded():
        if pattern in _DIFFERENT:
            continue
        allow, _, deny = pattern.partition("|") if attribute == "both" else (pattern, "", "")
        try:
            first = [text for word in allow.split() for text in rules_of(word).texts]
            second = [text for word in deny.split() for text in rules_of(word).texts]
        except BadValueError:
            assert not allowed, (pattern, client)  # the service is off
            continue
        rules = AccessList(first, second) if attribute != "no_access" else AccessList([], first)
        if attribute == "both" and _is_on_both(first, second, client):
            continue  # xinetd refuses, superd goes by what its manual says: the more specific decides
        assert rules.verdict(*parse_address(client)).allowed == allowed, (attribute, pattern, client)


def _is_on_both(first: list[str], second: list[str], client: str) -> bool:
    address = parse_address(client)
    return all(AccessList(rules, []).verdict(*address).allowed for rules in (first, second))
