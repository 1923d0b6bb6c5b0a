"""The command line of superd-xinetd, and the folders of superctl import."""

from __future__ import annotations

from pathlib import Path

import pytest

from superd.cli import superctl, xinetd
from superd.errors import Exit

SERVICE = (
    "service {name}\n{{\ntype = UNLISTED\nport = {port}\n"
    "socket_type = stream\nwait = no\nuser = u\nserver = /x\n}}\n"
)


def usage(argv: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        xinetd.main(argv)
    return caught.value.code


@pytest.mark.parametrize(
    ("argv", "settings"),
    [
        ([], {}),
        (["-d", "-filelog", "/x"], {"log": "stderr"}),
        (["-filelog", "/x"], {"log": "/x"}),
        (["-syslog", "authpriv"], {"log": "syslog", "syslog_facility": "authpriv"}),
        (["-limit", "9", "-stayalive", "-reuse", "-cc", "60", "-logprocs", "5"], {"max_connections": 9}),
    ],
)
def test_options_become_settings(argv: list[str], settings: dict[str, object]) -> None:
    assert xinetd.wishes_of(xinetd.parser().parse_args(argv)).settings == settings


def test_inetd_conf_is_read_too_when_asked_for() -> None:
    assert xinetd.wishes_of(xinetd.parser().parse_args(["-inetd_compat"])).beside == ("/etc/inetd.conf",)


@pytest.mark.parametrize(
    "argv", [["-filelog", "/x", "-syslog", "daemon"], ["-limit", "x"], ["-nonsense"], ["-syslog", "x"]]
)
def test_usage_errors(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(argv) == Exit.USAGE
    assert "superd-xinetd:" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert xinetd.main(["-dontfork", "-f", str(tmp_path / "none")]) == Exit.CONFIG
    assert "none" in capsys.readouterr().err


def test_a_folder_of_xinetd_is_imported_as_includedir_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for port, name in enumerate(("a", "b.conf", "README"), 7000):
        text = "Read this.\n" if name == "README" else SERVICE.format(name=name.partition(".")[0], port=port)
        (tmp_path / name).write_text(text)
    assert superctl.main(["import", str(tmp_path)]) == Exit.OK
    out, err = capsys.readouterr()
    assert "[services.a]" in out
    assert "[services.b]" not in out
    assert "b.conf: left out, since xinetd reads no file with a dot" in err
    assert "README: left out, no other super-server's file" in err


def test_a_folder_of_units_is_its_sockets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.socket").write_text("[Socket]\nListenStream=7000\n")
    (tmp_path / "a.service").write_text("[Service]\nExecStart=/x\n")
    assert superctl.main(["import", str(tmp_path)]) == Exit.OK
    out, err = capsys.readouterr()
    assert 'listen = ["tcp://*:7000"]' in out
    assert "a.service: left out, since it is read with its socket" in err


def test_a_folder_of_authbind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "byport").mkdir()
    (tmp_path / "byport/80").touch(0o755)
    assert superctl.main(["import", str(tmp_path)]) == Exit.OK
    assert "[[grants]]" in capsys.readouterr().out
