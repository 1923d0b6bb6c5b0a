"""Figures of a replay: what stands in them, and what is said where nothing can draw them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from superd.cli import plot
from superd.cli.picture import Cut, Panel, Picture
from superd.errors import Exit

from .logs import PROGRAM, ROOT, superctl, told

pytestmark = pytest.mark.usefixtures("in_utc")


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG\r\n\x1a\n"), (".svg", b"<?xml")])
def test_a_figure_is_written(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, magic: bytes
) -> None:
    path = tmp_path / f"figure{suffix}"
    words = ["max_connections=3", "rate=5/s", "--suggest", "--plot"]
    told(capsys, log, "--service", "ssh", *words, path)
    content = path.read_bytes()
    assert content.startswith(magic)
    if suffix == ".svg":
        for text in (
            "ssh, 2026-11-23: ", " refused", "connections in 2s", "connections open at once", "local time (UTC)",
            "max_connections = 3", "rate = 10 in 2s", "suggested ", "in the log", "replayed", "admitted", "09:05",
        ):  # fmt: skip
            assert text in content.decode(), text


def test_the_terminal_has_a_figure_too(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    text = told(capsys, log, "--service", "ssh", "max_connections=4", "rate=20/min", "--plot")
    figure = text[text.index("ssh, 2026-11-23: ") :]
    assert "\x1b" not in figure
    for label in ("came", "admitted", "in the log", "replayed", "max_connections = 4", "09:00"):
        assert label in figure
    assert max(map(len, figure.splitlines())) <= 100


def test_a_limit_far_above_is_named_and_not_drawn(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, log, "--service", "ssh", "max_connections=5000", "--plot")
    assert "max_connections = 5000 is above" in text


def test_without_the_library_the_remedy_is_named(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("matplotlib", "plotext"):
        monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
    for words, library in ((["--plot", "a.png"], "matplotlib"), (["--plot"], "plotext")):
        assert superctl([log, "--service", "ssh", *words]) == Exit.UNAVAILABLE
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == f"superctl: --plot needs {library}; pip install 'superd[plot]'\n"
    assert told(capsys, log, "--service", "ssh")


def test_nothing_that_draws_is_loaded_without_need(log: Path) -> None:
    program = f"{PROGRAM.replace('sys.exit(', '(')}\nprint(*sys.modules)"
    command = [sys.executable, "-c", program, ROOT, str(log), "--service", "ssh"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"matplotlib", "plotext", "rich", "numpy"} & set(done.stdout.split())


@pytest.mark.parametrize("slots", [1, 2, 61, 360])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (80, 24), (250, 60)])
def test_any_terminal_will_do(slots: int, width: int, height: int) -> None:
    begins = tuple(range(1_795_424_400, 1_795_424_400 + 2 * slots, 2))
    values = [5 * (number % 3) for number in range(slots)]
    cuts = (Cut("max_connections = 7", 7.0), Cut("suggested max_connections = 10", 10.0, True))
    panel = Panel("open", "came", values, "admitted", [0] * slots, cuts, ("rate = 50000 in 10min",))
    text = plot.terminal_text(Picture("ssh", begins, 2, panel, panel), width, height, color=True)
    assert "\x1b[" in text
    assert len(text.splitlines()) <= max(height, 21)
