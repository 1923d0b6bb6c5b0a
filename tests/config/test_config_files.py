"""Which files a root process believes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from superd.config.files import MAX_BYTES, read_trusted
from superd.config.findings import RejectedError
from superd.config.load import load
from superd.errors import ConfigError

from .conftest import Write


def _finding(path: str | Path) -> tuple[str, str]:
    with pytest.raises(RejectedError) as raised:
        read_trusted(str(path))
    (finding,) = raised.value.findings
    return finding.problem, finding.remedy


def test_a_file_of_the_callers_is_read(write: Write) -> None:
    assert read_trusted(write("a file.toml", "x = 'ü'")) == "x = 'ü'"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_not_believed(write: Write, mode: int) -> None:
    path = write("a file.toml", "")
    os.chmod(path, mode)
    assert _finding(path) == ("writable by others", f"chmod go-w '{path}'")
    assert read_trusted(path, system=False) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_not_believed(write: Write) -> None:
    path = write("x.toml", "")
    os.chown(path, 12345, -1)
    assert _finding(path) == ("owned by uid 12345, who could change it", f"chown root {path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(write: Write) -> None:
    path = write("x.toml", "")
    os.chmod(path, 0)
    assert _finding(path) == ("permission denied", "read it as root")


def test_what_is_no_regular_file_is_not_even_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path, fifo, Path("/dev/null")):
        assert _finding(path) == ("not a regular file", "name a file")


@pytest.mark.parametrize("name", ["none", "none/none"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    assert _finding(tmp_path / name) == ("no such file", "check the path")


def test_names_that_lead_nowhere(tmp_path: Path, write: Write) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert _finding(tmp_path / "loop") == ("a loop of symbolic links", "name the file itself")
    assert _finding(write("file", "") + "/x") == ("no such file", "check the path")
    assert _finding("a\0b") == ("not a path", "check the path")
    assert _finding("/" + "x" * 300) == ("file name too long", "")


def test_a_symbolic_link_is_judged_by_what_it_leads_to(tmp_path: Path, write: Write) -> None:
    target = write("x.toml", "x = 1")
    (tmp_path / "link").symlink_to(target)
    assert read_trusted(str(tmp_path / "link")) == "x = 1"
    os.chmod(target, 0o666)
    assert _finding(tmp_path / "link")[0] == "writable by others"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.mark.parametrize("name", ["home/x.toml", "home/below/x.toml", "link"])
def test_a_file_in_a_folder_that_others_may_write_to_is_not_believed(tmp_path: Path, name: str) -> None:
    """They could put another in its place, or a link to any file that root believes."""
    home = tmp_path / "home"
    (home / "below").mkdir(parents=True)
    for path in (home / "x.toml", home / "below" / "x.toml"):
        path.write_text("")
    (tmp_path / "link").symlink_to("home/../home/x.toml")
    assert read_trusted(str(tmp_path / name)) == ""
    os.chmod(home, 0o777)
    problem, remedy = _finding(tmp_path / name)
    assert problem == f"others may write to {home} and replace it"
    assert remedy == f"chmod go-w {home}, or move the file"
    assert read_trusted(str(tmp_path / name), system=False) == ""
    os.chmod(home, 0o1777)
    assert read_trusted(str(tmp_path / name)) == "", "as in /tmp, where only its owner may replace a file"


@needs_root
def test_a_link_or_a_folder_of_somebody_else_leads_to_nothing_that_is_believed(tmp_path: Path) -> None:
    home, secret = tmp_path / "home", tmp_path / "secret.toml"
    home.mkdir()
    secret.write_text("")
    os.chmod(home, 0o1777)
    (home / "link").symlink_to(secret)
    assert read_trusted(str(home / "link")) == ""
    os.chown(home / "link", 12345, -1, follow_symlinks=False)
    assert _finding(home / "link")[0] == f"{home}/link is owned by uid 12345, who could replace it"
    os.chown(home, 12345, -1)
    assert _finding(home / "link")[0] == f"{home} is owned by uid 12345, who could replace it"


def test_a_file_of_more_than_16_mib_is_refused(write: Write) -> None:
    path = write("x.toml", "")
    os.truncate(path, MAX_BYTES)
    assert len(read_trusted(path)) == MAX_BYTES
    os.truncate(path, MAX_BYTES + 1)
    assert _finding(path) == ("larger than 16 MiB", "split it")


def test_a_file_that_is_not_utf_8_is_refused_with_the_line(write: Write) -> None:
    path = write("x.toml", "")
    Path(path).write_bytes(b"a = 1\nb = 'caf\xe9'\n")
    assert _finding(path) == ("line 2: not UTF-8", "save the file as UTF-8")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_standard_input_that_is_not_utf_8_is_refused(errors: str) -> None:
    with (
        io.TextIOWrapper(io.BytesIO(b"a = '\xe9'"), "utf-8", errors) as stream,
        pytest.raises(ConfigError) as raised,
    ):
        load("-", stdin=stream)
    assert str(raised.value) == "standard input: not UTF-8; send UTF-8"


def test_standard_input_of_more_than_16_mib_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        load("-", stdin=io.StringIO("#" * (MAX_BYTES + 1)))
    assert str(raised.value) == "standard input: larger than 16 MiB; split it"
