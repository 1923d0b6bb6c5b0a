"""superd-inetd: the options of the inetds."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
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
def test_options_say_how_the_file_is_read(
    words: tuple[str, ...], expected: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "NOTIFY_SOCKET", "/run/systemd/notify"
    )  # in the background syslog is asked for, if it is there
    assert attrs.evolve(wishes(*words), usual=None, beside=(), folder="/") == expected


def test_l11_several_files_and_folders_are_read_together_as_gnus_inetd_does(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert (wishes("/a", folder).files, wishes("/a", folder).dialect) == (("/a", folder), "gnu")
    assert (wishes(folder).files, wishes(folder).dialect) == ((folder,), "")
    assert wishes("/a").files == ()
    assert wishes("--dialect", "debian", "/a", "/b").dialect == "debian"


def test_the_folder_of_gnus_inetd_is_read_too_unless_files_are_named() -> None:
    assert wishes().beside == ("/etc/inetd.d",)
    assert wishes("/a").beside == ()


def test_in_the_foreground_programs_run_where_inetd_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert wishes("-i").folder in (str(tmp_path), "/")  # nobody else may enter root's own folder
    monkeypatch.chdir("/usr")
    assert (wishes("-d").folder, wishes("-f").folder, wishes().folder) == ("/usr", "/usr", "/")
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    monkeypatch.chdir(closed)
    assert wishes("-i").folder == "/"


def test_a_service_manager_that_waits_for_a_word_keeps_it_in_the_foreground(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir("/usr")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert wishes().folder == "/usr"
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert wishes().folder == "/"


@pytest.mark.parametrize("words", [("-p", "/x/pid"), ("-p/x/pid",), ("--pidfile=/x/pid",)])
def test_the_pid_file_is_named_in_three_ways(words: tuple[str, ...]) -> None:
    options = inetd.parser().parse_args([*words, "/etc/other.conf"])
    assert inetd.pid_file_of(options) == "/x/pid"
    assert inetd.files_of(options) == ("/etc/other.conf",)


def test_roots_inetd_leaves_its_pid_where_scripts_look() -> None:
    options = inetd.parser().parse_args([])
    assert inetd.files_of(options) == ("/etc/inetd.conf",)
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
