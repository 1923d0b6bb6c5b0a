"""No text makes the parser of an environment_file do worse than say what is wrong."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from superd.config.envfile import parse_environment_file

_PIECES = st.sampled_from(["A", "B=", "=", "'", '"', "\\", "\n", "\r\n", " ", "\t", "#", ";", "x", "$", "\0"])


@given(st.text() | st.lists(_PIECES, max_size=40).map("".join))
def test_any_text(text: str) -> None:
    try:
        variables = parse_environment_file(text)
    except ValueError as error:
        assert re.fullmatch(r"line \d+: (not NAME=value|no closing quote|NUL|superd sets \w+)", str(error))
        return
    for name, value in variables.items():
        assert name.isidentifier() and name.isascii()
        assert "\0" not in value


@given(st.text(st.characters(exclude_characters="\0\r", codec="utf-8")))
def test_every_value_can_be_written_in_double_quotes(value: str) -> None:
    quoted = re.sub(r'(["\\`$])', r"\\\1", value)
    assert parse_environment_file(f'A="{quoted}"\nB=2') == {"A": value, "B": "2"}


@given(st.text(st.characters(exclude_characters="\0\r\n", codec="utf-8"), min_size=1))
def test_every_value_can_be_written_with_backslashes(value: str) -> None:
    assert parse_environment_file("A=" + "".join(f"\\{one}" for one in value)) == {"A": value}
