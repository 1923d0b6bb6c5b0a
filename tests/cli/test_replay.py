"""superctl replay: what it reads, what it says, and which exit code a script gets."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from superd.cli import replay
from superd.config.load import load
from superd.errors import Exit
from superd.log import EventName

from .logs import PROGRAM, ROOT, Script, superctl, told

pytestmark = pytest.mark.usefixtures("in_utc")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "superd.toml"
    path.write_text(
        "[services.ssh]\n"
        'listen = ["tcp://127.0.0.1:2222"]\n'
        'exec = ["/bin/true"]\n'
        'user = "nobody:nogroup"\n'
        "[services.ssh.limits]\n"
        'rate_per_source = "5/min"\n'
    )
    return path


def found(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(told(capsys, *words, "--json"))
    return answer


def complaint(capsys: pytest.CaptureFixture[str], code: Exit, *words: object) -> str:
    assert superctl(words) == code
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


# --- what is said ---


def test_the_text_shows_both_sides(log: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, log, "--service", "ssh", "-f", config).splitlines() == [
        "ssh, 2026-11-23 09:00:30 to 2026-11-23 09:10:40 (10min 10s, local time)",
        "",
        "                           IN THE LOG  REPLAYED  SHARE   SOURCES",
        "came                       31          31                21",
        "admitted                   30          25        80.6 %",
        "refused                    1           6         19.4 %  1",
        "  source-connections       1           0         0.0 %   0",
        "  source-rate              0           6         19.4 %  1",
        "most open at once          6           6",
        "  of one source            5           5",
        "most admitted in a second  10          5",
        "most admitted in a minute  12          7",
        "",
        "5 connections of those that were admitted would be newly refused, "
        "0 of those that were refused newly admitted.",
        "",
        "MOST REFUSED  CAME  REFUSED  REASONS        CHILDREN IN THE LOG",
        "198.51.100.7  11    6        source-rate 6  10, 10 ended badly",
        "",
        "- The log counts further refusals without naming them, which cannot be replayed: source-connections 9.",
    ]


def test_json_says_the_same(log: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = found(capsys, log, "--service", "ssh", "-f", config)
    assert (answer["from"], answer["to"]) == ("2026-11-23T09:00:30+00:00", "2026-11-23T09:10:40+00:00")
    assert (answer["came"], answer["newly_refused"], answer["newly_admitted"]) == (31, 5, 0)
    assert answer["log"]["refused"] == {"source-connections": 1}
    assert answer["log"]["refused_unnamed"] == {"source-connections": 9}
    assert answer["replayed"]["refused"] == {"source-rate": 6}
    assert answer["replayed"]["sources_refused"] == {"source-rate": 1}
    assert answer["most_refused"][0]["source"] == "198.51.100.7"
    assert answer["most_refused"][0]["ended_badly_in_log"] == 10
    assert answer["rules"]["limits"]["rate_per_source"] == "5/min"
    assert "suggestion" not in answer


@pytest.mark.parametrize(
    "words",
    [
        ["LOG", "--service", "ssh", "max_connections=2", "rate=infinity"],
        ["LOG", "max_connections=2", "--service", "ssh"],
        ["--service", "ssh", "max_connections=2", "LOG"],
        ["--service", "ssh", "limits.max_connections=2", "--json", "LOG"],
    ],
)
def test_the_words_may_stand_in_any_order(
    log: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    answer = found(capsys, *(log if word == "LOG" else word for word in words))
    assert answer["rules"]["limits"]["max_connections"] == 2
    assert answer["replayed"]["most_open"] == 2


def test_what_is_assigned_comes_on_top_of_the_file(
    log: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = found(capsys, log, "--service", "ssh", "burst_per_source=7", "-f", config)
    assert answer["replayed"]["refused"] == {"source-rate": 4}
    denied = found(capsys, log, "--service", "ssh", "access.deny=['198.51.100.0/24']", "-f", config)
    assert denied["replayed"]["refused"] == {"address": 11}


def test_hours_are_those_of_the_clock_on_the_wall(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    answer = found(capsys, log, "--service", "ssh", 'access.hours=["Mon 10:00-10:05"]')
    assert answer["replayed"]["refused"] == {"hours": 11}  # from 300 s on


def test_names_are_looked_up_now(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = found(capsys, log, "--service", "ssh", 'access.allow=["localhost", "no-such-name.invalid"]')
    assert answer["replayed"]["admitted"] == 0
    assert any(note.startswith("Addresses of localhost: the ") for note in answer["notes"])
    assert "Addresses of no-such-name.invalid: it has none now, so nobody is taken for it." in answer["notes"]


def test_what_is_left_out_is_said(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["max_load=4.0", "access.hosts_access=true", "on_excess=queue", "max_connections=1"]
    notes = found(capsys, log, "--service", "ssh", *words)["notes"]
    assert "max_load is left out: who was refused for it in the log stays refused." in notes
    assert "hosts.allow and hosts.deny are left out: whom they refused in the log stays refused." in notes
    assert "on_excess is queue: who is refused here for connections would have waited." in notes


def test_without_a_configuration_the_defaults_are_the_base(
    log: Path,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "CONFIG_FILE", str(tmp_path / "none.toml"))
    assert f"There is no {tmp_path}/none.toml: the defaults are the base." in told(
        capsys, log, "--service", "ssh"
    )
    config.write_text(config.read_text().replace("services.ssh", "services.ftp"))
    text = told(capsys, log, "--service", "ssh", "-f", config)
    assert f"{config} has no service ssh: the defaults are the base." in text


def test_starts_of_instances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = Script("tftp")
    for second in range(3):
        script.event(second, EventName.START, pid=5, id=f"1000000000{second}")
    path = tmp_path / "superd.log"
    path.write_bytes(script.text)
    text = told(capsys, path, "--service", "tftp", "rate=2/min", "--suggest", "--plot")
    assert "3 starts of an instance; the rate would have delayed 1." in text
    assert "No source behaved" in text


# --- reading ---


def test_gzip_and_several_files(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = log.read_bytes().splitlines(True)
    older, newer = tmp_path / "superd.log.1.gz", tmp_path / "superd.log.new"
    older.write_bytes(gzip.compress(b"".join(lines[:20])))
    newer.write_bytes(b"".join(lines[20:]))
    once = found(capsys, log, "--service", "ssh", "rate_per_source=5/min")
    assert found(capsys, newer, older, "--service", "ssh", "rate_per_source=5/min") == once


def test_broken_lines_are_told(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_bytes(b"torn\n" + log.read_bytes() + b'{"time":"2026-11-2')
    text = told(capsys, log, "--service", "ssh")
    count = log.read_bytes().count(b"\n") + 1
    assert f"- 2 lines could not be read: {log}:1: " in text
    assert f"; {log}:{count}: " in text


def process(*words: str, stdin: bytes = b"", **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", PROGRAM, ROOT, *words]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, **options)


def test_standard_input(log: Path) -> None:
    done = process("-", "--service", "ssh", "--json", stdin=gzip.compress(log.read_bytes()))
    assert done.returncode == Exit.OK, done.stderr
    assert json.loads(done.stdout)["came"] == 31
    assert done.stderr == b""


def test_progress_is_shown_on_a_terminal_alone(log: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, ROOT]
    done = subprocess.run(
        [*command, str(log), "--service", "ssh", "--suggest", "--json"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)
    for stage in ("reading", "replaying", "suggesting"):
        assert stage in shown
    assert "100%" in shown
    assert json.loads(done.stdout)["came"] == 31


# --- suggesting ---


def test_the_suggestion_can_be_pasted(
    log: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, log, "--service", "ssh", "--suggest", "0", "-f", config)
    assert "at most 0 of 20 sources that behaved (0 %) are refused" in text
    toml = text[text.index("[services.ssh.limits]") : text.index("superctl tune")]
    limits = tomllib.loads(toml)["services"]["ssh"]["limits"]
    assert limits["rate_per_source"] == "1/min"
    assert limits["burst_per_source"] == limits["max_connections_per_source"] == 1
    pasted = config.read_text().partition("[services.ssh.limits]")[0] + toml
    config.write_text(pasted)
    assert load(str(config), system=False).services["ssh"].limits.burst_per_source == 1
    (tune,) = (line for line in text.splitlines() if line.startswith("superctl tune ssh "))
    answer = found(capsys, log, "--service", "ssh", *tune.split()[3:])
    assert answer["rules"]["limits"].items() >= limits.items()
    assert answer["replayed"]["refused"] == {"source-connections": 4, "source-rate": 6}
    assert "Replayed with them: 21 admitted, 10 refused (" in text
    assert "0 of the sources that behaved are among the refused." in text


def test_the_suggestion_in_json(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suggestion = found(capsys, log, "--service", "ssh", "--suggest", "5")["suggestion"]
    assert (suggestion["sources_that_behaved"], suggestion["may_refuse"]) == (20, 1)
    assert suggestion["does_refuse"] <= 1
    assert suggestion["limits"]["rate_per_source"] == "1/min"


# --- faults ---


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--service", "ssh"], "no LOG; name the files to read, or - for standard input"),
        (["LOG", "--service", "ssh", "--suggest", "101"], "--suggest 101: write a percentage, 0 to 100"),
        (["LOG", "--service", "ssh", "--suggest", "few"], "--suggest few: write a percentage, 0 to 100"),
        (["--service", "ssh", "--plot", "LOG"], "no LOG; name"),
        (["LOG", "--service", "ssh", "--plot", "x.pdf"], "--plot x.pdf: write FILE.png or FILE.svg"),
        (["LOG", "--service", "ssh", "--plot", "--json"], "--plot draws between the JSON"),
        (["LOG", "--service", "ssh", "rate=1/s", "limits.rate=2/s"], "limits.rate: stands there twice"),
        (["/nowhere.log", "--service", "ssh"], "/nowhere.log: No such file or directory"),
        (["/", "--service", "ssh"], "/: Is a directory"),
        (
            ["LOG", "--service", "ssh", "--plot", "/nowhere/x.png"],
            "/nowhere/x.png: No such file or directory",
        ),
    ],
)
def test_usage(log: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert superctl([str(log) if word == "LOG" else word for word in words]) == Exit.USAGE
    assert f"superctl: {said}" in capsys.readouterr().err


def test_faulty_limits_are_told_one_a_line(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, Exit.CONFIG, log, "--service", "ssh", "rate=10", "bursts=5").splitlines()
    assert len(said) == 2
    assert all(line.startswith("superctl: tune: limits.") for line in said)


def test_a_faulty_configuration_is_told(log: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("[services.ssh]\nexce = 5\n")
    said = complaint(capsys, Exit.CONFIG, log, "--service", "ssh", "-f", config)
    assert f"superctl: {config}: services.ssh.exce" in said
    missing = complaint(capsys, Exit.CONFIG, log, "--service", "ssh", "-f", config.with_name("none.toml"))
    assert "none.toml" in missing


def test_a_log_about_others_names_them(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, Exit.DATA, log, "--service", "ftp")
    assert said == "superctl: ftp: nothing about this service; the log has ssh\n"


@pytest.mark.parametrize(
    "content", [b"", b"2026-11-23T09:00:00.000Z connection service=ssh source=192.0.2.1\n"]
)
def test_a_log_in_another_form_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "superd.log"
    path.write_bytes(content)
    said = complaint(capsys, Exit.DATA, path, "--service", "ssh")
    assert said.startswith('superctl: no line in the form of log_format = "json"')
    assert (f"{path}:1: " in said) == bool(content)


def test_help_says_what_behaved_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        superctl(["--help"])
    assert ended.value.code == 0
    assert "fewer than half of its children failed" in " ".join(capsys.readouterr().out.split())
