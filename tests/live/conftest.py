"""What the live tests need, and what becomes of those that lack it.

They are skipped with a reason, unless SUPERD_REQUIRE_LIVE=1 is in the environment: then that is a failure.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import public_folder

ADDRESSES = 512
"""Loopback addresses for one run of pytest; where they begin depends on its pid, for runs side by side."""

_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(*programs): programs, or paths, without which the test cannot run"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if missing := list(_missing(item)):
        reason = f"needs {', '.join(missing)}"
        if os.environ.get("SUPERD_REQUIRE_LIVE") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def _missing(item: pytest.Item) -> Iterator[str]:
    if item.get_closest_marker("live") and os.geteuid() != 0:
        yield "root"
    for marker in item.iter_markers("needs"):
        yield from (name for name in marker.args if not _is_there(name))


def _is_there(name: str) -> bool:
    return os.path.exists(name) if name.startswith("/") else shutil.which(name, path=_PATH) is not None


@pytest.fixture
def address() -> str:
    """An address of 127.77.0.0/16 that no other test has, so that all its ports are free."""
    offset = os.getpid() * ADDRESSES + next(_numbers) % ADDRESSES
    return str(ipaddress.IPv4Address("127.77.0.0") + offset % 2**16)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter."""
    with public_folder() as path:
        yield path
