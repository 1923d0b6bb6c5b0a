"""Whatever a file holds, it loads or its faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.config.load import load
from superd.errors import ConfigError


def _loads_or_is_faulty(path: str) -> None:
    try:
        load(path, system=False)
    except ConfigError as error:
        assert error.faults
        assert all(str(fault).isprintable() for fault in error.faults)


@given(st.binary())
def test_any_bytes_load_or_are_faulty(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = Path(tmp_path_factory.getbasetemp(), "bytes.toml")
    path.write_bytes(content)
    _loads_or_is_faulty(str(path))


_WORDS = (
    *("superd", "defaults", "services", "override", "x"),
    *("socket", "listen", "exec", "user", "umask", "environment", "mode"),
    *("limits", "rate", "burst", "penalty", "exempt", "access", "allow", "hours", "proxy_protocol", "accept_from"),
)  # fmt: skip
_VALUES = (
    '"x"',
    '"tcp://*:1"',
    '["/bin/x"]',
    '"5s"',
    "7",
    "true",
    "{}",
    "{ A = 'b' }",
    "[[]]",
    '["192.0.2.1"]',
    '["08:00-18:00"]',
    '"5/s"',
    '"wait"',
    "1979-05-27",
    "nan",
)
_LINES = st.one_of(
    st.builds("{} = {}".format, st.sampled_from(_WORDS), st.sampled_from(_VALUES)),
    st.builds("[{}.{}]".format, st.sampled_from(_WORDS), st.sampled_from(_WORDS)),
    st.builds("[services.{}.{}]".format, st.sampled_from(_WORDS), st.sampled_from(_WORDS)),
    st.text(max_size=20),
)


@given(st.lists(_LINES, max_size=12))
def test_any_lines_load_or_are_faulty(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = Path(tmp_path_factory.getbasetemp(), "lines.toml")
    path.write_bytes("\n".join(lines).encode(errors="replace"))
    _loads_or_is_faulty(str(path))
