"""Names that services get."""

from __future__ import annotations

import pytest

from superd.config.legacy.names import MAX_NAME, fresh_name


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("ftp", "ftp"),
        ("/run/app.sock", "app.sock"),
        ("[evil]\n=", "evil-"),
        ("-_.", "service"),
        ("x" * 99, "x" * MAX_NAME),
    ],
)
def test_any_text_makes_a_name(wanted: str, name: str) -> None:
    assert fresh_name(wanted, ()) == name


def test_thousands_that_want_one_name_get_numbers_in_a_moment() -> None:
    taken: set[str] = set()
    for _ in range(20_000):  # to count from the first one each time would take minutes
        taken.add(fresh_name("ftp", taken, "tcp"))
    assert {"ftp", "ftp-tcp", "ftp-2", "ftp-19999"} <= taken
    assert len(taken) == 20_000
