"""The committed manual page is the one that the table of keys renders."""

from __future__ import annotations

from pathlib import Path

from superd.config.manpage import render

_PAGE = Path(__file__).parents[2] / "man" / "superd.toml.5"


def test_the_committed_page_is_the_rendering() -> None:
    assert _PAGE.read_text() == render(), "run: python -m superd.config.manpage > man/superd.toml.5"
