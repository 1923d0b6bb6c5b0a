"""``superctl security``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from superd.cli.superctl import main

_CONFIG = """
[services.cat]
listen = ["tcp://*:7"]
exec = ["/bin/cat"]
user = "daemon"

[services.held]
listen = ["tcp://*:8"]
exec = ["/bin/cat"]
user = "daemon"
sandbox.profile = "strict"

[services.echo]
listen = ["tcp://*:9"]
builtin = "echo"
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "superd.toml"
    path.write_text(_CONFIG)
    path.chmod(0o644)
    return str(path)


def test_all_services_in_a_table(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["security", "-f", config]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert float(rows["held"][0]) < 1 < float(rows["cat"][0])
    assert rows["echo"][0] == "-"
    assert "private_network" in rows["cat"]


def test_one_service_line_by_line(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["security", "cat", "-f", config]) == 0
    told = capsys.readouterr().out
    assert 'system_call_filter = ["@system-service"]' in told
    assert "cat: exposure " in told
    assert 'profile = "strict"' in told
    assert main(["security", "echo", "-f", config]) == 0
    assert "superd serves it by itself" in capsys.readouterr().out


def test_the_same_as_json(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["security", "--json", "-f", config]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["echo"] is None
    assert {"name", "exposure", "text", "remedy"} == set(told["cat"]["lines"][0])


def test_who_is_not_there_and_what_is_faulty(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["security", "nobody", "-f", config]) == 64
    assert "no service nobody" in capsys.readouterr().err
    Path(config).write_text("[services.x]\n")
    assert main(["security", "-f", config]) == 78
    assert "services.x.listen: missing" in capsys.readouterr().err
