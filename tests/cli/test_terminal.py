"""Commands end without a traceback when whoever called them has had enough."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from superd.cli import terminal


@pytest.mark.parametrize("command", [["superctl", "check"], ["superd", "--check", "-f"]])
def test_a_reader_that_left_ends_a_command_without_a_word(tmp_path: Path, command: list[str]) -> None:
    config = tmp_path / "superd.toml"
    config.write_text("")
    name, *options = command
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", f"superd.cli.{name}", *options, str(config)]
    with os.fdopen(writer, "w") as gone:
        done = subprocess.run(argv, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 128 + signal.SIGPIPE
    assert done.stderr == f"superd: warning: {config}: no services; write [services.NAME]\n"


def test_so_does_an_interrupt() -> None:
    def interrupted() -> int:
        signal.raise_signal(signal.SIGINT)
        return 0

    assert terminal.run(interrupted) == 128 + signal.SIGINT


def test_all_else_is_the_commands_own() -> None:
    assert terminal.run(lambda: 64) == 64
    with pytest.raises(SystemExit):
        terminal.run(lambda: sys.exit(3))
