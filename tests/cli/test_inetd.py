"""superd-inetd: the options of the inetds."""

from __future__ import annotations

import os

import pytest

from superd.cli import inetd
from superd.config.legacy.wishes import Wishes
from superd.errors import Exit


def wishes(*words: str) -> Wishes:
    return inetd.wishes_of(inetd.parser().parse_args(words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), Wishes()),
        (("-R", "100", "/etc/inetd.conf"), Wishes(rate_per_min=100)),
        (("-R0",), Wishes(rate_per_min=0)),
        (("--rate=5",), Wishes(rate_per_min=5)),
        (("-wW", "-C", "60", "-c", "9", "-s3"), Wishes(
            tcpd_asked=True, children=9, children_per_source=3, per_source_per_min=60
        )),
        (("-l", "-i", "-E"), Wishes(tcpd_asked=True)),
        (("-l", "--dialect", "freebsd"), Wishes(dialect="freebsd")),
        (("-a", "127.0.0.1", "-q", "128"), Wishes(hosts=("127.0.0.1",), backlog=128)),
        (("-d",), Wishes(settings={"log": "stderr"})),
        (("--debug", "--environment", "--resolve"), Wishes(settings={"log": "stderr"})),
    ],
)  # fmt: skip
def test_options_say_how_the_file_is_read(words: tuple[str, ...], expected: Wishes) -> None:
    assert wishes(*words) == expected


@pytest.mark.parametrize("words", [("-p", "/x/pid"), ("-p/x/pid",), ("--pidfile=/x/pid",)])
def test_the_pid_file_is_named_in_three_ways(words: tuple[str, ...]) -> None:
    options = inetd.parser().parse_args([*words, "/etc/other.conf"])
    assert inetd.pid_file_of(options) == "/x/pid"
    assert options.file == "/etc/other.conf"


def test_roots_inetd_leaves_its_pid_where_scripts_look() -> None:
    options = inetd.parser().parse_args([])
    assert options.file == "/etc/inetd.conf"
    assert inetd.pid_file_of(options) == ("/run/inetd.pid" if os.geteuid() == 0 else "")
    assert inetd.pid_file_of(inetd.parser().parse_args(["-d"])) == ""


def test_version_and_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for words, code in ((["--version"], Exit.OK), (["-R", "many"], Exit.USAGE), (["-x"], Exit.USAGE)):
        with pytest.raises(SystemExit) as caught:
            inetd.main(words)
        assert caught.value.code == code
    out, err = capsys.readouterr()
    assert out.startswith("superd-inetd (superd ")
    assert "many is not a number" in err
