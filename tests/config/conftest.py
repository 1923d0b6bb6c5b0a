"""A folder with configuration files that superd is willing to believe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from superd.config.load import load
from superd.errors import ConfigError

Write = Callable[[str, str], str]
Faults = Callable[[str], list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of the folder; gives its path."""

    def write_file(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)  # whatever the umask of whoever runs the tests
        return str(path)

    return write_file


@pytest.fixture
def faults(write: Write) -> Faults:
    """Every fault of one file's text, as the administrator reads it, less the file's name in front."""

    def load_text(text: str) -> list[str]:
        path = write("superd.toml", text)
        with pytest.raises(ConfigError) as raised:
            load(path)
        lines = [str(fault) for fault in raised.value.faults]
        assert all(line.startswith(f"{path}: ") for line in lines)
        return [line.removeprefix(f"{path}: ").replace(path, "FILE") for line in lines]

    return load_text
