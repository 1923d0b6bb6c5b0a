"""The daemon's command line: what it says, where, and with which exit code."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from superd import __version__
from superd.cli import superd
from superd.errors import Exit

GOOD = '[services.ftp]\nlisten = ["tcp://127.0.0.1:2121"]\nexec = ["/bin/true"]\nuser = "nobody"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "superd.toml"
    path.write_text(GOOD)
    path.chmod(0o600)
    return path


def usage(argv: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        superd.main(argv)
    return caught.value.code


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(["--version"]) == Exit.OK
    assert capsys.readouterr().out == f"superd {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--no-such"], "unrecognized arguments: --no-such"),
        (["-f"], "argument -f: expected one argument"),
        (["file"], "unrecognized arguments: file"),
        (["--no-system"], "--no-system goes with --check"),
    ],
)
def test_usage_errors_exit_as_sysexits_has_it(
    argv: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage(argv) == Exit.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: superd ")
    assert err.endswith(f"superd: {problem}\n")


def test_a_good_configuration_is_called_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert superd.main(["-f", str(config), "--check", "--no-system"]) == Exit.OK
    assert capsys.readouterr().out == f"superd: {config}: 1 service, no faults\n"


def test_all_faults_are_told_on_standard_error(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(GOOD.replace("nobody", "no-such-user").replace("/bin/true", "/no/such/program"))
    assert superd.main(["-f", str(config), "--check"]) == Exit.CONFIG
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 2
    assert all(line.startswith(f"superd: {config}: services.ftp.") for line in err.splitlines())


def test_what_depends_on_this_machine_can_be_left_out(config: Path) -> None:
    config.write_text(GOOD.replace("nobody", "no-such-user").replace("/bin/true", "/no/such/program"))
    assert superd.main(["-f", str(config), "--check", "--no-system"]) == Exit.OK


def test_a_service_that_is_switched_off_may_lack_anything(config: Path) -> None:
    config.write_text(GOOD.replace("nobody", "no-such-user") + "enabled = false\n")
    assert superd.main(["-f", str(config), "--check"]) == Exit.OK


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            'log = "{folder}/none/log"',
            'superd.log = "{folder}/none/log": its folder does not exist; name a file',
        ),
        ('log = "{folder}"', 'superd.log = "{folder}": a folder; name a file'),
        ('control_group = "no-such-group"', 'superd.control_group = "no-such-group": no group '),
        ('control_admin_group = "no-such-group"', 'superd.control_admin_group = "no-such-group": no group '),
    ],
)
def test_what_the_daemon_itself_lacks_is_told(
    config: Path, line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(f"[superd]\n{line.format(folder=config.parent)}\n")
    assert superd.main(["-f", str(config), "--check"]) == Exit.CONFIG
    assert f"superd: {config}: {told.format(folder=config.parent)}" in capsys.readouterr().err
    assert superd.main(["-f", str(config), "--check", "--no-system"]) == Exit.OK


def test_a_check_makes_no_log(config: Path) -> None:
    config.write_text(f'[superd]\nlog = "{config.parent}/log"\n')
    assert superd.main(["-f", str(config), "--check"]) == Exit.OK
    assert not (config.parent / "log").exists()


def test_faults_of_the_text_count_without_the_machine_too(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(GOOD + "no_such_key = 1\n")
    assert superd.main(["-f", str(config), "--check", "--no-system"]) == Exit.CONFIG
    assert "services.ftp.no_such_key" in capsys.readouterr().err


def test_a_configuration_may_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(GOOD))
    assert superd.main(["-f", "-", "--check", "--no-system"]) == Exit.OK
    assert capsys.readouterr().out == "superd: standard input: 1 service, no faults\n"


def test_warnings_are_no_faults(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("")
    assert superd.main(["-f", str(config), "--check", "--no-system"]) == Exit.OK
    assert capsys.readouterr().err.startswith("superd: warning: ")


@pytest.mark.parametrize("argv", [[], ["--check"]])
def test_a_missing_file_is_a_fault(
    tmp_path: Path, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "missing.toml"
    assert superd.main(["-f", str(path), *argv]) == Exit.CONFIG
    assert capsys.readouterr().err.startswith(f"superd: {path}: ")


def test_the_package_runs_as_the_program(config: Path) -> None:
    command = [sys.executable, "-m", "superd", "-f", str(config), "--check", "--no-system"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"superd: {config}: 1 service, no faults\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's services need not name a user")
def test_what_the_file_has_wrong_and_what_the_machine_lacks_are_told_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "superd.toml"
    path.write_text(
        '[services.x]\nlisten = ["tcp://*:99999"]\nexec = ["/no/such/program"]\nuser = "no-such-user"\nusr = "y"\n'
    )
    path.chmod(0o600)
    assert superd.main(["-f", str(path), "--check"]) == Exit.CONFIG
    told = capsys.readouterr().err
    for key in ("services.x.usr", "services.x.listen", "services.x.exec", "services.x.user"):
        assert f"{path}: {key}" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's services need not name a user")
@pytest.mark.parametrize(
    ("program", "lines"),
    [
        (
            '["/no/such/program", 5]',
            [
                'exec = 5: not a string; write "5"',
                'user = "no-such-user": no user "no-such-user"; create it, or write its number',
                'exec = "/no/such/program": no such program (No such file or directory); install it, or name another',
            ],
        ),
        (
            '"/no/such/program"',
            [
                'exec = "/no/such/program": not a list; write ["/no/such/program"]',
                'user = "no-such-user": no user "no-such-user"; create it, or write its number',
            ],
        ),
    ],
)
def test_a_faulty_exec_hides_nothing_that_the_machine_lacks(
    config: Path, program: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(f'[services.ftp]\nlisten = ["tcp://*:21"]\nexec = {program}\nuser = "no-such-user"\n')
    assert superd.main(["-f", str(config), "--check"]) == Exit.CONFIG
    told = capsys.readouterr().err.splitlines()
    assert told == [f"superd: {config}: services.ftp.{line}" for line in lines]
