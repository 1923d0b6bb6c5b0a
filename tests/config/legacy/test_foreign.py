"""Another super-server's file as the main configuration."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from superd.config.legacy.wishes import Wishes
from superd.config.load import load
from superd.config.model import StandardError
from superd.errors import ConfigError

FTP = "127.0.0.1:2121 stream tcp nowait nobody /usr/sbin/in.ftpd in.ftpd -l\n"


@pytest.fixture
def inetd_conf(tmp_path: Path) -> Path:
    path = tmp_path / "inetd.conf"
    path.write_text(FTP)
    return path


def test_an_inetd_conf_is_read_as_it_is(inetd_conf: Path) -> None:
    config = load(str(inetd_conf))
    service = config.services["2121"]
    assert (service.exec, service.exec_path, service.user) == (
        ("in.ftpd", "-l"),
        "/usr/sbin/in.ftpd",
        "nobody",
    )
    assert service.standard_error is StandardError.LOG
    assert service.source_file == f"{inetd_conf}:1"


def test_the_log_says_whose_file_it_is_and_how_to_convert_it(inetd_conf: Path) -> None:
    assert str(load(str(inetd_conf)).warnings[0]) == (
        f"{inetd_conf}: read as Debian's openbsd-inetd reads it; "
        f"convert it with: superctl import -o /etc/superd.toml {inetd_conf}"
    )


def test_a_line_that_makes_no_service_keeps_none_from_the_others(inetd_conf: Path) -> None:
    inetd_conf.write_text(FTP + "ssh stream tcp nowait root\n# caf\u00e9\n")
    config = load(str(inetd_conf))
    assert list(config.services) == ["2121"]
    assert f"{inetd_conf}:2: fault: 5 fields of 6: no program" in [str(one) for one in config.warnings]


def test_bytes_that_are_no_utf8_are_no_reason_not_to_serve(inetd_conf: Path) -> None:
    inetd_conf.write_bytes(FTP.encode() + b"# caf\xe9\n")
    assert list(load(str(inetd_conf)).services) == ["2121"]


def test_others_may_not_write_to_it(inetd_conf: Path) -> None:
    inetd_conf.chmod(0o666)
    with pytest.raises(ConfigError, match="writable by others"):
        load(str(inetd_conf))


def test_an_included_file_is_as_trusted_as_the_first(inetd_conf: Path) -> None:
    other = inetd_conf.with_name("other.conf")
    other.write_text(FTP)
    other.chmod(0o666)
    inetd_conf.write_text('.include "other.conf"\n')
    found = [str(one) for one in load(str(inetd_conf)).warnings]
    assert f"{inetd_conf}:1: fault: {other}: writable by others; chmod go-w {other}" in found


def test_it_may_come_from_standard_input() -> None:
    config = load("-", stdin=io.StringIO(FTP), system=False)
    assert list(config.services) == ["2121"]


def test_a_fault_in_superds_own_file_makes_it_no_other() -> None:
    text = "[services.a]\nftp stream tcp nowait root /usr/sbin/in.ftpd in.ftpd\n"
    with pytest.raises(ConfigError, match="line 2, column 5"):
        load("-", stdin=io.StringIO(text), system=False)


def test_options_of_the_old_daemon_hold(inetd_conf: Path) -> None:
    config = load(str(inetd_conf), wishes=Wishes(rate_per_min=10, tcpd_asked=True))
    service = config.services["2121"]
    assert service.limits.rate.count == 10
    assert service.access.hosts_access


def test_overrides_stand_above_it(inetd_conf: Path) -> None:
    inetd_conf.with_name("inetd.conf.override.toml").write_text("[override.2121]\nnice = 5\n")
    assert load(str(inetd_conf)).services["2121"].nice == 5
