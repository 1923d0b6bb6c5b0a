"""A service with a handler, for the tests of handlers."""

from __future__ import annotations

from pathlib import Path

from harness import written


def handler(address: str, folder: Path, code: str, name: str, more: str = "", user: str = "daemon") -> str:
    """A service on port 7, as TOML, and its file."""
    path = written(folder / "served.py", code)
    listen = f"tcp://{address}:7"
    return f'[services.it]\nlisten = ["{listen}"]\nhandler = "{path}:{name}"\nuser = "{user}"\n{more}\n'
