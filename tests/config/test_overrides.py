"""``[override.NAME]``: above the service, in any file, and in a file of its own that is always read."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from superd.config.load import load
from superd.config.model import Mode
from superd.config.places import override_file
from superd.errors import ConfigError
from superd.policy.rules import NS_PER_S, Access, Rate

from .conftest import Faults, Write

_FTP = '[services.ftp]\nlisten = ["tcp://*:21"]\nexec = ["/usr/sbin/in.ftpd"]\n'


def _faults_of(path: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(path)
    return [str(fault) for fault in raised.value.faults]


@pytest.mark.parametrize(
    ("main", "overrides"),
    [
        ("/etc/superd.toml", "/etc/superd.override.toml"),
        ("superd.toml", "superd.override.toml"),
        ("/etc/superd.conf", "/etc/superd.conf.override.toml"),
        ("/etc/toml", "/etc/toml.override.toml"),
    ],
)
def test_the_file_of_overrides_is_called_after_the_main_one(main: str, overrides: str) -> None:
    assert override_file(main) == overrides


def test_an_override_stands_above_the_service_and_that_above_the_defaults(write: Write) -> None:
    text = f"""
[defaults]
umask = "077"
environment = {{ A = "1", B = "1", C = "1" }}
pass_environment = ["TZ"]
limits = {{ max_connections = 1, rate = "1/s" }}
{_FTP}
nice = 1
environment = {{ B = "2", C = "2" }}
limits = {{ max_connections = 2, max_load = 2 }}
access.allow = ["192.0.2.1", "192.0.2.2"]
[override.ftp]
nice = 3
environment = {{ C = "3" }}
limits.max_load = 3
access.allow = ["192.0.2.3"]
"""
    service = load(write("superd.toml", text)).services["ftp"]
    assert (service.umask, service.nice, service.pass_environment) == (0o077, 3, ("TZ",))
    assert service.environment == {"A": "1", "B": "2", "C": "3"}
    assert (service.limits.max_connections, service.limits.max_load) == (2, 3)
    assert service.limits.rate == Rate(1, NS_PER_S)
    assert service.access == Access(("192.0.2.3",))


def test_an_override_may_stand_in_an_included_file_and_in_the_one_of_overrides(write: Write) -> None:
    included = write("d/1.toml", "[override.ftp]\nnice = 1\n[override.ftp.limits]\nburst = 5")
    own = write("superd.override.toml", '[override.ftp.limits]\nrate = "2/s"')
    main = write("superd.toml", f'superd.include = ["d/*.toml"]\n{_FTP}[override.ftp]\numask = "000"')
    config = load(main)
    service = config.services["ftp"]
    assert (service.nice, service.umask, service.limits.rate, service.limits.burst) == (
        1,
        0,
        Rate(2, NS_PER_S),
        5,
    )
    assert config.files == (main, included, own)
    assert service.source_file == main


def test_the_file_of_overrides_is_read_once_and_holds_nothing_else(write: Write) -> None:
    own = write(
        "superd.override.toml", f"x = 1\n[superd]\n[defaults]\n[override.ftp]\nnice = 1\n{_FTP}nice = 50"
    )
    main = write("superd.toml", f'superd.include = ["*.toml"]\n{_FTP}')
    assert _faults_of(main) == [
        f"{own}: x: unknown key; superd.toml(5) lists the keys",
        f"{own}: superd: not in the file of overrides; move it to {main}",
        f"{own}: defaults: not in the file of overrides; move it to {main}",
        f"{own}: services: not in the file of overrides; move it to {main}",
    ]


def test_the_file_of_overrides_is_believed_no_more_than_others(write: Write) -> None:
    own = write("superd.override.toml", "")
    main = write("superd.toml", _FTP)
    assert load(main).files == (main, own)
    os.chmod(own, 0o666)
    assert _faults_of(main) == [f"{own}: writable by others; chmod go-w {own}"]
    os.unlink(own)
    os.symlink("nowhere", own)
    assert _faults_of(main) == [f"{own}: no such file; check the path"]


def test_standard_input_has_no_file_of_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-.override.toml", "standard input.override.toml"):
        Path(name).write_text("no TOML at all")
    assert load("-", stdin=io.StringIO(_FTP)).files == ("standard input",)


def test_two_files_that_override_the_same_key_are_a_fault_that_names_both(write: Write) -> None:
    one = write("d/1.toml", '[override.ftp]\nnice = 1\nuser = "a:b"\n[override.ftp.limits]\nmax_load = 1')
    two = write("d/2.toml", '[override.ftp]\nnice = 1\ngroup = "c"\numask = "000"')
    own = write("superd.override.toml", "[override.ftp.limits]\nmax_load = 1\nburst = 5")
    main = write("superd.toml", f'superd.include = ["d/*.toml"]\n{_FTP}limits.rate = "5/s"')
    assert _faults_of(main) == [
        f"{two}: override.ftp.nice: stands in {one} too; keep one of them",
        f"{two}: override.ftp.group: stands in {one} too; keep one of them",
        f"{own}: override.ftp.limits.max_load: stands in {one} too; keep one of them",
    ]


def test_an_override_without_its_service_is_a_warning(write: Write) -> None:
    own = write("superd.override.toml", "[override.fpt]\nnice = 1\n[override.old.limits]\nmax_load = 1")
    config = load(write("superd.toml", _FTP))
    assert [str(warning) for warning in config.warnings] == [
        f"{own}: override.fpt: no such service; did you mean ftp?",
        f"{own}: override.old: no such service; remove it, or write the service",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[override.ftp]\nnice = 99", "override.ftp.nice = 99: out of range; write -20 to 19"),
        ("[override.old]\nnice = 99", "override.old.nice = 99: out of range; write -20 to 19"),
        ("[override.ftp]\nnize = 9", "override.ftp.nize: unknown key; did you mean nice?"),
        ("[override.ftp]\nrate = '1/s'", "override.ftp.rate: unknown key; write [override.ftp.limits] rate"),
        (
            '[override.ftp]\nidle_timeout = "1s"',
            'override.ftp.idle_timeout = "1s": only for mode = "wait", builtin and forward; remove it',
        ),
        (
            '[override.ftp]\nlisten = ["unix:///run/x"]\naccess.allow = ["192.0.2.1"]',
            'override.ftp.access.allow = ["192.0.2.1"]: only for tcp and udp listeners; remove it',
        ),
        (
            "[override.ftp.limits]\nburst = 5",
            'override.ftp.limits.burst = 5: means nothing without rate; remove it, or write rate = "50/s" too',
        ),
        ('[override.ftp]\nuser = "superd"', 'override.ftp.user = "superd": the user of superd\'s acceptor; use '
         "another user"),
        ("override.nice = 5", "override.nice: outside of a service; write it under [override.NAME]"),
        ("[override.limits]\nmax_load = 5", "override.limits: outside of a service; write it under [override.NAME]"),
        ("override.ftp = 5", "override.ftp = 5: not a table; write [override.ftp]"),
    ],
)  # fmt: skip
def test_a_fault_of_an_override_is_said_of_the_override(faults: Faults, text: str, fault: str) -> None:
    assert faults(f"{text}\n{_FTP}") == [fault]


def test_what_an_override_makes_of_a_service_is_what_its_other_keys_are_held_to(faults: Faults) -> None:
    text = f'{_FTP}access.hours = ["08:00-18:00"]\n[override.ftp]\nmode = "wait"'
    (fault,) = faults(text)
    assert fault.startswith("services.ftp.access.hours = ")
    assert 'only for mode = "nowait"' in fault


def test_an_override_may_give_what_the_service_lacks(write: Write) -> None:
    text = '[services.ftp]\nlisten = ["tcp://*:21"]\n[override.ftp]\nexec = ["/bin/x"]\nmode = "always"'
    service = load(write("superd.toml", text)).services["ftp"]
    assert (service.exec, service.mode) == (("/bin/x",), Mode.ALWAYS)


@pytest.mark.parametrize(
    ("defaults", "own", "override", "user", "group"),
    [
        ('user = "a:b"', "", 'user = "c"', "c", ""),
        ("", 'user = "a:b"', 'user = "c"', "c", ""),
        ("", 'user = "a:b"', 'group = "d"', "a", "d"),
        ('user = "a:b"', 'group = "d"', 'user = "c"', "c", "d"),
        ('user = "a:b"', "nice = 1", 'user = "c:d"', "c", "d"),
    ],
)
def test_a_group_follows_the_user_it_was_written_with_through_overrides(
    write: Write, defaults: str, own: str, override: str, user: str, group: str
) -> None:
    text = f"[defaults]\n{defaults}\n{_FTP}{own}\n[override.ftp]\n{override}"
    service = load(write("superd.toml", text)).services["ftp"]
    assert (service.user, service.group) == (user, group)


def test_a_limit_may_be_saved_above_a_service_that_says_more_about_it(write: Write) -> None:
    """What ``superctl tune --save`` writes must not keep superd from starting."""
    own = f'{_FTP}limits = {{ rate = "5/s", burst = 9, max_connections_per_source = 50 }}'
    write("superd.override.toml", '[override.ftp.limits]\nrate = "infinity"\nmax_connections = 10')
    limits = load(write("superd.toml", own)).services["ftp"].limits
    assert (limits.max_connections, limits.max_connections_per_source) == (10, 50)


def test_a_service_called_as_a_table_can_be_overridden(write: Write) -> None:
    text = _FTP.replace("ftp]", "limits]") + "[override.limits]\nnice = 1"
    assert load(write("superd.toml", text)).services["limits"].nice == 1
