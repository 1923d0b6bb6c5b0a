"""``--pid-file``: whose it is, and what happens where it cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from superd.cli import superd
from superd.cli.pidfile import PidFile, PidFileError
from superd.errors import Exit


def test_it_holds_the_pid_while_superd_serves(tmp_path: Path) -> None:
    path = tmp_path / "superd.pid"
    file = PidFile(str(path))
    file.write(4711)
    assert path.read_text() == "4711\n"
    file.close()
    assert not path.exists()


def test_what_an_earlier_superd_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "superd.pid"
    path.write_text("123456789\n")
    file = PidFile(str(path))
    file.write(42)
    assert path.read_text() == "42\n"
    file.close()
    assert not path.exists()


def test_a_second_superd_that_cannot_serve_leaves_the_file_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "superd.pid"
    first = PidFile(str(path))
    first.write(42)
    PidFile(str(path)).close()
    assert path.read_text() == "42\n"
    first.close()


def test_a_superd_that_cannot_serve_leaves_no_file(tmp_path: Path) -> None:
    PidFile(str(tmp_path / "superd.pid")).close()
    assert os.listdir(tmp_path) == []


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "superd.pid").symlink_to(tmp_path / "target")
    with pytest.raises(PidFileError, match=r"superd\.pid: .*; name a file"):
        PidFile(str(tmp_path / "superd.pid"))
    assert (tmp_path / "target").read_text() == "precious"


def test_a_file_that_cannot_be_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # superd leaves for /
    config = tmp_path / "superd.toml"
    config.write_text(f'[superd]\nlog = "stderr"\ncontrol = "{tmp_path}/control.sock"\n')
    config.chmod(0o600)
    old_mask = os.umask(0o022)
    try:
        code = superd.main(["-f", str(config), "--pid-file", "no/such.pid"])
    finally:
        os.umask(old_mask)
    assert code == Exit.PERMISSION
    told = f"superd: --pid-file {tmp_path}/no/such.pid: No such file or directory; name a file that superd may write\n"
    assert capsys.readouterr().err == told
