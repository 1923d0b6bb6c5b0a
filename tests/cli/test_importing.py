"""superctl import: what it reads and writes, and which exit code a script gets."""

from __future__ import annotations

import argparse
import io
import json
import tomllib
from pathlib import Path

import pytest

from superd.cli import superctl, superd
from superd.errors import Exit

GOOD = "8021 stream tcp nowait nobody /usr/sbin/in.ftpd in.ftpd -l\n"
NOTED = "8022 stream tcp nowait.5 nobody /usr/sbin/sshd sshd -i\n"
FAULTY = "short line\n"


def write(folder: Path, text: str, name: str = "inetd.conf") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def run(*words: object) -> int:
    return superctl.main(["import", *map(str, words)])


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (GOOD, (), Exit.OK),
        (GOOD, ("--strict",), Exit.OK),
        (NOTED, (), Exit.OK),
        (NOTED, ("--strict",), Exit.REFUSED),
        (GOOD + FAULTY, (), Exit.DATA),
        (GOOD + FAULTY, ("--strict",), Exit.DATA),
        ("[services.ftp]\n", (), Exit.DATA),
        ("neither\n", (), Exit.DATA),
        (GOOD, ("--port", "nonsense"), Exit.USAGE),
    ],
)
def test_exit_codes(tmp_path: Path, text: str, options: tuple[str, ...], code: Exit) -> None:
    assert run(*options, write(tmp_path, text)) == code


def test_what_could_be_carried_is_written_beside_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(write(tmp_path, FAULTY + GOOD)) == Exit.DATA
    out, err = capsys.readouterr()
    assert list(tomllib.loads(out)["services"]) == ["8021"]
    assert f"{tmp_path}/inetd.conf:1: fault: 2 fields of 6: no protocol\n    short line\n" in err


def test_what_is_written_is_checked_without_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(write(tmp_path, GOOD + NOTED))
    monkeypatch.setattr("sys.stdin", io.StringIO(capsys.readouterr().out))
    assert superd.main(["--check", "--no-system", "-f", "-"]) == Exit.OK


def test_superds_own_output_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "superd.toml"
    assert run("-o", own, write(tmp_path, GOOD)) == Exit.OK
    assert run(own) == Exit.DATA
    assert (
        f"superctl: {own}: superd's own configuration already; run it: superd -f {own}"
        in capsys.readouterr().err
    )


def test_the_report_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, NOTED)
    run("--report", "json", path)
    report = json.loads(capsys.readouterr().err)
    assert report["dialect"] == "Debian's openbsd-inetd"
    assert report["files"] == [str(path)]
    assert report["remarks"][0]["key"] == "limits.rate"


def test_a_folder_is_all_its_files_but_what_was_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("b", NOTED), ("a", GOOD), ("a~", GOOD), ("c.dpkg-old", GOOD)):
        write(tmp_path, text, name)
    assert run(tmp_path) == Exit.OK
    out, err = capsys.readouterr()
    assert list(tomllib.loads(out)["services"]) == ["8021", "8022"]
    assert f"superctl: {tmp_path}/a~: left out; name it if it is meant" in err


def test_files_of_different_daemons_keep_their_own_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path, f"# $NetBSD$\n{NOTED.replace('.5', '')}", "netbsd.conf")
    assert run(write(tmp_path, GOOD), other) == Exit.OK
    services = tomllib.loads(capsys.readouterr().out)["services"]
    assert {name: one["limits"]["rate"] for name, one in services.items()} == {
        "8021": "256/min",
        "8022": "40/min",
    }


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", argparse.Namespace(buffer=io.BytesIO(GOOD.encode())))
    assert run("-") == Exit.OK
    assert "What stood in standard input" in capsys.readouterr().out


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/nonexistent/inetd.conf") == Exit.DATA
    assert "superctl: /nonexistent/inetd.conf: no such file or directory" in capsys.readouterr().err


def test_where_nothing_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-o", tmp_path / "no" / "out", write(tmp_path, GOOD)) == Exit.PERMISSION
    assert "no/out: No such file or directory" in capsys.readouterr().err
