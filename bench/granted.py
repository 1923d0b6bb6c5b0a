"""A privileged port for an ordinary user: what superd-bind and authbind add to bind(2), and to all other calls."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from attrs import frozen
from figures import Figure, Findings, tell
from measure import run_rounds
from peers import NOBODY, Launch, Site, superd_of
from processes import family, name_of, pss_kib
from programs import MissingError
from report import progress
from running import PATH, free_port, serving
from workplace import Workplace, workplace

BINDS = 200
"""A round of each."""

TITLES: Mapping[str, str] = {
    "superd-bind": "superd-bind",
    "authbind": "authbind",
    "plain": "without either",
}
GRANTABLE = range(200, 500)
"""Privileged ports that authbind knows by their plain number; from 512 on it wants another name."""

GRANTED = Figure("bind of a privileged port that is granted", "us")
ORDINARY = Figure("bind of an ordinary port", "us")
OTHER = Figure("another system call (getppid)", "ns")


@frozen
class Cost:
    """Means of one round: microseconds of a granted bind (None where there is no such thing) and of an ordinary one,
    nanoseconds of another call."""

    granted: float | None
    ordinary: float
    other: float


def _launch(site: Site, port: int) -> Launch:
    """A superd that serves somebody, so that it is known when it is ready, and grants one port."""
    service = (
        f'[services.echo]\nlisten = ["tcp://127.0.0.1:{site.port}"]\n'
        f'exec = ["{site.programs.echo_once}"]\nuser = "nobody"\n'
        f'[[grants]]\nports = "tcp/{port}"\nusers = ["nobody"]\n'
    )
    return superd_of(site, f'bind_socket = "{site.directory}/bind.sock"', service)


@contextmanager
def _authbind_allows(port: int) -> Iterator[None]:
    """authbind's own grant: a file that the user may execute."""
    path = Path("/etc/authbind/byport") / str(port)
    path.touch()
    path.chmod(0o755)
    try:
        yield
    finally:
        path.unlink()


def _run(
    prefix: tuple[str, ...], program: Path, port: int, environment: Mapping[str, str]
) -> dict[str, float]:
    """One run as nobody.

    Raises:
        MissingError: it failed; with its complaint.
    """
    done = subprocess.run(
        [*prefix, str(program), str(port), str(BINDS)],
        env=environment,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise MissingError(f"{' '.join(prefix) or program.name}: {done.stderr.strip()}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure_granted(name: str, arguments: argparse.Namespace) -> bool:
    """Measures, prints and saves."""
    low = free_port(GRANTABLE)
    with workplace((), arguments.cache) as place:
        folder = place.directory / "superd"
        folder.mkdir()
        site = Site(folder, free_port(), place.programs, place.packages, arguments.python)
        with serving(_launch(site, low), site.port, folder / "output") as pid:
            found, kib = _measured(place, site, low, pid, arguments)
    left_out = {} if "authbind" in found else {"authbind": "not installed; run: apt-get install authbind"}
    figures = [
        (
            GRANTED,
            {row: [one.granted for one in own if one.granted is not None] for row, own in found.items()},
        ),
        (ORDINARY, {row: [one.ordinary for one in own] for row, own in found.items()}),
        (OTHER, {row: [one.other for one in own] for row, own in found.items()}),
    ]
    titles = {row: title for row, title in TITLES.items() if row in found}
    notes = [f"memory of the broker (PSS): {kib / 1024:.1f} MiB"]
    tell(Findings(name, titles, figures, notes, left_out), arguments.results, arguments.name)
    return not left_out


def _measured(
    place: Workplace, site: Site, low: int, pid: int, arguments: argparse.Namespace
) -> tuple[dict[str, list[Cost]], float]:
    """The costs by row, and the broker's memory afterwards."""
    prefixes: dict[str, tuple[str, ...]] = {
        "superd-bind": (arguments.python, "-m", "superd.cli.bind", "--"),
        "plain": (),
    }
    if shutil.which("authbind"):
        prefixes["authbind"] = ("authbind", "--deep")
    environment = {"PATH": PATH, "SUPERD_BIND_SOCKET": f"{site.directory}/bind.sock"}

    def measure(row: str) -> Cost:
        program = place.programs.bind_cost
        ordinary = _run(prefixes[row], program, free_port(), environment)
        granted = _run(prefixes[row], program, low, environment)["bind"] if prefixes[row] else None
        return Cost(granted and granted / 1000, ordinary["bind"] / 1000, ordinary["other"])

    with _authbind_allows(low) if "authbind" in prefixes else nullcontext():
        found = run_rounds(list(prefixes), arguments.rounds, measure, progress)
    return found, pss_kib(one.pid for one in family(pid) if name_of(one).startswith("superd: broker"))
