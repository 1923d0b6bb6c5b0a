"""Real files of other people: superd serves what their own inetds said they would serve."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from helpers import oracles

from superd.config.legacy.folders import entries
from superd.config.legacy.guarded import GuardedFiles
from superd.config.legacy.importers import read_all
from superd.config.legacy.inetd.dialects import DIALECTS
from superd.config.legacy.surroundings import Surroundings, no_addresses
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.write import to_toml
from superd.config.load import load

ROOT = Path(__file__).resolve().parent.parent.parent.parent
DIFFERENCES = ROOT / "tests" / "import" / "differences.tsv"
FILES = sorted((oracles.corpus_folder("inetd", ROOT) or Path("/nonexistent")).glob("*.conf"))
VERDICTS = sorted((oracles.corpus_folder("inetd-oracle", ROOT) or Path("/nonexistent")).glob("*.txt"))

ANYWHERE = Surroundings(GuardedFiles().read, entries, lambda name, transport: 0, no_addresses, None)


def differences(verdict: Path) -> set[tuple[str, str, str, str]]:
    """What the old daemon said and superd does not (``-``), and the other way round (``+``)."""
    name, _, daemon = verdict.name.partition(".conf.")
    dialect = "debian" if daemon.startswith("openbsd") else "gnu"
    file = next(path for path in FILES if path.stem == name)
    made = read_all({str(file): file.read_bytes()}, ANYWHERE, Wishes(dialect=dialect))
    old, new = oracles.said(dialect, verdict.read_text(errors="replace")), oracles.carried(made)
    found = set()
    for side, sockets in (("-", old - new), ("+", new - old)):
        found |= {(name, dialect, side, f"{one.protocol} {one.host} {one.port}") for one in sockets}
    return found


def explained() -> set[tuple[str, str, str, str]]:
    with DIFFERENCES.open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    assert all(len(row) == 5 and row[4] for row in rows)
    return {(row[0], row[1], row[2], row[3]) for row in rows}


@pytest.mark.skipif(not VERDICTS, reason="no collection of real files here")
def test_the_same_sockets_are_served_but_for_what_is_explained() -> None:
    found: set[tuple[str, str, str, str]] = set().union(*map(differences, VERDICTS))
    assert found == explained()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("file", FILES, ids=[file.stem[:30] for file in FILES])
def test_what_is_written_is_a_configuration(file: Path, dialect: str) -> None:
    made = read_all({str(file): file.read_bytes()}, ANYWHERE, Wishes(dialect=dialect))
    text = to_toml(made)
    config = load("-", system=False, stdin=io.StringIO(text))
    assert list(config.services) == [service.name for service in made.served]
    again = read_all({str(file): file.read_bytes()}, ANYWHERE, Wishes(dialect=dialect))
    assert to_toml(again) == text


@pytest.mark.parametrize("file", FILES, ids=[file.stem[:30] for file in FILES])
def test_no_line_is_lost(file: Path) -> None:
    """Every line is a comment, a service, a setting or a remark."""
    made = read_all({str(file): file.read_bytes()}, ANYWHERE, Wishes(dialect="debian"))
    origins = [
        *(comment.origin for comment in made.comments),
        *(service.origin for service in made.services),
        *(remark.origin for remark in made.remarks),
    ]
    told = {origin.line for origin in origins}
    lines = file.read_text(errors="replace").splitlines()
    written = {number for number, line in enumerate(lines, 1) if line.strip()}
    continued = {number for number in written if lines[number - 1][:1] in (" ", "\t")}
    assert written - continued <= told
