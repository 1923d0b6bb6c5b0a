"""An environment_file means what systemd.exec(5) says of EnvironmentFile=, but no line of it is overlooked."""

from __future__ import annotations

import pytest

from superd.config.envfile import parse_environment_file


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("A=1", {"A": "1"}),
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\n  \n# A=1\n ; B=2\nC=3", {"C": "3"}),
        ("# not joined \\\nA=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=\nB=2", {"A": "", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        (" A = 1 ", {"A": "1"}),
        ("A=b=c", {"A": "b=c"}),
        ("A=one  two", {"A": "one  two"}),
        ("A=x # no comment", {"A": "x # no comment"}),
        ("A=$HOME `id`", {"A": "$HOME `id`"}),
        ("A='one two'", {"A": "one two"}),
        ('A="one two"  ', {"A": "one two"}),
        ("A=' '", {"A": " "}),
        ('A=""', {"A": ""}),
        ("A=don't", {"A": "don't"}),
        ('A=a"b"', {"A": 'a"b"'}),
        ("A='a\"b'", {"A": 'a"b'}),
        ('A="a\'b"', {"A": "a'b"}),
        ("A='one\ntwo'\nB=2", {"A": "one\ntwo", "B": "2"}),
        ('A="one\ntwo"\nB=2', {"A": "one\ntwo", "B": "2"}),
        ("A='one'\"two\"three", {"A": "onetwothree"}),
        ("A=one\\\ntwo\nB=2", {"A": "onetwo", "B": "2"}),
        ('A="one\\\ntwo"', {"A": "onetwo"}),
        ("A='one\\\ntwo'", {"A": "one\\\ntwo"}),
        ("A=one\\", {"A": "one"}),
        ("A=a\\b\\\\c", {"A": "ab\\c"}),
        ("A=\\'x", {"A": "'x"}),
        ("A=x\\ ", {"A": "x "}),
        ("A='a\\b'", {"A": "a\\b"}),
        ('A="a\\"b\\\\c\\$d\\`e\\f"', {"A": 'a"b\\c$d`e\\f'}),
        ("A=caf\xe9\u2028\x85\x0cx", {"A": "caf\xe9\u2028\x85\x0cx"}),
    ],
)
def test_what_is_written_is_what_the_child_gets(text: str, variables: dict[str, str]) -> None:
    assert parse_environment_file(text) == variables


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("secret", "line 1: not NAME=value"),
        ("A=1\n\nsecret\n", "line 3: not NAME=value"),
        ("export A=secret", "line 1: not NAME=value"),
        ("1A=secret", "line 1: not NAME=value"),
        ("A-B=secret", "line 1: not NAME=value"),
        ("=secret", "line 1: not NAME=value"),
        ("\xc4=secret", "line 1: not NAME=value"),
        ("A='two\nlines'\nsecret", "line 3: not NAME=value"),
        ("A=one\\\ntwo\nsecret", "line 3: not NAME=value"),
        ("A=1\nB='secret", "line 2: no closing quote"),
        ('A="secret\\"', "line 1: no closing quote"),
        ("A=sec\0ret", "line 1: NUL"),
        ("A=1\n\n PROTO =secret", "line 3: superd sets PROTO"),
        ("LISTEN_FDS=secret", "line 1: superd sets LISTEN_FDS"),
        ("TCPREMOTEIP=secret", "line 1: superd sets TCPREMOTEIP"),
        ("UDPREMOTEIP=secret", "line 1: superd sets UDPREMOTEIP"),
        ("UDPLOCALIP=secret", "line 1: superd sets UDPLOCALIP"),
        ("UNIXREMOTEEUID=secret", "line 1: superd sets UNIXREMOTEEUID"),
    ],
)
def test_a_mistake_is_told_by_its_line_and_never_its_content(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_environment_file(text)
    assert str(caught.value) == problem
