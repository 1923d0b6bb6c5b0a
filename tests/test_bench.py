"""The benchmark's command: it names what it measures, and one small run ends in a table and a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parent.parent / "bench" / "run.py"
needs_root_and_gcc = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("gcc") is None, reason="the benchmark needs root and gcc"
)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUN), *arguments], capture_output=True, text=True, check=False)


def test_list_names_the_scenarios_and_peers() -> None:
    done = bench("--list")
    assert done.returncode == 0, done.stderr
    scenarios = (
        "nowait",
        "latency",
        "sandbox",
        "flood",
        "policy",
        "forward",
        "cat",
        "python",
        "log",
        "rules",
    )
    others = ("bind", "handler", "wake", "udp", "idle", "held", "cost")
    peers = ("superd", "haproxy", "xinetd", "xinetd-bwrap", "xinetd-cps", "tcpserver")
    for words in (f"scenario {name}:" for name in (*scenarios, *others)):
        assert words in done.stdout
    for words in (f"peer {name}:" for name in peers):
        assert words in done.stdout


def test_no_rounds_are_refused() -> None:
    done = bench("--rounds", "0")
    assert done.returncode != 0
    assert "--rounds" in done.stderr


def test_a_small_run_of_the_policy_needs_neither_root_nor_a_peer(tmp_path: Path) -> None:
    done = bench("--scenario", "policy", "--rounds", "1", "--scale", "0.01", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "decisions a second" in done.stdout
    samples = json.loads((tmp_path / "policy.json").read_text())["samples"]
    (decided,) = samples["everything"]
    assert {"admitted", "address", "source-rate", "penalty"} <= decided["answers"].keys()
    assert decided["sources"] > 900
    (remembered,) = samples["remember-100000"]
    assert remembered["sources"] == 1000
    (flooded,) = samples["flood"]
    assert flooded["still_penalised"] == flooded["still_open"] == 1


@pytest.mark.live
@needs_root_and_gcc
def test_a_small_flood_is_refused_and_the_other_source_is_served(tmp_path: Path) -> None:
    size = ("--clients", "2", "--seconds", "0.5", "--rounds", "1")
    done = bench("--scenario", "flood", "--peer", "superd", *size, "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "2 client(s) of one source" in done.stdout
    samples = json.loads((tmp_path / "flood.json").read_text())["samples"]["2"]
    (sample,) = samples["superd"]
    assert sample["flood"]["refused"] > 100
    assert sample["during"]["connections"] > 0
    assert sample["during"]["refused"] == sample["during"]["unanswered"] == 0
    (beside,) = samples["bystander"]
    assert beside["flood"]["connections"] == 0, "a server that only closes serves nobody"


@pytest.mark.live
@needs_root_and_gcc
def test_a_small_run_counts_every_connection(tmp_path: Path) -> None:
    done = bench("--peer", "bare", "--rounds", "2", "--connections", "40", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "bare against itself" in done.stdout
    samples = json.loads((tmp_path / "nowait.json").read_text())["samples"]["bare"]
    assert [(sample["connections"], sample["errors"]) for sample in samples] == [(40, 0), (40, 0)]


@pytest.mark.live
@needs_root_and_gcc
def test_a_peer_that_does_not_start_is_named_and_fails_the_run(tmp_path: Path) -> None:
    arguments = ("--peer", "superd", "--peer", "bare", "--rounds", "1", "--connections", "10")
    done = bench(*arguments, "--python", "/bin/false", "--results", str(tmp_path))
    assert done.returncode == 1
    assert "left out: superd: ended with 1" in done.stdout


def figures(path: Path) -> dict[str, dict[str, list[float]]]:
    """Title of each figure to the samples of each row."""
    return {one["title"]: one["samples"] for one in json.loads(path.read_text())["figures"]}


@pytest.mark.live
@needs_root_and_gcc
@pytest.mark.parametrize(
    ("scenario", "size", "titles"),
    [
        ("wake", (), {"first knock", "a later knock"}),
        ("udp", (), {"first knock", "a later knock"}),
        ("held", ("--connections", "20"), {"connections held"}),
        ("idle", ("--connections", "5"), {"reload, nothing changed", "memory of a further service"}),
        ("cost", ("--connections", "40"), {"time on a processor a connection, acceptor"}),
    ],
)
def test_a_small_run_of_each_other_scenario_ends_in_figures_and_a_plot(
    scenario: str, size: tuple[str, ...], titles: set[str], tmp_path: Path
) -> None:
    one = ("--scenario", scenario, "--peer", "superd", "--rounds", "1", "--results", str(tmp_path))
    done = bench(*one, *size)
    assert done.returncode == 0, done.stderr
    found = figures(tmp_path / f"{scenario}.json")
    for title in titles:
        (value,) = found[title]["superd"]
        assert title == "memory of a further service" or value > 0
        assert title in done.stdout
    assert (tmp_path / f"{scenario}.svg").stat().st_size > 1000


@pytest.mark.live
@needs_root_and_gcc
@pytest.mark.parametrize("scenario", ["cat", "python", "log", "rules"])
def test_every_program_is_served_and_counted(scenario: str, tmp_path: Path) -> None:
    size = ("--rounds", "1", "--connections", "16", "--clients", "2")
    done = bench("--scenario", scenario, "--peer", "superd", *size, "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (sample,) = json.loads((tmp_path / f"{scenario}.json").read_text())["samples"]["superd"]
    assert (sample["connections"], sample["errors"]) == (16, 0)
